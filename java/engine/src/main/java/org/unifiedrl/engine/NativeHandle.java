package org.unifiedrl.engine;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongConsumer;
import org.slf4j.LoggerFactory;

/**
 * A native object that this Java object owns. Calls take turns; {@link #close} waits for a call
 * that is running, may be called again without effect, and later calls fail with {@link
 * IllegalStateException}. An object that is collected without being closed is reported and freed;
 * {@code -Dunifiedrl.leaks=stack} adds where it was created.
 */
abstract class NativeHandle implements AutoCloseable {

  private static final Cleaner CLEANER = Cleaner.create();
  private static final boolean LEAK_STACKS = "stack".equals(System.getProperty("unifiedrl.leaks"));

  private final long address;
  private final String what;
  private final ReentrantLock turn = new ReentrantLock();
  private final Owner owner;
  private final Cleaner.Cleanable cleanable;

  /**
   * @param what name for messages, for example "engine"
   * @param address the native object, not 0
   * @param free closes it; must not refer to this object
   */
  NativeHandle(String what, long address, LongConsumer free) {
    this.what = what;
    this.address = address;
    this.owner = new Owner(what, address, free, LEAK_STACKS ? new Throwable("created here") : null);
    this.cleanable = CLEANER.register(this, owner);
  }

  /** Takes the turn and returns the address; every call is followed by {@link #release}. */
  final long acquire() {
    turn.lock();
    if (!owner.open.get()) {
      turn.unlock();
      throw new IllegalStateException("this " + what + " is closed: create another one");
    }
    return address;
  }

  /** Takes the turn whether or not the handle is closed. */
  final void acquireForClose() {
    turn.lock();
  }

  /**
   * Ends the turn. Until here this object counts as in use, so that the Cleaner cannot free the
   * native object while a call on it runs, even if nobody refers to it any more.
   */
  final void release() {
    try {
      turn.unlock();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** Whether {@link #close} has been called. */
  public final boolean isClosed() {
    return !owner.open.get();
  }

  @Override
  public void close() {
    turn.lock();
    try {
      if (owner.dispose()) {
        cleanable.clean();
      }
    } finally {
      turn.unlock();
    }
  }

  /** What outlives the handle until the native object is freed, exactly once. */
  private static final class Owner implements Runnable {
    final AtomicBoolean open = new AtomicBoolean(true);
    private final String what;
    private final long address;
    private final LongConsumer free;
    private final Throwable created;

    Owner(String what, long address, LongConsumer free, Throwable created) {
      this.what = what;
      this.address = address;
      this.free = free;
      this.created = created;
    }

    boolean dispose() {
      boolean mine = open.compareAndSet(true, false);
      if (mine) {
        free.accept(address);
      }
      return mine;
    }

    @Override
    public void run() {
      if (dispose()) {
        LoggerFactory.getLogger(NativeHandle.class)
            .warn("{} was never closed; its memory is freed only now", what, created);
      }
    }
  }
}
