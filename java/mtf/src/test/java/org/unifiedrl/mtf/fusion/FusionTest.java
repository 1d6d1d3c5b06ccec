package org.unifiedrl.mtf.fusion;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Philox;

class FusionTest {

  private static final ActionMap MAP =
      new ActionMap(
          new double[] {0, 0, -1},
          new double[] {4, 4, 2},
          new double[] {1e-3, 1e-3, 1e-3},
          new double[] {2, 2, 2});

  /**
   * Three float logarithms of size <= 14 times powers <= 4: rounding stays below 4e-5 (each term: 4
   * (2e-7 + 2 ulp(7)) + 2e-6 + ulp(55)).
   */
  @Property(tries = 300)
  void equalsTheFormulaInDoublePrecision(@ForAll long seed) {
    float[] action = new float[6];
    float[] scores = new float[12];
    for (int i = 0; i < 12; i++) {
      scores[i] = (float) Math.pow(Philox.uniform(seed, 0, i), 4);
      action[i % 6] = Math.max(-1, Math.min(1, (float) (3 * Philox.uniform(seed, 1, i) - 1.5)));
    }
    float[] fused = new float[4];
    new Fusion(MAP).fuse(scores, 0, 4, 4, action, 0, fused);
    for (int c = 0; c < 4; c++) {
      double product = 1;
      for (int i = 0; i < 3; i++) {
        product *=
            Math.pow(scores[i * 4 + c] + MAP.bias(i, action[3 + i]), MAP.power(i, action[i]));
      }
      assertThat((double) fused[c]).isCloseTo(Math.log(product), within(4e-5));
    }
  }

  @Test
  void tinyScoresAndBiasesStayFiniteAndOrdered() {
    ActionMap map =
        new ActionMap(new double[] {0}, new double[] {4}, new double[] {1e-30}, new double[] {1});
    float[] fused = new float[3];
    new Fusion(map).fuse(new float[] {0, 1e-20f, 1e-3f}, 0, 3, 3, new float[] {1, -1}, 0, fused);
    assertThat(fused[0]).isEqualTo(fused[1]).isFinite().isLessThan(fused[2]);
  }

  @Test
  void brokenScoresAreNeverChosen() {
    float[] scores = {Float.NaN, 0.2f, 0.3f, 0.1f, 0.2f, Float.NaN, 0.1f, 0.2f, 0.3f};
    float[] fused = new float[3];
    new Fusion(MAP).fuse(scores, 0, 3, 3, new float[6], 0, fused);
    int[] page = new int[3];
    assertThat(Fusion.top(fused, 3, 3, page)).isEqualTo(1);
    assertThat(page[0]).isEqualTo(1);
    float[] broken = {Float.NaN, 0, 0, 0, 0, 0};
    new Fusion(MAP).fuse(new float[9], 0, 3, 3, broken, 0, fused);
    assertThat(Fusion.top(fused, 3, 3, page)).isZero();
  }

  /** Few levels make ties; wild scores and powers of both signs try the bound. */
  @Property(tries = 1000)
  void rankingGivesThePageOfAllFusedScores(
      @ForAll long seed, @ForAll @IntRange(min = 0, max = 12) int size) {
    ActionMap wide =
        new ActionMap(
            new double[] {-3, 0, -1},
            new double[] {3, 4, 0.01},
            new double[] {1e-8, 1e-3, 1e-3},
            new double[] {2, 2, 2});
    int n = (int) (200 * Philox.uniform(seed, 0, 0));
    boolean levels = Philox.uniform(seed, 0, 1) < 0.3;
    float[] action = new float[6];
    for (int k = 0; k < 6; k++) {
      action[k] = (float) (2 * Philox.uniform(seed, 1, k) - 1);
    }
    float[] broken = {
      Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, -1, 0, 1e30f, Float.MAX_VALUE
    };
    float[] scores = new float[2 + 3 * (n + 5)];
    for (int i = 0; i < scores.length; i++) {
      double u = Philox.uniform(seed, 2, i);
      int kind = (int) (200 * Philox.uniform(seed, 3, i));
      scores[i] =
          kind < broken.length
              ? broken[kind]
              : levels ? (int) (3 * u) : (float) Math.pow(u, 1 + kind % 5);
    }
    Fusion fusion = new Fusion(wide);
    float[] fused = new float[n];
    fusion.fuse(scores, 2, n + 5, n, action, 0, fused);
    int[] expected = new int[size];
    int count = Fusion.top(fused, n, size, expected);
    float[] best = new float[n];
    int[] page = new int[size];
    assertThat(fusion.rank(scores, 2, n + 5, n, action, 0, size, best, page)).isEqualTo(count);
    assertThat(Arrays.copyOf(page, count)).isEqualTo(Arrays.copyOf(expected, count));
    for (int place = 0; place < count; place++) {
      assertThat(best[page[place]]).isEqualTo(fused[page[place]]);
    }
  }

