package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.mtf.evaluation.FittedQEvaluation.Judged;
import org.unifiedrl.mtf.evaluation.FittedQEvaluation.Sessions;
import org.unifiedrl.mtf.evaluation.FittedQEvaluation.Settings;

/**
 * A world with known values: x' = x / 2 + a + noise, rewards 1 + x and a, a session goes on with
 * probability 3/4. Logged actions are uniform in +-0.3.
 */
class FittedQEvaluationTest {

  private static final double DISCOUNT = 0.9;
  private static final double GOES_ON = 0.75;
  private static final float HALF_WIDTH = 0.3f;
  private static final EngineOptions OPTIONS =
      EngineOptions.DEFAULT.withBackend("cpu").withThreads(1).withSeed(4);
  private static final Settings SETTINGS =
      new Settings(4, 1_500, 128, List.of(32, 32), 2e-3, 0.01, 0, 8);

  private static Sessions log(int sessions, long seed) {
    Random random = new Random(seed);
    int rows = 0;
    float[] states = new float[40 * sessions];
    float[] actions = new float[40 * sessions];
    float[] rewards = new float[80 * sessions];
    boolean[] last = new boolean[40 * sessions];
    long[] units = new long[40 * sessions];
    for (int session = 0; session < sessions; session++) {
      double x = random.nextGaussian();
      for (boolean goesOn = true; goesOn; rows++) {
        goesOn = random.nextDouble() < GOES_ON;
        double a = HALF_WIDTH * (2 * random.nextDouble() - 1);
        states[rows] = (float) x;
        actions[rows] = (float) a;
        rewards[2 * rows] = (float) (1 + x);
        rewards[2 * rows + 1] = (float) a;
        last[rows] = !goesOn;
        units[rows] = session / 2;
        x = x / 2 + a + 0.3 * random.nextGaussian();
      }
    }
    return new Sessions(
        Arrays.copyOf(states, rows),
        1,
        Arrays.copyOf(actions, rows),
        1,
        Arrays.copyOf(rewards, 2 * rows),
        2,
        Arrays.copyOf(last, rows),
        Arrays.copyOf(units, rows));
  }

  /** Value of always doing a, from x of mean 0. */
  private static double truth(double a, double discount) {
    double g = GOES_ON * discount;
    return 1 / (1 - g) + a * (3 / (1 - g) - 2 / (1 - g / 2));
  }

  private static Judged judge(Sessions log, double discount, Settings settings, float a) {
    float[] targets = new float[log.rows()];
    Arrays.fill(targets, a);
    BoxSupport support = new BoxSupport();
    for (int r = 0; r < log.rows(); r++) {
      support.add(targets, new float[] {-HALF_WIDTH}, new float[] {HALF_WIDTH}, 0, 1);
    }
    return new FittedQEvaluation(settings, discount, log, OPTIONS)
        .judge(targets, support.refusal());
  }

  /**
   * The start states alone leave a standard error of 1.9 / sqrt(3,000) = 0.035 of values about 3;
   * differences of policies, which share them, are surer.
   */
  @Test
  void findsTheValueOfPoliciesItNeverSaw() {
    Sessions log = log(3_000, 1);
    Judged still = judge(log, DISCOUNT, SETTINGS, 0);
    Judged up = judge(log, DISCOUNT, SETTINGS, 0.2f);
    OffPolicyEstimate estimate = up.estimate();
    assertThat(estimate.refused()).isFalse();
    assertThat(estimate.samples()).isEqualTo(3_000);
    assertThat(estimate.units()).isEqualTo(1_500);
    assertThat(truth(0.2, DISCOUNT)).isBetween(estimate.low(), estimate.high());
    assertThat(truth(0, DISCOUNT)).isBetween(still.estimate().low(), still.estimate().high());
    assertThat(estimate.high() - estimate.low()).isBetween(0.1, 0.8);
    Interval gain = up.minus(still);
    double known = truth(0.2, DISCOUNT) - truth(0, DISCOUNT);
    assertThat(known).isBetween(gain.low(), gain.high());
    assertThat(gain.mean()).isCloseTo(known, within(0.15 * known));
    assertThat(gain.low()).isPositive();
    // Without a discount only the first request counts: 1 + E x + a.
    Judged first = judge(log, 0, SETTINGS, 0.2f);
    assertThat(first.estimate().value()).isCloseTo(1.2, within(0.06));
  }

  @Test
  void isReproducibleAndPaired() {
    Sessions log = log(200, 2);
    Settings few = new Settings(3, 50, 32, List.of(8), 1e-3, 0.05, 0, 4);
    Judged one = judge(log, DISCOUNT, few, 0.1f);
    Judged same = judge(log, DISCOUNT, few, 0.1f);
    assertThat(same.atOwn()).isEqualTo(one.atOwn());
    assertThat(one.minus(same)).isEqualTo(new Interval(0, 0, 0));
    assertThat(Arrays.stream(one.atOwn()).distinct()).hasSize(3);
  }

  /**
   * Next to nothing of the conservative term changes next to nothing: the same batches pass through
   * the longer program. A real share sets values outside the log's actions back behind those inside
   * them, which it raises: the term's gradient is -alpha at what was logged.
   */
  @Test
  void conservatismSetsBackWhatTheLogDoesNotHold() {
    Sessions log = log(1_000, 5);
    Settings plain = new Settings(3, 800, 64, List.of(16), 2e-3, 0.02, 0, 6);
    double[] lowered = new double[2];
    for (int i = 0; i < 2; i++) {
      float a = i == 0 ? 0 : 0.45f;
      double value = judge(log, DISCOUNT, plain, a).estimate().value();
      double hardly = judge(log, DISCOUNT, plain.withConservatism(1e-9), a).estimate().value();
      // Rounding of other sums, over 800 steps of Adam.
      assertThat(hardly).isCloseTo(value, within(0.02));
      lowered[i] = value - judge(log, DISCOUNT, plain.withConservatism(0.2), a).estimate().value();
    }
    assertThat(lowered[1]).isGreaterThan(lowered[0] + 0.1);
  }

  @Test
  void refusesPoliciesFarOutsideTheBoxAndDivergence() {
    Sessions log = log(100, 3);
    Settings few = new Settings(3, 20, 32, List.of(8), 1e-3, 0.05, 0, 4);
    assertThat(judge(log, DISCOUNT, few, 0.49f).estimate().refused()).isFalse();
    Judged far = judge(log, DISCOUNT, few, 0.51f);
    assertThat(far.estimate().refusal().orElseThrow()).contains("outside the explored box");
    assertThat(far.minus(judge(log, DISCOUNT, few, 0)).mean()).isNaN();
    Settings wild = new Settings(3, 400, 32, List.of(8), 1e30, 0.05, 0, 4);
    assertThat(judge(log, DISCOUNT, wild, 0).estimate().refusal().orElseThrow())
        .contains("diverged")
        .contains("fitted_q.rate");
  }

  @Test
  void refusesBrokenLogsAndSettings() {
    assertThatThrownBy(
            () ->
                new Sessions(
                    new float[1], 1, new float[1], 1, new float[1], 1, new boolean[1], new long[1]))
        .hasMessageContaining("ends its session");
    assertThatThrownBy(() -> new Settings(2, 50, 32, List.of(8), 1e-3, 0.05, 0, 4))
        .hasMessageContaining("fitted_q.members is 2.0");
    assertThatThrownBy(() -> new Settings(3, 50, 32, List.of(), 1e-3, 0.05, 0, 4))
        .hasMessageContaining("hidden");
  }
}
