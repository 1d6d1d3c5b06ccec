/**
 * Production logs in, replay shards out: columns are mapped by a small YAML file, read and sorted
 * by embedded DuckDB, checked, cut into sessions and written by the engine's replay writer.
 */
package org.unifiedrl.data;
