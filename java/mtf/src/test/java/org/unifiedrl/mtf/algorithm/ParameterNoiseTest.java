package org.unifiedrl.mtf.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.evaluation.Ncis;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;

class ParameterNoiseTest {

  private static final int[] SIZES = {6, 32, 4};
  private static final int STATES = 256;

  private static MlpPolicy.Weights weights() {
    float[] parameters = new float[7 * 32 + 33 * 4];
    for (int i = 0; i < parameters.length; i++) {
      parameters[i] = (float) (0.3 * Philox.normal(1, 0, i));
    }
    float[] shift = new float[6];
    float[] scale = new float[6];
    Arrays.fill(scale, 2);
    return new MlpPolicy.Weights(SIZES, parameters, shift, scale);
  }

  private static float[] states() {
    float[] states = new float[STATES * 6];
    for (int i = 0; i < states.length; i++) {
      states[i] = (float) (0.5 * Philox.normal(2, 0, i));
    }
    return states;
  }

  /** Mean and variance of 200 draws of every parameter: five standard errors. */
  @Test
  void everyParameterHasTheNoise() {
    MlpPolicy.Weights weights = weights();
    int n = 200 * weights.parameters().length;
    double sum = 0;
    double squares = 0;
    for (int draw = 0; draw < 200; draw++) {
      float[] perturbed = ParameterNoise.perturbed(weights, 0.05, 7, draw).parameters();
      for (int i = 0; i < perturbed.length; i++) {
        double noise = (perturbed[i] - weights.parameters()[i]) / 0.05;
        assertThat(noise).isNotZero();
        sum += noise;
        squares += noise * noise;
      }
    }
    assertThat(sum / n).isCloseTo(0, within(5 / Math.sqrt(n)));
    assertThat(squares / n).isCloseTo(1, within(5 * Math.sqrt(2.0 / n)));
  }

  @Test
  void perturbationsAreKeyedByTheirNumber() {
    MlpPolicy.Weights weights = weights();
    float[] before = weights.parameters().clone();
    float[] first = ParameterNoise.perturbed(weights, 0.1, 7, 1).parameters();
    assertThat(ParameterNoise.perturbed(weights, 0.1, 7, 1).parameters()).isEqualTo(first);
    assertThat(ParameterNoise.perturbed(weights, 0.1, 7, 2).parameters()).isNotEqualTo(first);
    assertThat(ParameterNoise.perturbed(weights, 0.1, 8, 1).parameters()).isNotEqualTo(first);
    assertThat(weights.parameters()).isEqualTo(before);
  }

  /** Whatever it starts from, sigma comes to where actions move by the target on average. */
  @Test
  void sigmaFollowsTheActions() {
    MlpPolicy.Weights weights = weights();
    float[] states = states();
    try (MlpPolicy policy = new MlpPolicy(weights)) {
      for (double start : new double[] {1e-2, 1}) {
        double sigma = start;
        double mean = 0;
        for (int draw = 0; draw < 800; draw++) {
          double distance;
          try (MlpPolicy other = new MlpPolicy(ParameterNoise.perturbed(weights, sigma, 3, draw))) {
            distance = ParameterNoise.distance(policy, other, states, STATES);
          }
          mean += draw >= 500 ? distance / 300 : 0;
          sigma = ParameterNoise.adapted(sigma, distance, 0.15);
        }
        // The rule finds the median of the distances, which vary by a fifth or so.
        assertThat(mean).isCloseTo(0.15, within(0.02));
      }
    }
  }

  /** The size that is known before exploring is the one at which actions move by the target. */
  @Test
  void settledSigmaMovesActionsByTheTarget() {
    MlpPolicy.Weights weights = weights();
    double sigma = ParameterNoise.settled(weights, 0.15, states(), STATES, 3);
    double mean = 0;
    try (MlpPolicy policy = new MlpPolicy(weights)) {
      for (int draw = 0; draw < 300; draw++) {
        try (MlpPolicy other = new MlpPolicy(ParameterNoise.perturbed(weights, sigma, 4, draw))) {
          mean += ParameterNoise.distance(policy, other, states(), STATES) / 300;
        }
      }
    }
    assertThat(mean).isCloseTo(0.15, within(0.02));
  }

  @Test
  void distanceIsTheRootMeanSquare() {
    MlpPolicy.Weights still = new MlpPolicy.Weights(new int[] {1, 2}, new float[4], null, null);
    float[] moved = {0, 0, 0.3f, 0};
    MlpPolicy.Weights other = new MlpPolicy.Weights(new int[] {1, 2}, moved, null, null);
    try (MlpPolicy a = new MlpPolicy(still);
        MlpPolicy b = new MlpPolicy(other)) {
      assertThat(ParameterNoise.distance(a, b, new float[5], 5))
          .isCloseTo(Math.tanh(0.3) / Math.sqrt(2), within(1e-6));
    }
  }

  /** No density, no weight: not a value that looks like one. */
  @Test
  void estimatorsRefuseAStepWithoutADensity() {
    Ncis ncis = new Ncis(Ncis.Settings.DEFAULT, new PairedBootstrap(1, 100));
    assertThatThrownBy(() -> ncis.add(new float[1], new float[1], 0, 1, Float.NaN, 1, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("log-density NaN");
  }

  @Test
  void badSettingsAreNamed() {
    assertThatThrownBy(() -> ParameterNoise.perturbed(weights(), 0, 1, 1))
        .hasMessageContaining("sigma of parameter noise is 0.0");
    assertThatThrownBy(() -> ParameterNoise.adapted(0.1, 0.1, Double.NaN))
        .hasMessageContaining("target of parameter noise is NaN");
  }
}
