/**
 * Logged requests on disk and in memory: Arrow IPC shards in session order, written by {@link
 * org.unifiedrl.engine.replay.ReplayWriter}, memory-mapped and validated by {@link
 * org.unifiedrl.engine.replay.Replay}, fed live through {@link
 * org.unifiedrl.engine.replay.ReplayRing}.
 */
package org.unifiedrl.engine.replay;
