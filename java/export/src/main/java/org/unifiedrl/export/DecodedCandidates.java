package org.unifiedrl.export;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.serving.PolicyModel.Decoding;
import org.unifiedrl.mtf.serving.PolicyModel.Layer;
import org.unifiedrl.mtf.serving.PolicyModel.Network;

/**
 * What a policy of {@link PolicyModel.Kind#BEST_OF_DECODED} chooses from, in double precision by
 * plain loops: to tell a wrong choice from one between candidates of equal value, which rounding
 * decides.
 */
final class DecodedCandidates {

  private final PolicyModel model;
  private final Decoding decoding;

  DecodedCandidates(PolicyModel model) {
    this.model = model;
    decoding = model.decoding().orElseThrow();
  }

  /**
   * The actions whose value is the largest, within a tolerance relative to the larger of 1 and that
   * value.
   *
   * @param states holds the raw state at {@code at}
   */
  List<float[]> best(float[] states, int at, double tolerance) {
    int s = model.stateSize();
    double[] state = new double[s];
    for (int i = 0; i < s; i++) {
      state[i] = ((double) states[at + i] - model.shift()[i]) * model.scale()[i];
    }
    double[][] actions = new double[decoding.count()][];
    double[] values = new double[decoding.count()];
    for (int c = 0; c < actions.length; c++) {
      double[] latent = new double[decoding.latentSize()];
      for (int i = 0; i < latent.length; i++) {
        latent[i] = decoding.latents()[i * decoding.count() + c];
      }
      actions[c] = perturbed(state, tanh(run("decoder", state, latent)));
      values[c] = run("critic", state, actions[c])[0];
    }
    double largest = Arrays.stream(values).max().orElseThrow();
    List<float[]> best = new ArrayList<>();
    for (int c = 0; c < values.length; c++) {
      if (values[c] >= largest - tolerance * Math.max(1, Math.abs(largest))) {
        best.add(floats(actions[c]));
      }
    }
    return best;
  }

  private double[] perturbed(double[] state, double[] action) {
    double[] direction = tanh(run("perturbation", state, action));
    double[] moved = new double[action.length];
    for (int i = 0; i < moved.length; i++) {
      double sum = action[i] + decoding.range()[i] * direction[i];
      moved[i] = Math.max(-1, Math.min(1, sum));
    }
    return moved;
  }

  private double[] run(String name, double[] state, double[] further) {
    Network network = model.networks().get(name);
    double[] x = Arrays.copyOf(state, state.length + further.length);
    System.arraycopy(further, 0, x, state.length, further.length);
    for (int l = 0; l < network.layers().size(); l++) {
      x = layer(network.layers().get(l), x);
      if (l + 1 < network.layers().size()) {
        for (int i = 0; i < x.length; i++) {
          x[i] = Math.max(0, x[i]);
        }
      }
    }
    return x;
  }

  private static double[] layer(Layer layer, double[] x) {
    double[] y = new double[layer.outputs()];
    for (int o = 0; o < y.length; o++) {
      y[o] = layer.bias()[o];
      for (int i = 0; i < x.length; i++) {
        y[o] += x[i] * layer.weight()[i * layer.outputs() + o];
      }
    }
    return y;
  }

  private static double[] tanh(double[] x) {
    return Arrays.stream(x).map(Math::tanh).toArray();
  }

  private static float[] floats(double[] x) {
    float[] values = new float[x.length];
    for (int i = 0; i < x.length; i++) {
      values[i] = (float) x[i];
    }
    return values;
  }
}
