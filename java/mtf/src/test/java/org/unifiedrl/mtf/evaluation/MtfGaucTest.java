package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.evaluation.MtfGauc.Result;
import org.unifiedrl.mtf.evaluation.MtfGauc.UserWeight;

class MtfGaucTest {

  /** Samples with many ties, some zero weights, and users of very different sizes. */
  private record Samples(long[] users, double[] scores, boolean[] labels, double[] weights) {

    static Samples draw(long seed, int size) {
      Random random = new Random(seed);
      Samples samples =
          new Samples(new long[size], new double[size], new boolean[size], new double[size]);
      for (int i = 0; i < size; i++) {
        samples.users[i] = 1_000_000_007L * (random.nextInt(4) * random.nextInt(4) - 4);
        samples.scores[i] = random.nextInt(7) - 3;
        samples.labels[i] = random.nextInt(3) == 0;
        samples.weights[i] = random.nextInt(5) == 0 ? 0 : random.nextDouble() * 3;
      }
      return samples;
    }

    Result result(UserWeight userWeight) {
      MtfGauc metric = new MtfGauc();
      for (int i = 0; i < users.length; i++) {
        metric.add(users[i], scores[i], labels[i], weights[i]);
      }
      return metric.result(userWeight);
    }

    /** All pairs, straight from the formula. */
    double bruteForce(UserWeight userWeight) {
      double sum = 0;
      double norm = 0;
      for (long user : java.util.Arrays.stream(users).distinct().toArray()) {
        double wins = 0;
        double pairs = 0;
        double w = 0;
        for (int p = 0; p < users.length; p++) {
          if (users[p] != user) {
            continue;
          }
          w += userWeight == UserWeight.SAMPLES ? 1 : weights[p];
          for (int n = 0; n < users.length; n++) {
            if (users[n] == user && labels[p] && !labels[n]) {
              double pair = weights[p] * weights[n];
              pairs += pair;
              wins += pair * (scores[p] > scores[n] ? 1 : scores[p] == scores[n] ? 0.5 : 0);
            }
          }
        }
        if (pairs > 0) {
          sum += w * wins / pairs;
          norm += w;
        }
      }
      return sum / norm;
    }
  }

  @Property(tries = 300)
  void equalsAllPairs(
      @ForAll @LongRange(min = 0) long seed,
      @ForAll @IntRange(min = 1, max = 200) int size,
      @ForAll UserWeight userWeight) {
    Samples samples = Samples.draw(seed, size);
    double expected = samples.bruteForce(userWeight);
    double actual = samples.result(userWeight).value();
    if (Double.isNaN(expected)) {
      assertThat(actual).isNaN();
    } else {
      // A few hundred additions of numbers near 1 err by at most some 1e-14.
      assertThat(actual).isCloseTo(expected, within(1e-12));
    }
  }

  @Property(tries = 50)
  void increasingMapOfScoresChangesNothingAndReversalMirrors(
      @ForAll @LongRange(min = 0) long seed) {
    Samples samples = Samples.draw(seed, 150);
    double value = samples.result(UserWeight.SAMPLES).value();
    double[] mapped = new double[150];
    double[] reversed = new double[150];
    for (int i = 0; i < 150; i++) {
      mapped[i] = Math.exp(samples.scores[i]) / 100;
      reversed[i] = -samples.scores[i];
    }
    Samples up = new Samples(samples.users, mapped, samples.labels, samples.weights);
    Samples down = new Samples(samples.users, reversed, samples.labels, samples.weights);
    assertThat(up.result(UserWeight.SAMPLES).value()).isEqualTo(value);
    assertThat(down.result(UserWeight.SAMPLES).value()).isCloseTo(1 - value, within(1e-12));
  }

  @Test
  void workedExample() {
    MtfGauc metric = new MtfGauc();
    // User 1: positive (weight 2) at 0.5 beats the negative of weight 1, ties the one of weight 3:
    // (2*1 + 0.5*2*3) / (2*4) = 0.625, summed weight 6.
    metric.add(1, 0.5, true, 2);
    metric.add(1, 0.4, false, 1);
    metric.add(1, 0.5, false, 3);
    // User 2: AUC 0, summed weight 2.
    metric.add(2, 0.1, true, 1);
    metric.add(2, 0.9, false, 1);
    // Users 3 and 4: one class only, the second because its other class has no weight.
    metric.add(3, 0.1, true, 1);
    metric.add(4, 0.1, true, 1);
    metric.add(4, 0.2, false, 0);
    Result byWeight = metric.result(UserWeight.SUMMED_WEIGHT);
    assertThat(byWeight.value()).isCloseTo(0.625 * 6 / 8, within(1e-15));
    assertThat(byWeight).returns(2, Result::users).returns(2, Result::droppedUsers);
    assertThat(byWeight.samples()).isEqualTo(8);
    assertThat(metric.result(UserWeight.SAMPLES).value()).isCloseTo(0.625 * 3 / 5, within(1e-15));
  }

  @Test
  void signedZerosAreATie() {
    MtfGauc metric = new MtfGauc();
    metric.add(1, -0.0, false, 1);
    metric.add(1, 0.0, true, 1);
    assertThat(metric.result(UserWeight.SAMPLES).value()).isEqualTo(0.5);
  }

  @Test
  void nothingToRankIsNotANumber() {
    assertThat(new MtfGauc().result(UserWeight.SAMPLES).value()).isNaN();
  }

  @Test
  void gainIsTheDifferenceAndItsIntervalIsOverUsers() {
    Random random = new Random(2);
    MtfGauc noisy = new MtfGauc();
    MtfGauc exact = new MtfGauc();
    for (int i = 0; i < 4_000; i++) {
      boolean label = random.nextInt(3) == 0;
      double weight = 1 + random.nextDouble();
      noisy.add(i / 10, (label ? 1 : 0) + 2 * random.nextGaussian(), label, weight);
      exact.add(i / 10, (label ? 1 : 0) + random.nextGaussian(), label, weight);
    }
    PairedBootstrap bootstrap = new PairedBootstrap(1, 500);
    UserWeight by = UserWeight.SUMMED_WEIGHT;
    Interval gain = noisy.gain(exact, by, bootstrap);
    double difference = exact.result(by).value() - noisy.result(by).value();
    assertThat(gain.mean()).isCloseTo(difference, within(1e-12));
    // 400 users' differences scatter by some 0.25: a half-width of about 0.025.
    assertThat(gain.high() - gain.low()).isBetween(0.03, 0.08);
    assertThat(gain.above(0)).isTrue();
    assertThat(noisy.gain(noisy, by, bootstrap)).isEqualTo(new Interval(0, 0, 0));
    exact.add(1, 0, true, 1);
    noisy.add(1, 0, false, 1);
    assertThatThrownBy(() -> noisy.gain(exact, by, bootstrap))
        .hasMessageContaining("the same samples");
  }

  @Test
  void refusesBrokenSamples() {
    MtfGauc metric = new MtfGauc();
    assertThatThrownBy(() -> metric.add(7, Double.NaN, true, 1))
        .hasMessageContaining("user 7")
        .hasMessageContaining("NaN");
    assertThatThrownBy(() -> metric.add(7, 0, true, -1)).hasMessageContaining("-1.0");
    assertThatThrownBy(() -> metric.add(7, 0, true, Double.POSITIVE_INFINITY))
        .hasMessageContaining("Infinity");
  }
}
