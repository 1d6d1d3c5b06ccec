package org.unifiedrl.engine.replay;

import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import org.agrona.BitUtil;
import org.agrona.BufferUtil;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.MessageHandler;
import org.agrona.concurrent.UnsafeBuffer;
import org.agrona.concurrent.ringbuffer.ManyToOneRingBuffer;
import org.agrona.concurrent.ringbuffer.RingBufferDescriptor;
import org.unifiedrl.engine.JvmAccess;

/**
 * Live ingestion: serving threads offer requests, one consumer drains whole sessions into a {@link
 * ReplayWriter}. Bounded, off-heap, and free of allocation for those who offer.
 *
 * <p>The rows of a session must be offered one after the other (by any threads). Sessions
 * interleave freely: the consumer holds a session's rows until its last one arrives.
 *
 * <p>A dropped row must not make two rows neighbours that never were. Each row carries a count of
 * drops taken when it was offered; sessions share 65,536 such counts by hash. Rows of one session
 * that saw different counts have lost one between them: those before it are discarded, those after
 * it stand as a session that starts later. Sessions that share a count are at worst discarded
 * needlessly, which {@link #discardedRows()} counts too.
 */
public final class ReplayRing implements AutoCloseable {

  /** What {@link #offer} does when the ring is full. */
  public enum Policy {
    /** Refuse the row and count it: serving never waits. */
    DROP,
    /** Wait until the consumer has made room. */
    BLOCK
  }

  private static final int MESSAGE_TYPE = 1;
  private static final int SESSION_AT = 0;
  private static final int USER_AT = 8;
  private static final int TIMESTAMP_AT = 16;
  private static final int DROPS_AT = 24;
  private static final int LAST_AT = 28;
  private static final int ROW_AT = 32;
  private static final int DROP_COUNTS = 1 << 16;

  /** A message may take an eighth of the ring; longer rows get a longer ring. */
  private static final int SMALLEST_RING_MESSAGES = 16;

  private static final long WAIT_NANOS = 20_000;

  /** Rows of one session on their way to the writer. */
  private static final class Pending {
    private final ArrayDeque<Row> rows = new ArrayDeque<>();
    private final int drops;

    private Pending(int drops) {
      this.drops = drops;
    }
  }

  private record Row(long userId, long timestamp, float[] values) {}

  private final RowRules rules;
  private final int rowWidth;
  private final Policy policy;
  private final int maxPendingRows;
  private final UnsafeBuffer memory;
  private final ManyToOneRingBuffer ring;
  private final AtomicIntegerArray drops = new AtomicIntegerArray(DROP_COUNTS);
  private final LongAdder droppedRows = new LongAdder();
  private final LongAdder discardedRows = new LongAdder();
  private final LongAdder writtenRows = new LongAdder();
  private final AtomicBoolean draining = new AtomicBoolean();
  private volatile boolean closed;

  // Below: touched by the consumer only, while it holds the draining flag.
  private final LinkedHashMap<Long, Pending> pending = new LinkedHashMap<>(64, 0.75f, true);
  private long sweptDrops;

  /** Written by the consumer only; read by any thread. */
  private volatile int pendingRows;

  /**
   * A ring for rows of a schema.
   *
   * @param capacity rows that the ring holds at least, 1 or more
   * @param policy what happens when it is full
   * @param maxPendingRows rows of unfinished sessions that the consumer holds; beyond it, the
   *     session that was quiet for longest is discarded
   */
  public ReplayRing(ReplaySchema schema, int capacity, Policy policy, int maxPendingRows) {
    JvmAccess.check();
    schema.checkMetadata();
    this.rules = new RowRules(schema);
    this.rowWidth = schema.rowWidth();
    this.policy = policy;
    this.maxPendingRows = maxPendingRows;
    if (capacity < 1 || maxPendingRows < 1) {
      throw new ReplayException(
          "capacity " + capacity + ", maxPendingRows " + maxPendingRows + ": expected at least 1");
    }
    long message = BitUtil.align(ROW_AT + rowWidth * Float.BYTES + 8, 8);
    long bytes = message * Math.max(capacity, SMALLEST_RING_MESSAGES);
    if (bytes > 1 << 30) {
      throw new ReplayException(
          "a ring of " + capacity + " rows needs " + bytes + " bytes: expected at most 1 GiB");
    }
    int size = BitUtil.findNextPositivePowerOfTwo((int) bytes);
    this.memory =
        new UnsafeBuffer(
            BufferUtil.allocateDirectAligned(
                size + RingBufferDescriptor.TRAILER_LENGTH, BitUtil.CACHE_LINE_LENGTH));
    this.ring = new ManyToOneRingBuffer(memory);
  }

  /**
   * Offers one request; any thread; no allocation.
   *
   * @param row the float columns one after the other in schema order; copied
   * @return whether it was taken; false under {@link Policy#DROP} when the ring is full, or when
   *     the thread was interrupted while it waited
   * @throws ReplayException if the row has another length, a value that is not finite, an action or
   *     box edge outside the action range or a box whose edges are crossed; it counts as dropped
   * @throws IllegalStateException if the ring is closed
   */
  public boolean offer(long sessionId, long userId, long timestamp, boolean last, float[] row) {
    int bucket = bucket(sessionId);
    try {
      rules.check(sessionId, row);
    } catch (ReplayException e) {
      drop(bucket);
      throw e;
    }
    int seen = drops.get(bucket);
    int index = claim(bucket);
    if (index < 0) {
      return false;
    }
    memory.putLong(index + SESSION_AT, sessionId);
    memory.putLong(index + USER_AT, userId);
    memory.putLong(index + TIMESTAMP_AT, timestamp);
    memory.putInt(index + DROPS_AT, seen);
    memory.putInt(index + LAST_AT, last ? 1 : 0);
    for (int i = 0; i < row.length; i++) {
      memory.putFloat(index + ROW_AT + i * Float.BYTES, row[i]);
    }
    ring.commit(index);
    return true;
  }

