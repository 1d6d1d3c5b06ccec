package org.unifiedrl.mtf.exploration;

import java.util.Arrays;
import org.unifiedrl.engine.Philox;

/**
 * Bounded uniform exploration, UnifiedRL's own (specification 2.1, Eq. 3): uniform on the box
 * {@code [mu + lower, mu + upper]} intersected with the action range [-1, 1], dimensions
 * independent.
 *
 * <p>The density is that of the intersected box, {@code 1 / PROD_k (high_k - low_k)}, which is
 * larger near the edge of the action range. Since {@code lower < 0 < upper}, no box is empty.
 */
public final class UniformBox implements Explorer {

  private final float[] lower;
  private final float[] upper;

  /**
   * Creates the explorer with bounds per dimension.
   *
   * @param lower A lower bounds relative to the baseline, each in [-2, 0)
   * @param upper A upper bounds, each in (0, 2]
   */
  public UniformBox(float[] lower, float[] upper) {
    Keys.checkedSize(lower.length);
    if (lower.length != upper.length) {
      throw new IllegalArgumentException(
          "got " + lower.length + " lower and " + upper.length + " upper bounds; expected as many");
    }
    for (int k = 0; k < lower.length; k++) {
      if (!(lower[k] >= -2 && lower[k] < 0 && upper[k] > 0 && upper[k] <= 2)) {
        throw new IllegalArgumentException(
            "bounds of dimension "
                + k
                + " are ["
                + lower[k]
                + ", "
                + upper[k]
                + "]; expected -2 <= lower < 0 < upper <= 2");
      }
    }
    this.lower = lower.clone();
    this.upper = upper.clone();
  }

  /** The same bounds {@code -halfWidth, +halfWidth} in every dimension; the paper's are 0.15. */
  public static UniformBox symmetric(int actionSize, float halfWidth) {
    float[] upper = new float[Keys.checkedSize(actionSize)];
    Arrays.fill(upper, halfWidth);
    float[] lower = new float[actionSize];
    Arrays.fill(lower, -halfWidth);
    return new UniformBox(lower, upper);
  }

  @Override
  public int actionSize() {
    return lower.length;
  }

  @Override
  public void explore(
      long seed,
      int[] users,
      long[] requests,
      int rows,
      float[] baseline,
      float[] actions,
      float[] low,
      float[] high,
      float[] logDensity) {
    int size = lower.length;
    for (int row = 0; row < rows; row++) {
      double log = 0;
      for (int k = 0; k < size; k++) {
        int at = row * size + k;
        float mean = Keys.checked(baseline[at], row, k);
        float from = Math.max(mean + lower[k], -1);
        float to = Math.min(mean + upper[k], 1);
        long bits = Philox.bits(seed, Keys.counterHigh(users[row], k), requests[row]);
        float draw = from + (to - from) * Philox.uniformFloat((int) bits);
        low[at] = from;
        high[at] = to;
        actions[at] = Math.min(draw, to); // rounding may pass the edge
        log -= Math.log(to - from);
      }
      logDensity[row] = (float) log;
    }
  }
}
