package org.unifiedrl.mtf.exploration;

import java.util.Arrays;
import org.unifiedrl.engine.Philox;

/**
 * Bounded uniform exploration, UnifiedRL's own (specification 2.1, Eq. 3): uniform on the box
 * {@code [mu + lower, mu + upper]} intersected with the action range [-1, 1], dimensions
 * independent.
 *
 * <p>The density is that of the intersected box, {@code 1 / PROD_k (high_k - low_k)}, which is
 * larger near the edge of the action range. Since bounds are at least {@value #LEAST} away from 0,
 * no box is empty, whatever the rounding.
 */
public final class UniformBox extends IndependentExplorer {

  /** Smallest distance of a bound from 0: several units in the last place of an action near 1. */
  public static final float LEAST = 1e-6f;

  private final float[] lower;
  private final float[] upper;

  /**
   * Creates the explorer with bounds per dimension.
   *
   * @param lower A lower bounds relative to the baseline, each in [-2, -{@value #LEAST}]
   * @param upper A upper bounds, each in [{@value #LEAST}, 2]
   */
  public UniformBox(float[] lower, float[] upper) {
    super(checkedSize(lower.length));
    if (lower.length != upper.length) {
      throw new IllegalArgumentException(
          "got " + lower.length + " lower and " + upper.length + " upper bounds; expected as many");
    }
    for (int k = 0; k < lower.length; k++) {
      if (!(lower[k] >= -2 && lower[k] <= -LEAST && upper[k] >= LEAST && upper[k] <= 2)) {
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
    this.lower = lower.clone();
    this.upper = upper.clone();
  }

  /** The same bounds {@code -halfWidth, +halfWidth} in every dimension; the paper's are 0.15. */
  public static UniformBox symmetric(int actionSize, float halfWidth) {
    float[] upper = new float[checkedSize(actionSize)];
    Arrays.fill(upper, halfWidth);
    float[] lower = new float[actionSize];
    Arrays.fill(lower, -halfWidth);
    return new UniformBox(lower, upper);
  }

  @Override
  double draw(
      int k,
      float mean,
      long seed,
      long counterHigh,
      long counterLow,
      int at,
      float[] actions,
      float[] low,
      float[] high) {
    float from = Math.max(mean + lower[k], -1);
    float to = Math.min(mean + upper[k], 1);
    long bits = Philox.bits(seed, counterHigh, counterLow);
    float draw = from + (to - from) * Philox.uniformFloat((int) bits);
    low[at] = from;
    high[at] = to;
    actions[at] = Math.min(draw, to); // rounding may pass the edge
    return -Math.log(to - from);
  }
}