  private int claim(int bucket) {
    while (true) {
      if (closed) {
        throw new IllegalStateException("this replay ring is closed");
      }
      int index = ring.tryClaim(MESSAGE_TYPE, ROW_AT + rowWidth * Float.BYTES);
      if (index > 0) {
        return index;
      }
      if (policy == Policy.DROP || Thread.currentThread().isInterrupted()) {
        drop(bucket);
        return -1;
      }
      LockSupport.parkNanos(WAIT_NANOS);
    }
  }

  private void drop(int bucket) {
    drops.incrementAndGet(bucket);
    droppedRows.increment();
  }

  private static int bucket(long sessionId) {
    // Fibonacci hashing: neighbouring ids spread over all buckets.
    return (int) ((sessionId * 0x9E3779B97F4A7C15L) >>> 48);
  }

  /**
   * Moves what was offered so far into the writer, whole sessions only. One thread at a time.
   *
   * @return rows taken from the ring
   * @throws ReplayException if the writer fails; the session that it refused counts as discarded,
   *     what came after it is still in the ring
   * @throws IllegalStateException if another thread is draining, or the writer is closed: as above
   */
  public int drain(ReplayWriter writer) {
    if (!draining.compareAndSet(false, true)) {
      throw new IllegalStateException("another thread drains this replay ring: use one consumer");
    }
    try {
      MessageHandler handler = (type, buffer, index, length) -> take(writer, buffer, index);
      // One read goes no further than the end of the memory; what wrapped around needs another.
      int taken = ring.read(handler);
      taken += ring.read(handler);
      // A session whose last row was dropped would wait for ever.
      long dropped = droppedRows.sum();
      if (dropped != sweptDrops) {
        sweptDrops = dropped;
        discardBroken();
      }
      return taken;
    } finally {
      draining.set(false);
    }
  }

  private void take(ReplayWriter writer, MutableDirectBuffer buffer, int index) {
    long sessionId = buffer.getLong(index + SESSION_AT);
    int seen = buffer.getInt(index + DROPS_AT);
    Pending session = pending.get(sessionId);
    if (session != null && session.drops != seen) {
      pending.remove(sessionId);
      discard(session);
      session = null;
    }
    if (session == null) {
      session = new Pending(seen);
      pending.put(sessionId, session);
    }
    float[] values = new float[rowWidth];
    for (int i = 0; i < values.length; i++) {
      values[i] = buffer.getFloat(index + ROW_AT + i * Float.BYTES);
    }
    session.rows.add(
        new Row(buffer.getLong(index + USER_AT), buffer.getLong(index + TIMESTAMP_AT), values));
    addPending(1);
    if (buffer.getInt(index + LAST_AT) != 0) {
      pending.remove(sessionId);
      addPending(-session.rows.size());
      write(writer, sessionId, session);
    } else if (pendingRows > maxPendingRows) {
      Iterator<Pending> quietest = pending.values().iterator();
      Pending discarded = quietest.next();
      quietest.remove();
      discard(discarded);
    }
  }

  private void write(ReplayWriter writer, long sessionId, Pending session) {
    boolean written = false;
    try {
      int left = session.rows.size();
      for (Row row : session.rows) {
        left--;
        writer.append(sessionId, row.userId, row.timestamp, left == 0, row.values);
      }
      written = true;
    } finally {
      // A writer that refuses costs a session, and no row goes uncounted.
      (written ? writtenRows : discardedRows).add(session.rows.size());
    }
  }

  @SuppressWarnings("NonAtomicVolatileUpdate") // one consumer at a time, by the draining flag
  private void addPending(int rows) {
    pendingRows += rows;
  }

  private void discardBroken() {
    Iterator<Map.Entry<Long, Pending>> sessions = pending.entrySet().iterator();
    while (sessions.hasNext()) {
      Map.Entry<Long, Pending> entry = sessions.next();
      if (drops.get(bucket(entry.getKey())) != entry.getValue().drops) {
        sessions.remove();
        discard(entry.getValue());
      }
    }
  }

  private void discard(Pending session) {
    addPending(-session.rows.size());
    discardedRows.add(session.rows.size());
  }

  /** Rows refused by {@link #offer} so far. */
  public long droppedRows() {
    return droppedRows.sum();
  }

  /**
   * Rows taken but discarded: their session lost a later row, was quiet for too long, or the writer
   * refused it.
   */
  public long discardedRows() {
    return discardedRows.sum();
  }

  /**
   * Rows taken whose session has had no last row yet. Once the ring is drained, the rows offered
   * are the dropped, discarded, written and pending ones.
   */
  public int pendingRows() {
    return pendingRows;
  }

  /**
   * Gives up the sessions that have had no last row, as when serving ends; they count as discarded.
   *
   * @return their rows
   * @throws IllegalStateException if another thread is draining
   */
  public int discardPending() {
    if (!draining.compareAndSet(false, true)) {
      throw new IllegalStateException("another thread drains this replay ring: use one consumer");
    }
    try {
      int rows = pendingRows;
      pending.values().forEach(this::discard);
      pending.clear();
      return rows;
    } finally {
      draining.set(false);
    }
  }

  /** Rows handed to the writer. */
  public long writtenRows() {
    return writtenRows.sum();
  }

  /**
   * Ends offering; what is in the ring can still be drained, and what is pending then given up with
   * {@link #discardPending}. The memory goes with the object, so a thread that is just offering
   * touches nothing that is gone.
   */
  @Override
  public void close() {
    closed = true;
  }
}
