package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.session.Environment.UserRange;

class DeviationReturnsTest {

  private static final int N = 20_000;
  private static final PairedBootstrap BOOTSTRAP = new PairedBootstrap(1, 200);

  /** True advantages, predictions of them that err, and samples with noise. */
  private static DeviationReturns.Judgement judgement(double slope, double error) {
    double[] advantage = new double[N];
    double[] actual = new double[N];
    for (int i = 0; i < N; i++) {
      double truth = Philox.normal(3, 1, i);
      advantage[i] = slope * truth + error * Philox.normal(3, 2, i);
      actual[i] = truth + 2 * Philox.normal(3, 3, i);
    }
    return new DeviationReturns.Judgement(advantage, actual, advantage, actual);
  }

  /** E(x - A)^2 - E A^2 by arithmetic, A of variance 1: (slope - 1)^2 + error^2 - 1. */
  @Test
  void excessErrorAndCorrelationAreThoseOfTheTruth() {
    for (double[] critics : new double[][] {{1, 0}, {0.5, 0.5}, {0, 0.7}, {-1, 0}}) {
      DeviationReturns.Judgement judgement = judgement(critics[0], critics[1]);
      double variance = critics[0] * critics[0] + critics[1] * critics[1];
      double expected = Math.pow(critics[0] - 1, 2) + critics[1] * critics[1] - 1;
      Interval excess = judgement.excessError(BOOTSTRAP);
      // x (x - 2 D) has a standard deviation of some 5 x at most.
      assertThat(excess.mean()).isCloseTo(expected, within(5 * 6 * Math.sqrt(variance / N)));
      assertThat(excess.low()).isLessThan(excess.high());
      double correlation = critics[0] / Math.sqrt(variance * 5);
      assertThat(judgement.correlation(BOOTSTRAP).mean())
          .isCloseTo(correlation, within(5 / Math.sqrt(N)));
    }
    // The value's error against returns contains their noise: 2 for perfect critics.
    assertThat(judgement(1, 0).valueError()).isCloseTo(2, within(0.05));
  }

  @Test
  void criticsAreComparedOnTheSameDeviations() {
    DeviationReturns.Judgement good = judgement(1, 0);
    Interval difference = good.excessErrorMinus(judgement(1, 0.5), BOOTSTRAP);
    assertThat(difference.mean()).isCloseTo(-0.25, within(0.08));
    assertThat(difference.high()).isNegative();
    assertThat(good.excessErrorMinus(good, BOOTSTRAP).mean()).isZero();
  }

  @Test
  void badSettingsAreNamed() {
    assertThatThrownBy(
            () -> new DeviationReturns.Settings(1, new UserRange(0, 5), 1, 0, 0.9, new double[2]))
        .hasMessageContaining("positive half-width");
  }
}
