package org.unifiedrl.engine;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.agrona.BufferUtil;
import org.unifiedrl.engine.replay.Replay;

/**
 * The engine's view of an open {@link Replay}: no copy is made, and the replay is not unmapped
 * before this view is closed. {@link #close} refuses while an engine reads from it.
 */
public final class NativeReplay extends NativeHandle {

  /** Closing it gives the memory free; until then it keeps it mapped or reachable. */
  private final Memory memory;

  private final AtomicInteger engines = new AtomicInteger();

  private NativeReplay(long address, Memory memory) {
    super("replay view", address, Native::replayClose);
    this.memory = memory;
  }

  /** What keeps the rows in memory. */
  private interface Memory {
    void close();
  }

  /** Hands the addresses of all segments to the engine. */
  public static NativeReplay of(Replay replay) {
    int columns = replay.schema().columns().size();
    long[] widths = new long[columns];
    for (int c = 0; c < columns; c++) {
      widths[c] = replay.schema().columns().get(c).width();
    }
    Replay.Use use = replay.use();
    long[] handle = new long[1];
    try {
      Native.check(Native.replayCreate(widths, columns, handle));
      long[] addresses = new long[columns];
      for (int s = 0; s < replay.segmentCount(); s++) {
        for (int c = 0; c < columns; c++) {
          addresses[c] = replay.columnAddress(s, c);
        }
        Native.check(
            Native.replayAdd(handle[0], addresses, replay.lastAddress(s), replay.segmentRows(s)));
      }
      return new NativeReplay(handle[0], use::close);
    } catch (RuntimeException | Error e) {
      Native.replayClose(handle[0]);
      use.close();
      throw e;
    }
  }

  /**
   * A view of rows that the caller holds in direct buffers, which this view keeps reachable.
   *
   * @param widths values a row of each column
   * @param columns for each column its rows one after the other; direct, native order
   * @param last one byte a row, 1 where the session ends, as it must in the last row; direct
   */
  public static NativeReplay ofMemory(int[] widths, List<ByteBuffer> columns, ByteBuffer last) {
    int rows = last.capacity();
    long[] wide = new long[widths.length];
    long[] addresses = new long[widths.length];
    if (columns.size() != widths.length) {
      throw new IllegalArgumentException(
          "there are " + widths.length + " widths, but " + columns.size() + " columns");
    }
    for (int c = 0; c < widths.length; c++) {
      ByteBuffer column = columns.get(c);
      long expected = (long) rows * widths[c] * Float.BYTES;
      if (!column.isDirect() || column.capacity() != expected) {
        throw new IllegalArgumentException(
            "column %d must be a direct buffer of %d bytes (%d rows of %d float32)"
                .formatted(c, expected, rows, widths[c]));
      }
      wide[c] = widths[c];
      addresses[c] = BufferUtil.address(column);
    }
    if (!last.isDirect()) {
      throw new IllegalArgumentException("the last flags must be in a direct buffer");
    }
    List<ByteBuffer> kept = new ArrayList<>(columns);
    kept.add(last);
    long[] handle = new long[1];
    try {
      Native.check(Native.replayCreate(wide, wide.length, handle));
      Native.check(Native.replayAdd(handle[0], addresses, BufferUtil.address(last), rows));
      return new NativeReplay(handle[0], kept::clear);
    } catch (RuntimeException | Error e) {
      Native.replayClose(handle[0]);
      throw e;
    }
  }

  void addEngine() {
    engines.incrementAndGet();
  }

  void removeEngine() {
    engines.decrementAndGet();
  }

  /**
   * Gives the replay free.
   *
   * @throws IllegalStateException while an engine still uses it
   */
  @Override
  public void close() {
    acquireForClose();
    try {
      int users = engines.get();
      if (users > 0) {
        throw new IllegalStateException(
            "this replay view is read by " + users + " open engine(s): close them first");
      }
      super.close();
      memory.close();
    } finally {
      release();
    }
  }
}
