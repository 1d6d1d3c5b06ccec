/**
 * Messages of a Kafka topic in, files of JSON lines out, each message once: what the import reads.
 */
package org.unifiedrl.kafka;
