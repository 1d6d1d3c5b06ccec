package org.unifiedrl.mtf.exploration;

import java.util.Arrays;

/**
 * Bounds relative to a baseline action: the box {@code [mu + lower, mu + upper]} intersected with
 * the action range [-1, 1]. Since bounds are at least {@link UniformBox#LEAST} away from 0, no box
 * is empty, whatever the rounding, and every box holds its baseline.
 *
 * @param lower A lower bounds, each in [-2, -1e-6]
 * @param upper A upper bounds, each in [1e-6, 2]
 */
public record Box(float[] lower, float[] upper) {

  public Box {
    IndependentExplorer.checkedSize(lower.length);
    if (lower.length != upper.length) {
      throw new IllegalArgumentException(
          "got " + lower.length + " lower and " + upper.length + " upper bounds; expected as many");
    }
    float least = UniformBox.LEAST;
    for (int k = 0; k < lower.length; k++) {
      if (!(lower[k] >= -2 && lower[k] <= -least && upper[k] >= least && upper[k] <= 2)) {
        throw new IllegalArgumentException(
            "bounds of dimension "
                + k
                + " are ["
                + lower[k]
                + ", "
                + upper[k]
                + "]; expected lower in [-2, -1e-6] and upper in [1e-6, 2]");
      }
    }
    lower = lower.clone();
    upper = upper.clone();
  }

  /** The same bounds {@code -halfWidth, +halfWidth} in every dimension. */
  public static Box symmetric(int actionSize, float halfWidth) {
    float[] upper = new float[IndependentExplorer.checkedSize(actionSize)];
    Arrays.fill(upper, halfWidth);
    float[] lower = new float[actionSize];
    Arrays.fill(lower, -halfWidth);
    return new Box(lower, upper);
  }

  /** Bounds beyond the action range: the box is all of it around any action. */
  static Box whole(int actionSize) {
    return symmetric(actionSize, 2);
  }

  /**
   * This box.
   *
   * @throws IllegalArgumentException if it has another number of dimensions
   */
  Box of(int actionSize) {
    if (size() != actionSize) {
      throw new IllegalArgumentException(
          "the box has " + size() + " dimensions; expected " + actionSize + " as the noise");
    }
    return this;
  }

  /** Number of action dimensions A. */
  public int size() {
    return lower.length;
  }

  /** Lower edge of dimension k around a baseline's action. */
  float low(int k, float mean) {
    return Math.max(mean + lower[k], -1);
  }

  /** Upper edge of dimension k around a baseline's action. */
  float high(int k, float mean) {
    return Math.min(mean + upper[k], 1);
  }

  /** The place in a box of a uniform number in [0, 1); rounding may not pass the edge. */
  static float place(float low, float high, float uniform) {
    return Math.min(low + (high - low) * uniform, high);
  }
}
