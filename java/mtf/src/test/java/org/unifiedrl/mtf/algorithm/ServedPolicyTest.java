package org.unifiedrl.mtf.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
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

  /** Plain loops: every candidate is decoded, perturbed and cut, and the first critic chooses. */
  @Test
  void theBestOfDecodedActionsIsServed() {
    Set<Integer> chosen = new HashSet<>();
    boolean cut = false;
    for (int seed = 1; seed <= 8; seed++) {
      cut |= servedIsBest(new Random(seed), chosen);
    }
    assertThat(chosen).hasSizeGreaterThan(1);
    assertThat(cut).isTrue();
  }

  /** Compares random networks' actions; returns whether any was cut, and adds what was chosen. */
  private static boolean servedIsBest(Random random, Set<Integer> chosen) {
    int latents = 2 * ACTIONS;
    int count = 5;
    float[] shift = {0.1f, -0.2f, 0.3f};
    float[] scale = {2, 0.5f, 1.5f};
    Map<String, MlpPolicy.Weights> networks =
        Map.of(
            "decoder", network(random, shift, scale, STATES + latents, HIDDEN, ACTIONS),
            "perturbation", network(random, shift, scale, STATES + ACTIONS, HIDDEN, ACTIONS),
            "critic", network(random, shift, scale, STATES + ACTIONS, HIDDEN, 1),
            "range", network(random, shift, scale, 1, ACTIONS),
            "latents", network(random, shift, scale, latents, count));
    Policy policy = ServedPolicy.BEST_OF_DECODED.of(networks::get).get();
    assertThat(policy.stateSize()).isEqualTo(STATES);
    assertThat(policy.actionSize()).isEqualTo(ACTIONS);

    int rows = 40;
    float[] states = new float[rows * STATES];
    for (int i = 0; i < states.length; i++) {
      states[i] = (float) random.nextGaussian();
    }
    float[] served = new float[rows * ACTIONS];
    policy.act(states, rows, served);
    boolean cut = false;
    for (int row = 0; row < rows; row++) {
      double[] state = new double[STATES];
      for (int k = 0; k < STATES; k++) {
        state[k] = (states[row * STATES + k] - shift[k]) * scale[k];
      }
      double highest = Double.NEGATIVE_INFINITY;
      double[] best = null;
      int which = -1;
      for (int i = 0; i < count; i++) {
        double[] latent = new double[latents];
        for (int k = 0; k < latents; k++) {
          latent[k] = networks.get("latents").parameters()[k * count + i];
        }
        double[] action = tanh(output(networks.get("decoder"), state, latent));
        double[] moved = tanh(output(networks.get("perturbation"), state, action));
        for (int k = 0; k < ACTIONS; k++) {
          double range = networks.get("range").parameters()[ACTIONS + k];
          action[k] = Math.max(-1, Math.min(1, action[k] + range * moved[k]));
        }
        double value = output(networks.get("critic"), state, action)[0];
        if (value > highest) {
          highest = value;
          best = action;
          which = i;
        }
      }
      chosen.add(which);
      for (int k = 0; k < ACTIONS; k++) {
        cut |= Math.abs(best[k]) == 1;
        assertThat((double) served[row * ACTIONS + k]).isCloseTo(best[k], within(1e-5));
      }
    }
    return cut;
  }

  private static MlpPolicy.Weights network(
      Random random, float[] shift, float[] scale, int... sizes) {
    int length = 0;
    for (int l = 1; l < sizes.length; l++) {
      length += (sizes[l - 1] + 1) * sizes[l];
    }
    float[] parameters = new float[length];
    for (int i = 0; i < length; i++) {
      parameters[i] = (float) random.nextGaussian();
    }
    return new MlpPolicy.Weights(sizes, parameters, shift, scale);
  }

  /** Of a network with one hidden layer, before anything is applied to its outputs. */
  private static double[] output(MlpPolicy.Weights network, double[] state, double[] further) {
    double[] x = Arrays.copyOf(state, state.length + further.length);
    System.arraycopy(further, 0, x, state.length, further.length);
    double[] hidden = layer(network.parameters(), 0, x, HIDDEN);
    for (int j = 0; j < HIDDEN; j++) {
      hidden[j] = Math.max(hidden[j], 0);
    }
    return layer(network.parameters(), (x.length + 1) * HIDDEN, hidden, network.sizes()[2]);
  }

  private static double[] tanh(double[] x) {
    return Arrays.stream(x).map(Math::tanh).toArray();
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
