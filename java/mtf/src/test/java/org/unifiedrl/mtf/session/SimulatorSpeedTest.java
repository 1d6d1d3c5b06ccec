package org.unifiedrl.mtf.session;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.management.ManagementFactory;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.baseline.EqualWeights;

class SimulatorSpeedTest {

  /**
   * The promise is 200,000 requests/s on a quiet core, which SimulatorBenchmark holds. On any
   * machine a request costs less than 5,000 of the library's logarithms.
   */
  @Test
  void servesFastAndAllocatesNothingPerRequest() {
    Simulator world = new Simulator();
    var policy = EqualWeights.of(world);
    float[] actions = new float[64 * world.actionSize()];
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    double best = 0;
    long least = Long.MAX_VALUE;
    double logarithms = 0; // of a second
    double sum = 0;
    for (int round = 0; round < 6; round++) {
      SimulatorRollout rollout =
          world.rollout(round, new Environment.UserRange(round * 4000, 4000), 1, 64);
      long bytes = threads.getCurrentThreadAllocatedBytes();
      long start = System.nanoTime();
      while (rollout.active() > 0) {
        policy.act(rollout.states(), rollout.active(), actions);
        rollout.serve(actions);
        rollout.advance();
      }
      double seconds = (System.nanoTime() - start) * 1e-9;
      bytes = threads.getCurrentThreadAllocatedBytes() - bytes;
      long between = System.nanoTime();
      for (int i = 1; i <= 2_000_000; i++) {
        sum += Math.log(i);
      }
      logarithms = Math.max(logarithms, 2e15 / (System.nanoTime() - between));
      double requests = Arrays.stream(rollout.totals().requests()).sum();
      best = Math.max(best, requests / seconds);
      least = Math.min(least, bytes);
      System.out.printf(
          "simulator: %.0f requests/s, %.1f requests and %.2f valid consumptions per user-day,"
              + " %.0f s%n",
          requests / seconds,
          requests / 4000,
          Arrays.stream(rollout.totals().validConsumptions()).average().orElse(0),
          Arrays.stream(rollout.totals().watchSeconds()).average().orElse(0));
    }
    assertThat(sum).isPositive();
    System.out.printf("a request costs %.0f logarithms%n", logarithms / best);
    assertThat(logarithms / best).as("logarithms in the time of a request").isLessThan(5000);
    assertThat(least).as("bytes of a round").isLessThan(10_000);
  }
}
