package org.unifiedrl.mtf.algorithm;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.InferencePolicy;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.Tensor;
import org.unifiedrl.mtf.policy.Policy;

/**
 * A trained actor for serving: normalises the state, runs the network, gives actions in [-1, 1].
 * Calls allocate nothing after the first of its size. One thread at a time; {@link #copy} makes one
 * for another thread.
 */
public final class MlpPolicy implements Policy, AutoCloseable {

  private static final String PARAMETERS = "actor";
  private static final String SHIFT = "state_shift";
  private static final String SCALE = "state_scale";
  private static final String SIZES = "actor_sizes";

  private final int[] sizes;
  private final float[] parameters;
  private final float[] shift;
  private final float[] scale;
  private final InferencePolicy network;
  private FloatBuffer x = Engine.directFloats(0);
  private FloatBuffer y = Engine.directFloats(0);

  /**
   * Creates a policy; arrays are copied.
   *
   * @param sizes inputs S, hidden units, outputs A
   * @param parameters flat layout W_1, b_1, W_2, b_2, ...
   * @param shift subtracted from each state feature, S values
   * @param scale multiplies each state feature after the shift, S values
   */
  public MlpPolicy(int[] sizes, float[] parameters, float[] shift, float[] scale) {
    this.sizes = sizes.clone();
    this.parameters = parameters.clone();
    this.shift = shift.clone();
    this.scale = scale.clone();
    this.network = InferencePolicy.create(sizes, Activation.TANH, parameters, shift, scale);
  }

  /** The policy of a checkpoint that {@link Trainer} or {@link #tensors} made. */
  public static MlpPolicy of(Checkpoint checkpoint) {
    long[] wide = checkpoint.tensor(SIZES).toLongs();
    int[] sizes = new int[wide.length];
    for (int i = 0; i < sizes.length; i++) {
      sizes[i] = Math.toIntExact(wide[i]);
    }
    return new MlpPolicy(
        sizes,
        checkpoint.tensor(PARAMETERS).toFloats(),
        checkpoint.tensor(SHIFT).toFloats(),
        checkpoint.tensor(SCALE).toFloats());
  }

  /** What a checkpoint needs to hold for {@link #of}. */
  public Map<String, Tensor> tensors() {
    long[] wide = new long[sizes.length];
    for (int i = 0; i < sizes.length; i++) {
      wide[i] = sizes[i];
    }
    return Map.of(
        SIZES, Tensor.of(wide, wide.length),
        PARAMETERS, Tensor.of(parameters, parameters.length),
        SHIFT, Tensor.of(shift, shift.length),
        SCALE, Tensor.of(scale, scale.length));
  }

  /** The same policy for another thread. */
  public MlpPolicy copy() {
    return new MlpPolicy(sizes, parameters, shift, scale);
  }

  /** Inputs, hidden units, outputs. */
  public List<Integer> sizes() {
    return Arrays.stream(sizes).boxed().toList();
  }

  /**
   * Parameters of the same function for states normalised by another shift and scale: x' = (x -
   * shift') scale' is undone by the first layer.
   */
  float[] parametersFor(float[] otherShift, float[] otherScale) {
    float[] result = parameters.clone();
    int units = sizes[1];
    int bias = sizes[0] * units;
    for (int u = 0; u < units; u++) {
      double sum = parameters[bias + u];
      for (int i = 0; i < sizes[0]; i++) {
        double weight = parameters[i * units + u];
        result[i * units + u] = (float) (weight * scale[i] / otherScale[i]);
        sum += weight * scale[i] * ((double) otherShift[i] - shift[i]);
      }
      result[bias + u] = (float) sum;
    }
    return result;
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
  public void act(float[] states, int rows, float[] actions) {
    int inputs = rows * network.inputs();
    int outputs = rows * network.outputs();
    if (rows < 0 || states.length < inputs || actions.length < outputs) {
      throw new IllegalArgumentException(
          "%d rows need %d state values and %d action values, found %d and %d"
              .formatted(rows, inputs, outputs, states.length, actions.length));
    }
    if (x.capacity() < inputs) {
      x = Engine.directFloats(inputs);
      y = Engine.directFloats(outputs);
    }
    x.clear().put(states, 0, inputs).flip();
    y.clear();
    network.run(x, rows, y);
    y.get(actions, 0, outputs);
  }

  @Override
  public void close() {
    network.close();
  }
}