  /** Where bits tell least: just below the middle of an octave they are 0.06 too low. */
  @Test
  void rankingFindsTheBestWhereBitsMisleadMost() {
    ActionMap two =
        new ActionMap(
            new double[] {-2, -2},
            new double[] {2, 2},
            new double[] {1e-9, 1e-9},
            new double[] {1, 1});
    float root = 1.4427f;
    float product = root * root;
    for (int sign : new int[] {1, -1}) {
      float[] scores = new float[2 * 16];
      Arrays.fill(scores, 0, 16, 1f);
      Arrays.fill(scores, 16, 32, product * (1 - sign * 1e-4f));
      scores[9] = root;
      scores[16 + 9] = root;
      if (sign < 0) { // the others' bits are the ones that are too low
        for (int c = 0; c < 16; c++) {
          scores[c] = c == 9 ? 1f : root;
          scores[16 + c] = c == 9 ? product * (1 - 1e-4f) : root;
        }
      }
      float[] action = {0.5f * sign, 0.5f * sign, -1, -1};
      int[] page = new int[2];
      float[] best = new float[16];
      assertThat(new Fusion(two).rank(scores, 0, 16, 16, action, 0, 1, best, page)).isEqualTo(1);
      assertThat(page[0]).isEqualTo(9);
    }
  }

  @Test
  void rankingFindsTheFewThatAreNotBroken() {
    float[] scores = new float[3 * 40];
    Arrays.fill(scores, Float.NaN);
    for (int i = 0; i < 3; i++) {
      scores[i * 40] = 1;
      scores[i * 40 + 20] = 1e-3f;
    }
    int[] page = new int[3];
    float[] action = {0.5f, 0.5f, 0.9f, 0, 0, 0};
    assertThat(new Fusion(MAP).rank(scores, 0, 40, 40, action, 0, 3, new float[40], page))
        .isEqualTo(2);
    assertThat(page).startsWith(0, 20);
  }

  @Property(tries = 500)
  void topIsAStableSortsPrefix(
      @ForAll @Size(min = 0, max = 30) int[] draws, @ForAll @IntRange(min = 0, max = 12) int size) {
    float[] fused = new float[draws.length];
    for (int c = 0; c < draws.length; c++) {
      int level = Math.floorMod(draws[c], 7);
      fused[c] = level == 6 ? Float.NaN : level;
    }
    int[] expected =
        IntStream.range(0, fused.length)
            .filter(c -> !Float.isNaN(fused[c]))
            .boxed()
            .sorted(Comparator.comparing((Integer c) -> -fused[c]))
            .limit(size)
            .mapToInt(Integer::intValue)
            .toArray();
    int[] page = new int[size];
    int chosen = Fusion.top(fused, fused.length, size, page);
    assertThat(java.util.Arrays.copyOf(page, chosen)).containsExactly(expected);
  }

  /**
   * At most half of what the same loops cost with the library's logarithms in the same run (a
   * third, usually). The promise of 50 microseconds depends on the machine: FusionBenchmark.
   */
  @Test
  void thousandCandidatesTakeHalfOfTheLibrarysTimeWithoutAllocation() {
    double[] low = {0, 0, 0, 0, 0};
    double[] high = {4, 4, 4, 4, 4};
    double[] biasLow = {1e-3, 1e-3, 1e-3, 1e-3, 1e-3};
    double[] biasHigh = {2, 2, 2, 2, 2};
    ActionMap map = new ActionMap(low, high, biasLow, biasHigh);
    Fusion fusion = new Fusion(map);
    float[] scores = new float[5000];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = (float) Philox.uniform(1, 0, i);
    }
    float[] action = new float[10];
    float[] fused = new float[1000];
    int[] page = new int[10];
    long fast = Long.MAX_VALUE;
    long library = Long.MAX_VALUE;
    for (int block = 0; block < 1000; block++) { // the fastest: what else runs cannot slow them all
      long start = System.nanoTime();
      for (int i = 0; i < 10; i++) {
        fusion.fuse(scores, 0, 1000, 1000, action, 0, fused);
        Fusion.top(fused, 1000, 10, page);
      }
      long between = System.nanoTime();
      for (int i = 0; i < 10; i++) {
        fuseByTheLibrary(map, scores, action, fused);
        Fusion.top(fused, 1000, 10, page);
      }
      fast = Math.min(fast, between - start);
      library = Math.min(library, System.nanoTime() - between);
    }
    System.out.printf(
        "fusion of 1,000 candidates: %d ns, %d ns by the library%n", fast / 10, library / 10);
    assertThat(fast).isLessThan(library / 2);

    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    for (int i = 0; i < 1000; i++) {
      fusion.fuse(scores, 0, 1000, 1000, action, 0, fused);
      Fusion.top(fused, 1000, 10, page);
    }
    long allocated = threads.getCurrentThreadAllocatedBytes() - before;
    assertThat(allocated).as("bytes in 1,000 calls").isLessThan(1000);
  }

  private static void fuseByTheLibrary(
      ActionMap map, float[] scores, float[] action, float[] fused) {
    for (int i = 0; i < 5; i++) {
      double power = map.power(i, action[i]);
      double bias = map.bias(i, action[5 + i]);
      for (int c = 0; c < 1000; c++) {
        float term = (float) (power * Math.log(scores[i * 1000 + c] + bias));
        fused[c] = i == 0 ? term : fused[c] + term;
      }
    }
  }
}
