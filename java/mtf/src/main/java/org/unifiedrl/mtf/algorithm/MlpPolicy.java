package org.unifiedrl.mtf.algorithm;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.InferencePolicy;
import org.unifiedrl.mtf.policy.Policy;

/** A trained actor. Serves without allocation once it has seen its largest number of rows. */
public final class MlpPolicy implements Policy, AutoCloseable {

  private static final Cleaner CLEANER = Cleaner.create();

  /**
   * What a policy is made of.
   *
   * @param sizes units of each layer, inputs first
   * @param parameters weights and biases in the engine's flat layout
   * @param shift subtracted from each state feature
   * @param scale then multiplies it
   */
  public record Weights(int[] sizes, float[] parameters, float[] shift, float[] scale) {

    /** Of a network that gives means and log standard deviations, what gives the means. */
    public Weights mean() {
      return withOutputs(sizes[sizes.length - 1] / 2);
    }

    /** The network with its first outputs only. */
    Weights withOutputs(int count) {
      int last = sizes.length - 1;
      int outputs = sizes[last];
      int rows = sizes[last - 1] + 1; // the last one is the biases
      int layer = parameters.length - rows * outputs;
      float[] kept = Arrays.copyOf(parameters, layer + rows * count);
      for (int row = 0; row < rows; row++) {
        System.arraycopy(parameters, layer + row * outputs, kept, layer + row * count, count);
      }
      int[] units = sizes.clone();
      units[last] = count;
      return new Weights(units, kept, shift, scale);
    }

    /** The network with the inputs behind the states taken as they are. */
    Weights withFurtherInputs() {
      float[] shifts = Arrays.copyOf(shift, sizes[0]);
      float[] scales = Arrays.copyOf(scale, sizes[0]);
      Arrays.fill(scales, scale.length, sizes[0], 1);
      return new Weights(sizes, parameters, shifts, scales);
    }
  }

  private final Weights weights;
  private final InferencePolicy network;
  private final Cleaner.Cleanable cleanable;
  private FloatBuffer states = Engine.directFloats(1);
  private FloatBuffer actions = Engine.directFloats(1);

  /** A policy of its own; it serves by a copy of the weights. */
  public MlpPolicy(Weights weights) {
    this.weights = weights;
    InferencePolicy created =
        InferencePolicy.create(
            weights.sizes(),
            Activation.TANH,
            weights.parameters(),
            weights.shift(),
            weights.scale());
    network = created;
    // Policies are handed to code that only knows Policy, so their end is the collector's to see.
    cleanable = CLEANER.register(this, created::close);
  }

  /** What it was made of; not to be changed. */
  public Weights weights() {
    return weights;
  }

  @Override
  public int stateSize() {
    return network.inputs();
  }

  @Override
  public int actionSize() {
    return network.outputs();
  }

  @Override
  public void act(float[] stateRows, int rows, float[] actionRows) {
    int in = rows * network.inputs();
    int out = rows * network.outputs();
    if (states.capacity() < in || actions.capacity() < out) {
      states = Engine.directFloats(in);
      actions = Engine.directFloats(out);
    }
    states.put(0, stateRows, 0, in);
    try {
      network.run(states, rows, actions);
    } finally {
      // Without this the collector may close the network while it runs.
      Reference.reachabilityFence(this);
    }
    actions.get(0, actionRows, 0, out);
  }

  /** Frees the native copy; later calls of {@link #act} fail. */
  @Override
  public void close() {
    cleanable.clean();
  }
}
