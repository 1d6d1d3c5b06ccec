package org.unifiedrl.engine;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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

  /** {@link System#nanoTime} from which on the files are looked at again. */
  private volatile long nextCheck = System.nanoTime();

  private NativeReplay(long address, Memory memory) {
    super("replay view", address, Native::replayClose);
    this.memory = memory;
  }

  /** What keeps the rows in memory. */
  private interface Memory {
    void check();

    void close();
  }

  /** Rows in the files of an open replay. */
  private record Mapped(Replay replay, Replay.Use use) implements Memory {
    @Override
    public void check() {
      replay.checkFiles();
    }

    @Override
    public void close() {
      use.close();
    }
  }

  /** Rows in buffers of the caller. */
  private record Buffers(List<ByteBuffer> kept) implements Memory {
    @Override
    public void check() {}

    @Override
    public void close() {
      kept.clear();
    }
  }

  /** Often enough that a user sees the message, and too seldom to be seen in a measurement. */
  private static final long CHECK_NANOS = 100_000_000;

  /**
   * Asks {@link Replay#checkFiles} if that was a tenth of a second ago or more: otherwise it costs
   * one look at the clock, some 25 ns before a step of tens of microseconds.
   */
  void checkFiles() {
    long now = System.nanoTime();
    if (now - nextCheck >= 0) {
      memory.check();
      nextCheck = now + CHECK_NANOS;
    }
  }

  /**
   * Hands the addresses of all segments to the engine.
   *
   * @param replay kept mapped until this view is closed, also if it is closed itself meanwhile
   * @throws IllegalStateException if the replay is closed
   * @throws org.unifiedrl.engine.replay.ReplayException if one of its files was cut since it was
   *     opened
   * @throws EngineException if there is no memory for the view or no native engine
   */
  public static NativeReplay of(Replay replay) {
    NativeLibraries.require();
    int columns = replay.schema().columns().size();
    long[] widths = new long[columns];
    for (int c = 0; c < columns; c++) {
      widths[c] = replay.schema().columns().get(c).width();
    }
    replay.checkFiles();
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
      return new NativeReplay(handle[0], new Mapped(replay, use));
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
   * @param last one byte a row, 0 or 1, 1 where the session ends, as it must in the last row;
   *     direct
   * @throws IllegalArgumentException if a buffer is of another kind or length, or a flag of another
   *     value
   * @throws IllegalStateException if this JVM was started without access to off-heap memory
   * @throws EngineException if a width is below 1, there are no rows, no memory for the view or no
   *     native engine
   */
  public static NativeReplay ofMemory(int[] widths, List<ByteBuffer> columns, ByteBuffer last) {
    JvmAccess.check();
    NativeLibraries.require();
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
      if (!column.isDirect()
          || column.order() != ByteOrder.nativeOrder()
          || column.capacity() != expected) {
        throw new IllegalArgumentException(
            "column %d must be a direct buffer in native byte order of %d bytes (%d rows of %d"
                    .formatted(c, expected, rows, widths[c])
                + " float32)");
      }
      wide[c] = widths[c];
      addresses[c] = BufferUtil.address(column);
    }
    if (!last.isDirect()) {
      throw new IllegalArgumentException("the last flags must be in a direct buffer");
    }
    for (int r = 0; r < rows; r++) {
      byte flag = last.get(r);
      if ((flag != 0 && flag != 1) || (flag == 0 && r == rows - 1)) {
        throw new IllegalArgumentException(
            "last flag %d is %d: expected 0 or 1, and 1 in the last row".formatted(r, flag));
      }
    }
    List<ByteBuffer> kept = new ArrayList<>(columns);
    kept.add(last);
    long[] handle = new long[1];
    try {
      Native.check(Native.replayCreate(wide, wide.length, handle));
      Native.check(Native.replayAdd(handle[0], addresses, BufferUtil.address(last), rows));
      return new NativeReplay(handle[0], new Buffers(kept));
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
