package org.unifiedrl.mtf.algorithm;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.InferencePolicy;

/**
 * An ensemble of frozen networks with one output of state and action, which give many actions of
 * one state their values. Allocates nothing once it has seen its largest number of actions. One
 * thread at a time.
 */
final class ValueNetworks {

  private static final Cleaner CLEANER = Cleaner.create();

  /**
   * What an ensemble is made of.
   *
   * @param sizes units of each layer: S + A first, 1 last
   * @param members flat parameters of each member, [E][W_1, b_1, W_2, ...]
   * @param shift subtracted from each state feature, S values
   * @param scale then multiplies it
   */
  record Weights(int[] sizes, float[][] members, float[] shift, float[] scale) {

    /**
     * Cuts an ensemble's parameters into those of its members.
     *
     * @param flat layer by layer, weights [E, in, out] then biases [E, out]
     */
    static Weights of(int[] sizes, int members, float[] flat, float[] shift, float[] scale) {
      float[][] each = new float[members][flat.length / members];
      int from = 0;
      int to = 0;
      for (int l = 1; l < sizes.length; l++) {
        for (int width : new int[] {sizes[l - 1] * sizes[l], sizes[l]}) {
          for (int e = 0; e < members; e++, from += width) {
            System.arraycopy(flat, from, each[e], to, width);
          }
          to += width;
        }
      }
      return new Weights(sizes, each, shift, scale);
    }
  }

  private final int states;
  private final int actions;
  private final InferencePolicy[] networks;
  private FloatBuffer x = Engine.directFloats(1);
  private FloatBuffer y = Engine.directFloats(1);

  ValueNetworks(Weights weights) {
    states = weights.shift().length;
    actions = weights.sizes()[0] - states;
    float[] shift = new float[states + actions];
    float[] scale = new float[states + actions];
    Arrays.fill(scale, 1);
    System.arraycopy(weights.shift(), 0, shift, 0, states);
    System.arraycopy(weights.scale(), 0, scale, 0, states);
    networks = new InferencePolicy[weights.members().length];
    for (int e = 0; e < networks.length; e++) {
      InferencePolicy network =
          InferencePolicy.create(
              weights.sizes(), Activation.LINEAR, weights.members()[e], shift, scale);
      networks[e] = network;
      CLEANER.register(this, network::close); // as MlpPolicy's: nobody else sees the end
    }
  }

  int stateSize() {
    return states;
  }

  int actionSize() {
    return actions;
  }

  int members() {
    return networks.length;
  }

  /** Sets the state and the actions whose values are asked for next. */
  void set(float[] state, int stateAt, float[] candidates, int count) {
    int width = states + actions;
    if (x.capacity() < count * width) {
      x = Engine.directFloats((long) count * width);
      y = Engine.directFloats(count);
    }
    for (int row = 0; row < count; row++) {
      x.put(row * width, state, stateAt, states);
      x.put(row * width + states, candidates, row * actions, actions);
    }
  }

  /** Adds {@code weight} times a member's values of the {@code count} actions that were set. */
  void add(int member, int count, double weight, double[] sums) {
    values(member, count);
    for (int row = 0; row < count; row++) {
      sums[row] += weight * y.get(row);
    }
  }

  /** A member's values of the actions that were set; valid until the next call. */
  FloatBuffer values(int member, int count) {
    try {
      networks[member].run(x, count, y);
    } finally {
      Reference.reachabilityFence(this);
    }
    return y;
  }
}
