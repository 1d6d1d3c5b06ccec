package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.evaluation.Ncis.Settings;
import org.unifiedrl.mtf.evaluation.Ncis.Value;
import org.unifiedrl.mtf.exploration.Gaussian;

class NcisTest {

  private static final PairedBootstrap BOOTSTRAP = new PairedBootstrap(1, 200);
  private static final Settings REWARD = new Settings(0.10, 10, Value.REWARD, 0);

  @Test
  void followsTheFormula() {
    // One dimension, three steps in two sessions; density 1/0.3 inside the box.
    float[] logged = {0.05f, -0.10f, 0.12f};
    float[] target = {0.00f, 0.00f, 0.10f};
    double[] rewards = {1, 2, 4};
    float[] logDensity = {(float) Math.log(1 / 0.3), (float) Math.log(1 / 0.3), 0};
    long[] sessions = {8, 8, 9};
    Settings settings = new Settings(0.1, 0.9, Value.RETURN_TO_GO, 0.5);
    Ncis ncis = new Ncis(settings, BOOTSTRAP);
    ncis.add(logged, target, 1, logDensity, rewards, sessions, 3);
    OffPolicyEstimate estimate = ncis.estimate();

    double[] weights = new double[3];
    for (int i = 0; i < 3; i++) {
      double z = ((double) logged[i] - target[i]) / 0.1;
      weights[i] = Math.exp(-z * z / 2) / (0.1 * Math.sqrt(2 * Math.PI)) / Math.exp(logDensity[i]);
    }
    double max = Math.max(weights[0], Math.max(weights[1], weights[2]));
    double[] capped = java.util.Arrays.stream(weights).map(w -> Math.min(w, 0.9)).toArray();
    double sum = capped[0] + capped[1] + capped[2];
    double value = (capped[0] * (1 + 0.5 * 2) + capped[1] * 2 + capped[2] * 4) / sum;
    double squares = capped[0] * capped[0] + capped[1] * capped[1] + capped[2] * capped[2];
    assertThat(estimate.value()).isCloseTo(value, within(1e-12));
    assertThat(estimate.ess()).isCloseTo(sum * sum / squares, within(1e-12));
    assertThat(estimate.maxWeight()).isCloseTo(max, within(1e-12));
    assertThat(estimate.clippedShare()).isCloseTo(2 / 3.0, within(1e-15));
    assertThat(estimate.units()).isEqualTo(2);
    assertThat(estimate.samples()).isEqualTo(3);
    assertThat(estimate.refused()).isFalse();
  }

  /**
   * The specification's toy problem: 10 dimensions, box +-0.15, 200,000 steps, a quadratic reward
   * with its optimum inside the box. Effective shares are those of its table (section 10), which do
   * not depend on the reward.
   */
  @Test
  void reproducesTheSpecificationsEffectiveShares() {
    OffPolicyEstimate near = toy(0.05f);
    OffPolicyEstimate middle = toy(0.10f);
    OffPolicyEstimate edge = toy(0.15f);
    // The table prints three digits; 200,000 draws leave about 1 % of noise in the shares.
    assertThat(near.ess() / near.samples()).isCloseTo(0.225, within(0.005));
    assertThat(middle.ess() / middle.samples()).isCloseTo(0.043, within(0.003));
    // At the edge some hundred steps carry all the weight and the table prints one digit.
    assertThat(edge.ess() / edge.samples()).isCloseTo(0.005, within(0.002));
    assertThat(near.refused()).isFalse();
    assertThat(middle.refused()).isFalse();
    assertThat(edge.refused()).isTrue();
    assertThat(edge.refusal().orElseThrow()).contains("effective sample size").contains("explore");
    assertThat(near.low()).isLessThan(near.value());
    assertThat(near.high()).isGreaterThan(near.value());
    assertThat(middle.value()).isGreaterThan(near.value());
  }

  /**
   * A log of clipped Gaussian exploration near the edge: a third of its actions are 1 exactly, and
   * their logged density is a point mass. Judged policy: clipped N(0.95, 0.1^2), whose mean action
   * is known. Weights reach some 3, so 200,000 steps leave a standard error of 2e-4.
   */
  @Test
  void countsPointMassesOfAClippedGaussianLog() {
    Gaussian explorer = Gaussian.isotropic(1, 0.2f);
    float[] actions = new float[1];
    float[] logDensity = new float[1];
    Ncis ncis = new Ncis(new Settings(0.1, 1e6, Value.REWARD, 0), BOOTSTRAP);
    int atTheEdge = 0;
    for (int step = 0; step < 200_000; step++) {
      explorer.explore(
          5,
          new int[] {step},
          new long[] {0},
          new long[] {0},
          1,
          new float[] {0.9f},
          actions,
          new float[1],
          new float[1],
          logDensity);
      atTheEdge += actions[0] == 1 ? 1 : 0;
      ncis.add(actions, new float[] {0.95f}, 0, 1, logDensity[0], actions[0], step);
    }
    assertThat(atTheEdge).isGreaterThan(50_000);
    double known = Math.exp(Gaussian.logDensity(1, 0.95, 0.1));
    for (int i = 0; i < 20_000; i++) {
      double a = -1 + (i + 0.5) * 1e-4;
      known += a * Math.exp(Gaussian.logDensity(a, 0.95, 0.1)) * 1e-4;
    }
    assertThat(ncis.estimate().value()).isCloseTo(known, within(1e-3));
  }

