package org.unifiedrl.mtf.baseline;

import java.util.Arrays;

/**
 * The box that vectors are searched in. For normalised actions it is [-1, 1] in every dimension:
 * the ranges of the {@link org.unifiedrl.mtf.fusion.ActionMap}. Immutable.
 */
public final class SearchBox {

  private final float[] low;
  private final float[] high;

  /**
   * Creates a box.
   *
   * @param low least value of each dimension
   * @param high largest value of each dimension, above {@code low}
   */
  public SearchBox(float[] low, float[] high) {
    if (low.length == 0 || low.length != high.length) {
      throw new IllegalArgumentException(
          "a box needs a least and a largest value in each dimension; got "
              + low.length
              + " and "
              + high.length);
    }
    for (int k = 0; k < low.length; k++) {
      if (!(low[k] < high[k]) || Float.isInfinite(low[k]) || Float.isInfinite(high[k])) {
        throw new IllegalArgumentException(
            "dimension "
                + k
                + " of the box is ["
                + low[k]
                + ", "
                + high[k]
                + "]: expected two finite numbers, the first below the second");
      }
    }
    this.low = low.clone();
    this.high = high.clone();
  }

  /** All normalised actions of a size. */
  public static SearchBox actions(int size) {
    float[] low = new float[size];
    float[] high = new float[size];
    Arrays.fill(low, -1);
    Arrays.fill(high, 1);
    return new SearchBox(low, high);
  }

  /** Number of dimensions. */
  public int size() {
    return low.length;
  }

  /** Least value of dimension {@code k}. */
  public float low(int k) {
    return low[k];
  }

  /** Largest value of dimension {@code k}. */
  public float high(int k) {
    return high[k];
  }

  /** Width of dimension {@code k}. */
  public double width(int k) {
    return (double) high[k] - low[k];
  }

  /** The value of dimension {@code k} that is nearest to {@code x}. */
  public float clip(int k, double x) {
    return (float) Math.max(low[k], Math.min(high[k], x));
  }

  /** The value of dimension {@code k} at a share of its width, 0 .. 1. */
  public float at(int k, double share) {
    return clip(k, low[k] + share * width(k));
  }

  /**
   * A copy of a vector in the box.
   *
   * @throws IllegalArgumentException if it has another size or lies outside
   */
  public float[] checked(float[] vector) {
    if (vector.length != low.length) {
      throw new IllegalArgumentException(
          "the start has " + vector.length + " values, the box " + low.length + " dimensions");
    }
    for (int k = 0; k < low.length; k++) {
      if (!(vector[k] >= low[k] && vector[k] <= high[k])) {
        throw new IllegalArgumentException(
            "dimension "
                + k
                + " of the start is "
                + vector[k]
                + "; expected a number in ["
                + low[k]
                + ", "
                + high[k]
                + "]");
      }
    }
    return vector.clone();
  }
}
