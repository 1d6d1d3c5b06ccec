package org.unifiedrl.engine;

import java.lang.ref.Reference;
import java.nio.FloatBuffer;

/**
 * A frozen network for serving: inputs are normalised as (x - shift) * scale, then passed through
 * the layers. Calls allocate nothing and take turns.
 */
public final class InferencePolicy extends NativeHandle {

  private final int inputs;
  private final int outputs;

  private InferencePolicy(long address, int inputs, int outputs) {
    super("inference policy", address, Native::policyClose);
    this.inputs = inputs;
    this.outputs = outputs;
  }

  /**
   * Creates a policy; all arrays are copied.
   *
   * @param sizes inputs, hidden units, outputs: 2 to 8 values
   * @param activation of the last layer
   * @param parameters flat layout W_1, b_1, W_2, b_2, ...
   * @param shift one value an input; null if scale is null too
   * @param scale one value an input; null if shift is null too
   * @throws IllegalArgumentException if a size is below 1 or an array has another length
   * @throws EngineException if there are more than 8 sizes, only one of shift and scale, too little
   *     memory, or no native engine
   */
  public static InferencePolicy create(
      int[] sizes, Activation activation, float[] parameters, float[] shift, float[] scale) {
    if (sizes.length < 2) {
      throw new IllegalArgumentException(
          "sizes has " + sizes.length + " values; inputs and outputs at least are needed");
    }
    long expected = 0;
    long[] wide = new long[sizes.length];
    for (int i = 0; i < sizes.length; i++) {
      if (sizes[i] < 1) {
        throw new IllegalArgumentException("sizes[" + i + "] is " + sizes[i] + "; 1 is the least");
      }
      wide[i] = sizes[i];
      expected += i == 0 ? 0 : (wide[i - 1] + 1) * wide[i];
    }
    requireLength("parameters", parameters.length, expected);
    if (shift != null) {
      requireLength("shift", shift.length, sizes[0]);
    }
    if (scale != null) {
      requireLength("scale", scale.length, sizes[0]);
    }
    NativeLibraries.require();
    FloatBuffer flat = direct(parameters);
    FloatBuffer directShift = direct(shift);
    FloatBuffer directScale = direct(scale);
    long[] handle = new long[1];
    try {
      Native.check(
          Native.policyCreate(
              wide, wide.length, activation.code(), flat, directShift, directScale, 0, handle));
    } finally {
      Reference.reachabilityFence(flat);
      Reference.reachabilityFence(directShift);
      Reference.reachabilityFence(directScale);
    }
    return new InferencePolicy(handle[0], sizes[0], sizes[sizes.length - 1]);
  }

  /**
   * Computes {@code y = network(x)} from the buffers' positions on; positions do not move.
   *
   * @param x direct, native order, {@code [rows, inputs]}
   * @param rows at least 0
   * @param y direct, native order, receives {@code [rows, outputs]}
   */
  public void run(FloatBuffer x, int rows, FloatBuffer y) {
    Engine.requireDirect("x", x, (long) rows * inputs);
    Engine.requireWritable("y", y, (long) rows * outputs);
    if (rows == 0) {
      return;
    }
    long address = acquire();
    try {
      Native.check(Native.policyRun(address, x, rows, y));
    } finally {
      release();
      Reference.reachabilityFence(x);
      Reference.reachabilityFence(y);
    }
  }

  /** Number of inputs. */
  public int inputs() {
    return inputs;
  }

  /** Number of outputs. */
  public int outputs() {
    return outputs;
  }

  private static FloatBuffer direct(float[] values) {
    if (values == null) {
      return null;
    }
    return Engine.directFloats(values.length).put(values).flip();
  }

  private static void requireLength(String what, long found, long expected) {
    if (found != expected) {
      throw new IllegalArgumentException(
          what + " has " + found + " values, but " + expected + " are needed for these sizes");
    }
  }
}
