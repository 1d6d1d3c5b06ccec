package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class PairedBootstrapTest {

  @Test
  void intervalOfAMeanHasTheNormalWidth() {
    Random random = new Random(1);
    int n = 4_000;
    double[] values = random.doubles(n).toArray();
    double[] ones = new double[n];
    java.util.Arrays.fill(ones, 1);
    Interval interval = new PairedBootstrap(3, 4_000).ratio(values, ones);
    // sd of a uniform mean is 1/sqrt(12 n); both ends of 4,000 resamples err by about 3 %, and the
    // sample's own sd by 1 %: 10 % of the half-width is three standard errors.
    double halfWidth = 1.96 / Math.sqrt(12.0 * n);
    assertThat(interval.mean() - interval.low()).isCloseTo(halfWidth, within(0.1 * halfWidth));
    assertThat(interval.high() - interval.mean()).isCloseTo(halfWidth, within(0.1 * halfWidth));
  }

  @Test
  void oneUnitSaysNothingOfOthersAndUndefinedResamplesAreLeftOut() {
    PairedBootstrap bootstrap = new PairedBootstrap(3, 1_000);
    Interval one = bootstrap.ratio(new double[] {3}, new double[] {2});
    assertThat(one)
        .isEqualTo(new Interval(1.5, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY));
    // A third of the resamples have no consumption under the baseline.
    Interval sparse = bootstrap.lift(new double[] {1, 0, 0}, new double[] {1, 1, 1});
    assertThat(sparse.mean()).isEqualTo(200);
    assertThat(sparse.low()).isBetween(-50.0, 0.0);
    assertThat(sparse.high()).isBetween(300.0, 1000.0);
  }

  @Test
  void coversTheTrueLiftAboutNinetyFiveTimesInAHundred() {
    Random random = new Random(2);
    int covered = 0;
    int trials = 400;
    for (int t = 0; t < trials; t++) {
      double[] baseline = new double[300];
      double[] policy = new double[300];
      for (int u = 0; u < 300; u++) {
        double user = 1 + Math.abs(random.nextGaussian());
        baseline[u] = user + 0.3 * random.nextGaussian();
        policy[u] = 1.05 * user + 0.3 * random.nextGaussian();
      }
      Interval lift = new PairedBootstrap(t, 400).lift(baseline, policy);
      covered += lift.low() <= 5 && 5 <= lift.high() ? 1 : 0;
    }
    // Binomial(400, 0.95) has sd 4.4; four of them on either side, and one more point for the
    // percentile interval's own O(1/n) undercoverage.
    assertThat(covered).isBetween(358, 398);
  }

  @Test
  void pairingRemovesTheVariationBetweenUsers() {
    Random random = new Random(4);
    double[] baseline = random.doubles(1_000, 0, 100).toArray();
    double[] policy = java.util.Arrays.stream(baseline).map(v -> 1.02 * v).toArray();
    Interval lift = new PairedBootstrap(1, 500).lift(baseline, policy);
    assertThat(lift.mean()).isCloseTo(2, within(1e-9));
    assertThat(lift.low()).isCloseTo(2, within(1e-9));
    assertThat(lift.high()).isCloseTo(2, within(1e-9));
    assertThat(lift.above(0)).isTrue();
    assertThat(lift.above(2.1)).isFalse();
  }

  @Test
  void sameSeedSameInterval() {
    double[] a = new Random(5).doubles(777).toArray();
    double[] b = new Random(6).doubles(777).toArray();
    assertThat(new PairedBootstrap(9, 200).lift(a, b))
        .isEqualTo(new PairedBootstrap(9, 200).lift(a, b))
        .isNotEqualTo(new PairedBootstrap(10, 200).lift(a, b));
  }

  /**
   * At most three times what drawing as many users costs in the same run (less than it, usually).
   */
  @Test
  void resamplesCostLittleMoreThanTheirDraws() {
    double[] a = new Random(5).doubles(20_000).toArray();
    double[] b = new Random(6).doubles(20_000).toArray();
    int resamples = 100;
    PairedBootstrap bootstrap = new PairedBootstrap(1, resamples);
    SplittableRandom random = new SplittableRandom(7);
    long best = Long.MAX_VALUE;
    long plain = Long.MAX_VALUE;
    double sums = 0;
    for (int round = 0; round < 15; round++) {
      long start = System.nanoTime();
      sums += bootstrap.lift(a, b).mean();
      long between = System.nanoTime();
      for (int i = 0; i < resamples * a.length; i++) { // the textbook's way
        int user = random.nextInt(a.length);
        sums += a[user] + b[user];
      }
      best = Math.min(best, between - start);
      plain = Math.min(plain, System.nanoTime() - between);
    }
    assertThat(sums).isPositive();
    System.out.printf(
        "%d resamples of 20,000: %d us, %d us by draws of users%n",
        resamples, best / 1000, plain / 1000);
    assertThat(best).isLessThan(3 * plain);
  }

  @Test
  void refusesWhatHasNoInterval() {
    PairedBootstrap bootstrap = new PairedBootstrap(1, 100);
    assertThatThrownBy(() -> bootstrap.lift(new double[3], new double[3]))
        .hasMessageContaining("not positive");
    assertThatThrownBy(() -> bootstrap.lift(new double[] {1, 2}, new double[] {1}))
        .hasMessageContaining("column 1 has 1 units");
    assertThatThrownBy(() -> bootstrap.ratio(new double[] {1, Double.NaN}, new double[] {1, 1}))
        .hasMessageContaining("column 0, unit 1");
    assertThatThrownBy(() -> bootstrap.ratio(new double[0], new double[0]))
        .hasMessageContaining("at least one");
    assertThatThrownBy(() -> bootstrap.ratio(new double[] {0, 0}, new double[] {0, 0}))
        .hasMessageContaining("undefined");
    assertThatThrownBy(() -> new PairedBootstrap(1, 10)).hasMessageContaining("at least 40");
  }
}
