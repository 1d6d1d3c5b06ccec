package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.evaluation.MtfGauc;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimate;

/** Margins: 2 % of an NCIS value of 50, so 1; 0.01 in MTF-GAUC; 3 % in the canary. */
class GateTest {

  private static final Interval UNKNOWN = new Interval(Double.NaN, Double.NaN, Double.NaN);
  private static final Interval ZERO = new Interval(0, 0, 0);

  private static final Gate GATE =
      new Gate(
          new ExperimentConfig.Progressive(
              5,
              ExperimentConfig.RoundData.LATEST,
              ExperimentConfig.RoundStart.WARM,
              ExperimentConfig.BoxSchedule.FIXED,
              95,
              0.05,
              0.3,
              0.02,
              2,
              0.01,
              0.1,
              3));

  private static boolean passes(Interval ncis, double essShare, Interval gauc) {
    Round.Offline offline =
        new Round.Offline(50, ncis, essShare, 0.6, gauc, new Drift(1, List.of(0.1)));
    return GATE.offline(offline).isEmpty();
  }

  private static Interval below(double high) {
    return new Interval(high - 1, high - 2, high);
  }

  @Test
  void offlineRefusesOnlyWhatIsShownToBeWorseThanTheMargin() {
    assertThat(passes(ZERO, 0.5, ZERO)).isTrue();
    assertThat(passes(below(-1.001), 0.5, ZERO)).isFalse();
    assertThat(passes(below(-0.999), 0.5, ZERO)).as("within the margin").isTrue();
    assertThat(passes(new Interval(-9, -20, 2), 0.5, ZERO)).as("not shown").isTrue();
    assertThat(passes(ZERO, 0.5, below(-0.0101))).isFalse();
    assertThat(passes(ZERO, 0.5, below(-0.0099))).isTrue();
  }

  @Test
  void ncisHasNoSayBelowTheFloorOrWhereItIsRefused() {
    assertThat(passes(below(-9), 0.02, ZERO)).isFalse();
    assertThat(passes(below(-9), 0.0199, ZERO)).isTrue();
    assertThat(passes(UNKNOWN, 0.5, ZERO)).isTrue();
    assertThat(passes(UNKNOWN, 0.001, below(-0.02))).as("MTF-GAUC alone").isFalse();
    assertThat(passes(UNKNOWN, 0.001, UNKNOWN)).as("left to the canary").isTrue();
  }

  private static OffPolicyEstimate estimate(double ess) {
    return new OffPolicyEstimate(50, 49, 51, 1000, 100, ess, 5, 0, Optional.empty());
  }

  /** The floor holds for either policy: the one of fewer effective samples counts. */
  @Test
  void theServedPolicyNeedsItsEffectiveSamplesToo() {
    MtfGauc.Result gauc = new MtfGauc.Result(0.6, 10, 0, 100);
    for (double[] ess : new double[][] {{19, 60}, {60, 19}}) {
      OfflineEvaluation evaluation =
          new OfflineEvaluation(
              estimate(ess[0]),
              estimate(ess[1]),
              below(-9),
              new double[] {0.1},
              gauc,
              gauc,
              ZERO,
              List.of());
      Round.Offline offline = Round.Offline.of(evaluation, new Drift(1, List.of(0.1)));
      assertThat(offline.essShare()).isEqualTo(0.019);
      assertThat(GATE.offline(offline)).isEmpty();
    }
  }

  private static AbTest.Result test(Interval uvc, Interval udt) {
    AbTest.Summary any = new AbTest.Summary(1, 1, 1, 1, 1);
    Interval bad = below(-50);
    return new AbTest.Result(10, any, any, uvc, udt, bad, bad, bad);
  }

  @Test
  void theCanaryMustShowThatNothingIsLostBeyondTheMargin() {
    Interval good = new Interval(0, -2.9, 2.9);
    Interval unsure = new Interval(5, -3.1, 20);
    assertThat(GATE.canary(test(good, good))).isEmpty();
    assertThat(GATE.canary(test(UNKNOWN, good))).as("nobody consumed anything").isPresent();
    assertThat(GATE.canary(test(unsure, good)))
        .contains("canary UVC lift, %: +5.00 [-3.10, +20.00], tolerated -3.00");
    assertThat(GATE.canary(test(good, unsure)))
        .contains("canary UDT lift, %: +5.00 [-3.10, +20.00], tolerated -3.00");
  }
}
