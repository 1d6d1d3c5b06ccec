package org.unifiedrl.engine.replay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReplayRingTest {

  /** state[0] is the session, state[1] the row's place in it. */
  private static final ReplaySchema SCHEMA =
      new ReplaySchema(List.of(new ReplaySchema.Column("state", 2)), Map.of());

  @TempDir Path folder;

  private static float[] row(long session, int place) {
    return new float[] {session, place};
  }

  private static List<Thread> producers(ReplayRing ring, int threads, int sessions, int length) {
    List<Thread> list = new ArrayList<>();
    for (int t = 0; t < threads; t++) {
      int first = t * sessions;
      list.add(
          new Thread(
              () -> {
                // Two sessions at a time, as a serving thread has many.
                for (int s = first; s < first + sessions; s += 2) {
                  for (int i = 0; i < length; i++) {
                    ring.offer(s, s, i, i == length - 1, row(s, i));
                    ring.offer(s + 1, s, i, i == length - 1, row(s + 1, i));
                  }
                }
              }));
    }
    list.forEach(Thread::start);
    return list;
  }

  @Test
  void blockingLosesNothing() throws InterruptedException {
    ReplayRing ring = new ReplayRing(SCHEMA, 64, ReplayRing.Policy.BLOCK, 10_000);
    List<Thread> threads = producers(ring, 4, 500, 6);
    try (ReplayWriter writer = new ReplayWriter(folder, SCHEMA)) {
      while (threads.stream().anyMatch(Thread::isAlive)) {
        ring.drain(writer);
      }
      for (Thread thread : threads) {
        thread.join();
      }
      ring.drain(writer);
    }
    assertThat(ring.droppedRows()).isZero();
    assertThat(ring.discardedRows()).isZero();
    assertThat(ring.writtenRows()).isEqualTo(4 * 500 * 6);
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(4 * 500 * 6);
      float[] state = new float[2];
      for (int r = 0; r < replay.rows(); r++) {
        replay.get(r, 0, state, 0);
        assertThat(state).containsExactly((float) replay.sessionId(r), r % 6);
      }
    }
  }

  @Test
  void droppingNeverMakesStrangersNeighbours() throws InterruptedException {
    ReplayRing ring = new ReplayRing(SCHEMA, 16, ReplayRing.Policy.DROP, 10_000);
    List<Thread> threads = producers(ring, 3, 4000, 6);
    SplittableRandom random = new SplittableRandom(5);
    try (ReplayWriter writer = new ReplayWriter(folder, SCHEMA)) {
      while (threads.stream().anyMatch(Thread::isAlive)) {
        ring.drain(writer);
        if (random.nextInt(50) == 0) {
          Thread.sleep(0, 200_000);
        }
      }
      for (Thread thread : threads) {
        thread.join();
      }
      ring.drain(writer);
      for (int i = 0; i < 6; i++) {
        assertThat(ring.offer(-1, 1, 1, i == 5, row(-1, i))).isTrue();
      }
      ring.drain(writer);
    }
    assertThat(ring.droppedRows()).isPositive();
    long offered = 3 * 4000 * 6 + 6;
    assertThat(ring.droppedRows() + ring.discardedRows() + ring.writtenRows()).isEqualTo(offered);
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(ring.writtenRows());
      float[] state = new float[2];
      float[] next = new float[2];
      for (int r = 0; r < replay.rows(); r++) {
        replay.get(r, 0, state, 0);
        assertThat(replay.isLast(r)).isEqualTo(state[1] == 5);
        if (!replay.isLast(r)) {
          replay.get(r + 1, 0, next, 0);
          assertThat(next).containsExactly(state[0], state[1] + 1);
        }
      }
    }
  }

  @Test
  void quietSessionsMakeRoom() {
    ReplayRing ring = new ReplayRing(SCHEMA, 64, ReplayRing.Policy.DROP, 3);
    for (int session = 0; session < 5; session++) {
      ring.offer(session, 1, 1, false, row(session, 0));
    }
    ring.offer(4, 1, 1, true, row(4, 1));
    try (ReplayWriter writer = new ReplayWriter(folder, SCHEMA)) {
      assertThat(ring.drain(writer)).isEqualTo(6);
    }
    assertThat(ring.discardedRows()).isEqualTo(2);
    assertThat(ring.writtenRows()).isEqualTo(2);
  }

  @Test
  void badRowsAndClosedRingsAreRefused() {
    ReplayRing ring = new ReplayRing(SCHEMA, 64, ReplayRing.Policy.DROP, 100);
    ring.offer(1, 1, 1, false, row(1, 0));
    assertThatThrownBy(() -> ring.offer(1, 1, 1, false, new float[] {1, Float.NaN}))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("column 'state'[1]");
    ring.offer(1, 1, 1, true, row(1, 2));
    try (ReplayWriter writer = new ReplayWriter(folder, SCHEMA)) {
      ring.drain(writer);
    }
    assertThat(ring.droppedRows()).isEqualTo(1);
    assertThat(ring.discardedRows()).isEqualTo(1);
    assertThat(ring.writtenRows()).isEqualTo(1);
    ring.close();
    ring.close();
    assertThatIllegalStateException()
        .isThrownBy(() -> ring.offer(1, 1, 1, true, row(1, 1)))
        .withMessageContaining("ring is closed");
  }

  @Test
  void everyRowOfferedIsCounted() {
    ReplayRing ring = new ReplayRing(SCHEMA, 64, ReplayRing.Policy.DROP, 100);
    for (int session = 0; session < 3; session++) {
      for (int i = 0; i < 4; i++) {
        ring.offer(session, 1, 1, i == 3, row(session, i));
      }
    }
    ring.offer(9, 1, 1, false, row(9, 0));
    ReplayWriter closed = new ReplayWriter(folder.resolve("closed"), SCHEMA);
    closed.close();
    assertThatIllegalStateException().isThrownBy(() -> ring.drain(closed));
    assertThat(ring.discardedRows()).as("the session that the writer refused").isEqualTo(4);
    try (ReplayWriter writer = new ReplayWriter(folder.resolve("open"), SCHEMA)) {
      assertThat(ring.drain(writer)).as("the others are still in the ring").isEqualTo(9);
    }
    assertThat(ring.writtenRows()).isEqualTo(8);
    assertThat(ring.pendingRows()).isEqualTo(1);
    assertThat(ring.discardPending()).isEqualTo(1);
    assertThat(ring.pendingRows()).isZero();
    assertThat(ring.droppedRows() + ring.discardedRows() + ring.writtenRows()).isEqualTo(13);
  }

  @Test
  void rowsThatNoReaderTakesAreDroppedWhenOffered() {
    ReplayRing ring = new ReplayRing(SampleData.schema(), 64, ReplayRing.Policy.DROP, 100);
    float[] bad = SampleData.row(new SplittableRandom(1));
    bad[SampleData.STATE + 2 * SampleData.ACTION] = 0.95f;
    assertThatThrownBy(() -> ring.offer(1, 1, 1, true, bad))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("column 'box_low'[0]: expected box_low <= box_high");
    assertThat(ring.droppedRows()).isEqualTo(1);
  }

  @Test
  void impossibleCapacitiesAreRefused() {
    for (int[] sizes : new int[][] {{0, 1}, {-1, 1}, {1, 0}}) {
      assertThatThrownBy(() -> new ReplayRing(SCHEMA, sizes[0], ReplayRing.Policy.DROP, sizes[1]))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("expected at least 1");
    }
    assertThatThrownBy(() -> new ReplayRing(SCHEMA, 1 << 30, ReplayRing.Policy.DROP, 1))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("expected at most 1 GiB");
  }

  @Test
  void offeringAllocatesNothing() {
    ReplayRing ring = new ReplayRing(SCHEMA, 1 << 16, ReplayRing.Policy.DROP, 100);
    float[] row = row(1, 0);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long thread = Thread.currentThread().getId();
    for (int i = 0; i < 10_000; i++) {
      ring.offer(1, 1, 1, false, row);
    }
    threads.getThreadAllocatedBytes(thread);
    long before = threads.getThreadAllocatedBytes(thread);
    // Some are taken and, once the ring is full, some are dropped: neither allocates.
    for (int i = 0; i < 100_000; i++) {
      ring.offer(i, 1, 1, false, row);
    }
    long allocated = threads.getThreadAllocatedBytes(thread) - before;
    assertThat(ring.droppedRows()).isPositive();
    // LongAdder and the bean itself may allocate once; a byte per offer would be 100,000.
    assertThat(allocated).isLessThan(10_000);
  }
}
