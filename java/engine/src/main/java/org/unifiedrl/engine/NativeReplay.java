package org.unifiedrl.engine;

import java.util.concurrent.atomic.AtomicInteger;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * The engine's view of an open {@link Replay}: no copy is made, and the replay cannot be unmapped
 * before this view is closed. {@link #close} refuses while an engine reads from it.
 */
public final class NativeReplay extends NativeHandle {

  private final Replay replay;
  private final Replay.Use use;
  private final AtomicInteger engines = new AtomicInteger();

  private NativeReplay(long address, Replay replay, Replay.Use use) {
    super("replay view", address, Native::replayClose);
    this.replay = replay;
    this.use = use;
  }

  /** Hands the addresses of all segments to the engine. */
  public static NativeReplay of(Replay replay) {
    ReplaySchema schema = replay.schema();
    int columns = schema.columns().size();
    long[] widths = new long[columns];
    for (int c = 0; c < columns; c++) {
      widths[c] = schema.columns().get(c).width();
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
      return new NativeReplay(handle[0], replay, use);
    } catch (RuntimeException | Error e) {
      Native.replayClose(handle[0]);
      use.close();
      throw e;
    }
  }

  /** The replay behind this view. */
  public Replay replay() {
    return replay;
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
      use.close();
    } finally {
      release();
    }
  }
}
