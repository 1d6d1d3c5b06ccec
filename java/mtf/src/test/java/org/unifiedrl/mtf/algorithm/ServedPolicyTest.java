package org.unifiedrl.mtf.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.policy.Policy;

class ServedPolicyTest {

  private static final int STATES = 3;
  private static final int HIDDEN = 4;
  private static final int ACTIONS = 2;

  /** Mean and deviation come from one layer; only the mean is served. */
  @Test
  void theMeanOfASquashedGaussianIsServed() {
    int outputs = 2 * ACTIONS;
    int second = (STATES + 1) * HIDDEN;
    float[] parameters = new float[second + (HIDDEN + 1) * outputs];
    Random random = new Random(1);
    for (int i = 0; i < parameters.length; i++) {
      parameters[i] = (float) random.nextGaussian();
    }
    float[] state = {0.4f, -1.2f, 0.7f};
    double[] hidden = layer(parameters, 0, new double[] {0.4f, -1.2f, 0.7f}, HIDDEN);
    for (int j = 0; j < HIDDEN; j++) {
      hidden[j] = Math.max(hidden[j], 0);
    }
    double[] head = layer(parameters, second, hidden, outputs);

    MlpPolicy.Weights network =
        new MlpPolicy.Weights(
            new int[] {STATES, HIDDEN, outputs},
            parameters,
            new float[STATES],
            new float[] {1, 1, 1});
    Policy policy = ServedPolicy.SQUASHED_MEAN.of(name -> network).get();
    assertThat(policy.actionSize()).isEqualTo(ACTIONS);
    float[] action = new float[ACTIONS];
    policy.act(state, 1, action);
    for (int k = 0; k < ACTIONS; k++) {
      assertThat((double) action[k]).isCloseTo(Math.tanh(head[k]), within(1e-5));
    }
  }

  /** Weights [in][out], then biases. */
  private static double[] layer(float[] parameters, int first, double[] x, int out) {
    double[] y = new double[out];
    for (int j = 0; j < out; j++) {
      y[j] = parameters[first + x.length * out + j];
      for (int i = 0; i < x.length; i++) {
        y[j] += x[i] * parameters[first + i * out + j];
      }
    }
    return y;
  }
}
