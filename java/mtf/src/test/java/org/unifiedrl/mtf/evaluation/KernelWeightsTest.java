package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.exploration.Explorer;
import org.unifiedrl.mtf.exploration.Normal;
import org.unifiedrl.mtf.exploration.SobolBox;
import org.unifiedrl.mtf.exploration.TruncatedGaussian;
import org.unifiedrl.mtf.exploration.UniformBox;

class KernelWeightsTest {

  private static final PairedBootstrap BOOTSTRAP = new PairedBootstrap(1, 200);
  private static final int STEPS = 200_000;
  private static final double H = 0.1;

  /** Lower and upper edges about 0; the third dimension's box is cut at the action range. */
  private static final float[] LOWER = {-0.15f, -0.2f, -0.3f};

  private static final float[] UPPER = {0.15f, 0.1f, 0.3f};
  private static final float[] BASELINE = {0, 0.1f, 0.9f};

  private static List<Explorer> explorers() {
    return List.of(
        new UniformBox(LOWER, UPPER),
        new TruncatedGaussian(LOWER, UPPER, new float[] {0.1f, 0.2f, 0.3f}),
        new SobolBox(LOWER, UPPER));
  }

  /** Mean of a normal truncated to [low, high]. */
  private static double truncatedMean(double mean, double low, double high) {
    double from = (low - mean) / H;
    double to = (high - mean) / H;
    double mass = Math.exp(Normal.logMass(from, to));
    double densities = Math.exp(Normal.logDensity(from)) - Math.exp(Normal.logDensity(to));
    return mean + H * densities / mass;
  }

  /**
   * In the middle, at an edge and a third of a width outside: weights average 1, and the weighted
   * mean of the actions is that of the truncated kernel. Weights reach some tens, so that 200,000
   * steps leave a standard error of a few thousandths; without truncation a quarter of the weight
   * or less were left at the edges.
   */
  @Test
  void weightsInABoxAverageToOneWhereverThePolicyIs() {
    KernelWeights kernel = new KernelWeights(new double[] {H});
    float[][] policies = {{0, 0.05f, 0.8f}, {0.15f, 0.2f, 1}, {0.25f, 0, 0.6f}};
    for (Explorer explorer : explorers()) {
      for (float[] policy : policies) {
        float[] action = new float[3];
        float[] low = new float[3];
        float[] high = new float[3];
        float[] logDensity = new float[1];
        double sum = 0;
        double squares = 0;
        double[] actions = new double[3];
        double lost = 0;
        for (int step = 0; step < STEPS; step++) {
          int[] users = {step};
          long[] zero = {0};
          explorer.explore(5, users, zero, zero, 1, BASELINE, action, low, high, logDensity);
          double weight = kernel.weightInBox(action, policy, low, high, 0, 3, logDensity[0]);
          sum += weight;
          squares += weight * weight;
          lost += kernel.weight(action, policy, 0, 3, logDensity[0]);
          for (int k = 0; k < 3; k++) {
            actions[k] += weight * action[k];
          }
        }
        double mean = sum / STEPS;
        double error = Math.sqrt((squares / STEPS - mean * mean) / STEPS);
        assertThat(mean).isCloseTo(1, within(4 * error));
        assertThat(error).isLessThan(0.01);
        for (int k = 0; k < 3; k++) {
          double known = truncatedMean(policy[k], low[k], high[k]);
          assertThat(actions[k] / STEPS).isCloseTo(known, within(4 * error));
        }
        assertThat(lost / STEPS).isLessThan(0.85);
      }
    }
  }

  /**
   * Two-step sessions in a box of two dimensions; the second state is the first action. A policy
   * near a corner: the truth is that of the truncated kernel, and per-decision weights reach it.
   */
  @Test
  void perDecisionReachesTheTruthInABox() {
    KernelWeights kernel = new KernelWeights(new double[] {H});
    float[] policy = {0.1f, -0.1f};
    float[] low = {-0.15f, -0.15f};
    float[] high = {0.15f, 0.15f};
    double logDensity = -2 * Math.log(0.3);
    double up = truncatedMean(0.1, -0.15, 0.15);
    double truth = 2 + up + 0.9 * (1 + 3 * up - up); // the second dimension's mean is -up
    Random random = new Random(3);
    for (boolean selfNormalised : new boolean[] {false, true}) {
      PerDecision.Settings settings =
          new PerDecision.Settings(selfNormalised, Double.POSITIVE_INFINITY, 0.9);
      PerDecision inBox = new PerDecision(settings, BOOTSTRAP);
      PerDecision plain = new PerDecision(settings, BOOTSTRAP);
      for (int session = 0; session < 50_000; session++) {
        double state = 0;
        for (int step = 0; step < 2; step++) {
          float[] action = {0.3f * random.nextFloat() - 0.15f, 0.3f * random.nextFloat() - 0.15f};
          double reward = step == 0 ? 2 + action[0] : 1 + 3 * state + action[1];
          state = action[0];
          double weight = kernel.weightInBox(action, policy, low, high, 0, 2, logDensity);
          inBox.add(weight, reward, session, session);
          plain.add(kernel.weight(action, policy, 0, 2, logDensity), reward, session, session);
        }
      }
      OffPolicyEstimate estimate = inBox.estimate();
      assertThat(estimate.refused()).isFalse();
      assertThat(truth).isBetween(estimate.low(), estimate.high());
      assertThat(estimate.high() - estimate.low()).isLessThan(0.1);
      if (!selfNormalised) {
        // What the remedy is against: half of each step's weight is outside the box.
        assertThat(plain.estimate().value()).isLessThan(0.5 * truth);
        assertThat(plain.estimate().refusal().orElseThrow()).contains("average");
      }
    }
  }

  @Test
  void refusesBoxesWithoutWidth() {
    KernelWeights kernel = new KernelWeights(new double[] {H});
    float[] zero = {0};
    assertThatThrownBy(() -> kernel.weightInBox(zero, zero, zero, zero, 0, 1, 0))
        .hasMessageContaining("box of dimension 0 is [0.0, 0.0]");
    float[] one = {1};
    float[] nan = {Float.NaN};
    assertThat(kernel.weightInBox(nan, zero, zero, one, 0, 1, 0)).isNaN();
    // 1,000 bandwidths outside, and yet a number.
    assertThat(kernel.weightInBox(one, new float[] {101}, zero, one, 0, 1, 0)).isPositive();
  }
}
