package org.unifiedrl.kafka;

/**
 * How far a partition was collected.
 *
 * @param segments offset where the newest segment ends, and the next one begins
 * @param next offset of the next message; more than {@code segments} where no row lies between them
 */
record Position(long segments, long next) {}
