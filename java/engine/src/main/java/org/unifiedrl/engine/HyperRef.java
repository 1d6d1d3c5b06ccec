package org.unifiedrl.engine;

/**
 * A hyper-parameter slot of a {@link Program}; its value may change between runs.
 *
 * @param id number in its program
 * @param name name in messages
 * @param value first value
 */
public record HyperRef(int id, String name, double value) {}
