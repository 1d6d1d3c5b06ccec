package org.unifiedrl.mtf.exploration;

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

  private final Box box;

  /**
   * Creates the explorer with bounds per dimension.
   *
   * @param lower A lower bounds relative to the baseline, each in [-2, -{@value #LEAST}]
   * @param upper A upper bounds, each in [{@value #LEAST}, 2]
   */
  public UniformBox(float[] lower, float[] upper) {
    this(new Box(lower, upper));
  }

  /** Creates the explorer of a box. */
  public UniformBox(Box box) {
    super(box.size());
    this.box = box;
  }

  /** The same bounds {@code -halfWidth, +halfWidth} in every dimension; the paper's are 0.15. */
  public static UniformBox symmetric(int actionSize, float halfWidth) {
    return new UniformBox(Box.symmetric(actionSize, halfWidth));
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
    float from = box.low(k, mean);
    float to = box.high(k, mean);
    long bits = Philox.bits(seed, counterHigh, counterLow);
    actions[at] = Box.place(from, to, Philox.uniformFloat((int) bits));
    low[at] = from;
    high[at] = to;
    return -Math.log(to - from);
  }
}