  @Test
  void bandwidthsMayDifferByDimension() {
    Ncis ncis = new Ncis(new Settings(new double[] {0.1, 0.2}, 1e6, Value.REWARD, 0), BOOTSTRAP);
    ncis.add(new float[] {0.1f, 0.1f}, new float[] {0, 0}, 0, 2, 0, 1, 1);
    double density = Math.exp(-0.5 - 0.125) / (2 * Math.PI * 0.1 * 0.2);
    // 0.1f is 0.1 to a relative 1.5e-8.
    assertThat(ncis.estimate().maxWeight()).isCloseTo(density, within(1e-6));
    assertThatThrownBy(() -> ncis.add(new float[3], new float[3], 0, 3, 0, 1, 1))
        .hasMessageContaining("2 bandwidths for 3 action dimensions");
  }

  /** What two policies share cancels: the difference is surer than either value. */
  @Test
  void differenceIsPairedOverUsers() {
    Random random = new Random(11);
    Ncis before = new Ncis(REWARD, BOOTSTRAP);
    Ncis after = new Ncis(REWARD, BOOTSTRAP);
    for (int step = 0; step < 40_000; step++) {
      long user = step / 2 % 500;
      float[] logged = {0.3f * random.nextFloat() - 0.15f};
      // Users differ by far more than the action does.
      double reward = user % 7 + logged[0];
      before.add(logged, new float[] {0}, 0, 1, -Math.log(0.3), reward, step / 2, user);
      after.add(logged, new float[] {0.05f}, 0, 1, -Math.log(0.3), reward, step / 2, user);
    }
    OffPolicyEstimate low = before.estimate();
    OffPolicyEstimate high = after.estimate();
    Interval difference = after.minus(before);
    assertThat(low.units()).isEqualTo(500);
    assertThat(difference.mean()).isCloseTo(high.value() - low.value(), within(1e-12));
    // 500 users of standard deviation 2: a width of 0.35, were it 20,000 sessions, of 0.055.
    assertThat(high.high() - high.low()).isBetween(0.25, 0.45);
    assertThat(difference.high() - difference.low()).isLessThan(0.1);
    assertThatThrownBy(() -> after.minus(new Ncis(REWARD, BOOTSTRAP)))
        .hasMessageContaining("the same steps");
  }

  private static OffPolicyEstimate toy(float offset) {
    int size = 10;
    Random random = new Random(7);
    double logDensity = -size * Math.log(0.3);
    float[] target = new float[size];
    java.util.Arrays.fill(target, offset);
    float[] logged = new float[size];
    Ncis ncis = new Ncis(REWARD, BOOTSTRAP);
    for (int step = 0; step < 200_000; step++) {
      double reward = 5.2;
      for (int k = 0; k < size; k++) {
        logged[k] = 0.3f * random.nextFloat() - 0.15f;
        reward -= 2 * (logged[k] - 0.12) * (logged[k] - 0.12);
      }
      ncis.add(logged, target, 0, size, logDensity, reward, step / 20);
    }
    return ncis.estimate();
  }

  @Test
  void refusesAPolicyFarFromTheLog() {
    Ncis ncis = new Ncis(REWARD, BOOTSTRAP);
    for (int step = 0; step < 100; step++) {
      ncis.add(new float[] {-1}, new float[] {1000}, 0, 1, 0, 1, step);
    }
    OffPolicyEstimate estimate = ncis.estimate();
    assertThat(estimate.refused()).isTrue();
    assertThat(estimate.value()).isNaN();
    assertThat(estimate.ess()).isZero();
  }

  @Test
  void refusesBrokenSteps() {
    Ncis ncis = new Ncis(REWARD, BOOTSTRAP);
    assertThatThrownBy(ncis::estimate).hasMessageContaining("no logged steps");
    assertThatThrownBy(() -> ncis.add(new float[] {Float.NaN}, new float[] {0}, 0, 1, 0, 1, 42))
        .hasMessageContaining("session 42");
    assertThatThrownBy(
            () -> ncis.add(new float[] {0}, new float[] {0}, 0, 1, Double.NEGATIVE_INFINITY, 1, 4))
        .hasMessageContaining("log-density");
    Ncis broken = new Ncis(REWARD, BOOTSTRAP);
    broken.add(Double.NaN, 1, 1, 1);
    assertThatThrownBy(broken::finish).hasMessageContaining("weight NaN and value 1.0");
    Ncis valueless = new Ncis(REWARD, BOOTSTRAP);
    valueless.add(1, Double.NaN, 1, 1);
    assertThatThrownBy(valueless::finish).hasMessageContaining("weight 1.0 and value NaN");
    assertThatThrownBy(() -> new Settings(0, 10, Value.REWARD, 0))
        .hasMessageContaining("bandwidth=[0.0]");
  }
}
