package org.unifiedrl.mtf.serving;

import java.util.Arrays;
import java.util.List;

/**
 * A network's answer to one row, in plain Java.
 *
 * <p>A layer is a sum of weight rows, four at a time, each an array of its own: loops over arrays
 * of one index are what compilers of Java 17 and newer turn into vector instructions. Rows whose
 * input a ReLU has set to 0 are left out, which is half of them or more.
 *
 * <p>Immutable; what a row needs lies in a {@link Scratch}.
 */
final class DenseNetwork {

  private final float[][][] weights; // [layer][input][output]
  private final float[][] biases;
  private final boolean tanh;
  private final int[] all; // input numbers of the first layer

  /**
   * Copies a network.
   *
   * @param tanh whether its last layer ends in tanh, or in nothing
   */
  DenseNetwork(PolicyModel.Network network, boolean tanh) {
    List<PolicyModel.Layer> layers = network.layers();
    this.tanh = tanh;
    weights = new float[layers.size()][][];
    biases = new float[layers.size()][];
    for (int l = 0; l < weights.length; l++) {
      PolicyModel.Layer layer = layers.get(l);
      biases[l] = layer.bias().clone();
      weights[l] = new float[layer.inputs()][];
      for (int i = 0; i < layer.inputs(); i++) {
        int row = i * layer.outputs();
        weights[l][i] = Arrays.copyOfRange(layer.weight(), row, row + layer.outputs());
      }
    }
    all = new int[network.inputs()];
    Arrays.setAll(all, i -> i);
  }

  /** Memory for one row at a time. */
  final class Scratch {
    private final float[] begun = new float[biases[0].length];
    private final float[][] outputs = new float[biases.length][];
    private final int[] active;

    private Scratch() {
      int widest = 0;
      for (int l = 0; l < outputs.length; l++) {
        outputs[l] = new float[biases[l].length];
        widest = Math.max(widest, outputs[l].length);
      }
      active = new int[widest];
    }

    /** Sets the first {@code count} inputs. */
    void begin(float[] inputs, int count) {
      System.arraycopy(biases[0], 0, begun, 0, begun.length);
      accumulate(weights[0], 0, all, count, inputs, begun);
    }

    /**
     * Sets the inputs behind those of {@link #begin}, which stay for further calls.
     *
     * @param from number of inputs that were set already
     * @param count number of those that are left
     * @return the network's outputs, until the next call
     */
    float[] finish(int from, float[] inputs, int count) {
      float[] x = outputs[0];
      System.arraycopy(begun, 0, x, 0, x.length);
      accumulate(weights[0], from, all, count, inputs, x);
      for (int l = 1; l < outputs.length; l++) {
        int positive = 0;
        for (int i = 0; i < x.length; i++) {
          active[positive] = i;
          // Counted without a branch, which nothing could predict.
          positive += x[i] <= 0 ? 0 : 1; // NaN goes on, so that it is seen at the end
        }
        float[] y = outputs[l];
        System.arraycopy(biases[l], 0, y, 0, y.length);
        accumulate(weights[l], 0, active, positive, x, y);
        x = y;
      }
      if (tanh) {
        for (int i = 0; i < x.length; i++) {
          // The strict one: the same action for the same request, on whatever machine it is played
          // again.
          x[i] = (float) StrictMath.tanh(x[i]);
        }
      }
      return x;
    }
  }

  Scratch scratch() {
    return new Scratch();
  }

  /**
   * Adds the products of some inputs and their weight rows: y += SUM_j x[which_j] rows[which_j].
   */
  private static void accumulate(
      float[][] rows, int offset, int[] which, int count, float[] x, float[] y) {
    int j = 0;
    for (; j + 4 <= count; j += 4) {
      int a = which[j];
      int b = which[j + 1];
      int c = which[j + 2];
      int d = which[j + 3];
      addFour(
          y,
          rows[offset + a],
          x[a],
          rows[offset + b],
          x[b],
          rows[offset + c],
          x[c],
          rows[offset + d],
          x[d]);
    }
    for (; j < count; j++) {
      addOne(rows[offset + which[j]], x[which[j]], y);
    }
  }

  /** A loop of its own, so that it compiles alone. */
  private static void addFour(
      float[] y,
      float[] wa,
      float a,
      float[] wb,
      float b,
      float[] wc,
      float c,
      float[] wd,
      float d) {
    for (int o = 0; o < y.length; o++) {
      y[o] += (wa[o] * a + wb[o] * b) + (wc[o] * c + wd[o] * d);
    }
  }

  private static void addOne(float[] row, float x, float[] y) {
    for (int o = 0; o < y.length; o++) {
      y[o] += row[o] * x;
    }
  }
}
