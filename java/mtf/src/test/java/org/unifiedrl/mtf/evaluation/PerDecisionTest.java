package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.evaluation.PerDecision.Settings;

class PerDecisionTest {

  private static final PairedBootstrap BOOTSTRAP = new PairedBootstrap(1, 200);

  /** Sessions of three, one and two steps of two users; cap 2, discount 0.5. */
  private static OffPolicyEstimate estimate(boolean selfNormalised) {
    PerDecision estimator = new PerDecision(new Settings(selfNormalised, 2, 0.5), BOOTSTRAP);
    estimator.add(0.5, 4, 10, 1);
    estimator.add(3, 2, 10, 1);
    estimator.add(2, 8, 10, 1);
    estimator.add(1.25, 3, 11, 1);
    estimator.add(2, 1, 12, 2);
    estimator.add(0.25, 6, 12, 2);
    return estimator.estimate();
  }

  @Test
  void formulasOnThreeSessions() {
    // Weights 0.5, 1.5, 3 -> 2; 1.25; 2, 0.5.
    OffPolicyEstimate plain = estimate(false);
    double first = 0.5 * 4 + 0.5 * 1.5 * 2 + 0.25 * 2 * 8;
    double third = 2 * 1 + 0.5 * 0.5 * 6;
    assertThat(plain.value()).isCloseTo((first + 1.25 * 3 + third) / 3, within(1e-14));
    // The second session weighs 1.25 at all three steps, the third 0.5 at the last.
    OffPolicyEstimate normalised = estimate(true);
    double value =
        (0.5 * 4 + 1.25 * 3 + 2 * 1) / (0.5 + 1.25 + 2)
            + 0.5 * (1.5 * 2 + 0.5 * 6) / (1.5 + 1.25 + 0.5)
            + 0.25 * (2 * 8) / (2 + 1.25 + 0.5);
    assertThat(normalised.value()).isCloseTo(value, within(1e-14));
    for (OffPolicyEstimate estimate : new OffPolicyEstimate[] {plain, normalised}) {
      assertThat(estimate.samples()).isEqualTo(3);
      assertThat(estimate.units()).isEqualTo(2);
      assertThat(estimate.maxWeight()).isCloseTo(3, within(1e-14));
      // One of the six steps, and the last of its session.
      assertThat(estimate.clippedShare()).isCloseTo(1 / 6.0, within(1e-15));
      // Three, two and one sessions reach the steps; the second step's weights are 1.5 and 0.5.
      double[] shares = {3.75 * 3.75 / (0.25 + 1.5625 + 4) / 3, 2 * 2 / (2.25 + 0.25) / 2, 1};
      double least = Math.min(shares[0], Math.min(shares[1], shares[2]));
      assertThat(estimate.ess()).isCloseTo(3 * least, within(1e-12));
    }
    // Of constant rewards the plain form would make a quarter too much: weights average 1.25.
    assertThat(plain.refusal().orElseThrow()).contains("step 1 average 1.25");
    assertThat(normalised.refused()).isFalse();
  }

  /** Long sessions far from the log: all weight in one session of 1,000. */
  @Test
  void refusesSessionsUnlikeThePolicys() {
    for (boolean selfNormalised : new boolean[] {false, true}) {
      Settings settings = new Settings(selfNormalised, Double.POSITIVE_INFINITY, 0.9);
      PerDecision estimator = new PerDecision(settings, BOOTSTRAP);
      PerDecision same = new PerDecision(settings, BOOTSTRAP);
      for (int session = 0; session < 1000; session++) {
        for (int step = 0; step < 400; step++) {
          estimator.add(session == 500 ? 1e10 : 0.5, 1, session, session);
          same.add(1, 1, session, session);
        }
      }
      OffPolicyEstimate estimate = estimator.estimate();
      assertThat(estimate.refusal().orElseThrow()).contains("size 1.000 of 1000 sessions");
      assertThat(estimate.value()).isFinite();
      assertThat(same.estimate().value()).isCloseTo(10, within(1e-9));
      assertThat(estimator.minus(same).mean()).isNaN();
    }
  }

  /** A step that few sessions of the policy's kind reach decides, unless it hardly counts. */
  @Test
  void theWorstStepThatCountsDecides() {
    for (int step = 0; step < 3; step++) {
      // Rewards of the third step count for 0.09^2 = 0.8 % of the first one's.
      PerDecision estimator = new PerDecision(new Settings(true, 1e9, 0.09), BOOTSTRAP);
      for (int session = 0; session < 1000; session++) {
        for (int t = 0; t < 3; t++) {
          estimator.add(t == step && session > 0 ? 1e-9 : 1, 1, session, session);
        }
      }
      OffPolicyEstimate estimate = estimator.estimate();
      assertThat(estimate.ess()).isCloseTo(step < 2 ? 1 : 1000, within(0.01));
      assertThat(estimate.refused()).isEqualTo(step < 2);
    }
  }

  @Test
  void refusesBrokenSteps() {
    PerDecision estimator = new PerDecision(new Settings(true, 10, 0.9), BOOTSTRAP);
    assertThatThrownBy(estimator::estimate).hasMessageContaining("no logged steps");
    assertThatThrownBy(() -> estimator.add(Double.NaN, 1, 42, 1))
        .hasMessageContaining("session 42");
    assertThatThrownBy(() -> estimator.add(-1, 1, 42, 1)).hasMessageContaining("ratio -1");
    assertThatThrownBy(() -> new Settings(true, 0, 0.9)).hasMessageContaining("cap=0");
  }
}
