package org.unifiedrl.mtf.exploration;

import org.unifiedrl.engine.Philox;

/**
 * Space-filling exploration of the box of {@link UniformBox} (specification 9): the n-th actions of
 * a rollout's users are points of one scrambled Sobol sequence, the user's number their place in
 * it. Users numbered in a row thus cover the box evenly at each of their requests, with less
 * variance in whatever is averaged over them, while a user's own actions are independent of one
 * another.
 *
 * <p>The scrambling is a digital shift: every dimension's words are XORed with a random word of the
 * run's seed, the dimension and n. It keeps the sequence's evenness and makes every single action
 * uniform in its box.
 *
 * <p>The logged density is that marginal one, {@code 1 / PROD_k (high_k - low_k)}, exact over the
 * seed's draw. Weights by it are proper for every step, and so are their means. But n-th actions of
 * different users depend on one another: an interval that takes users to be independent, as the
 * bootstrap does, is not exact, and as a rule too wide.
 */
public final class SobolBox extends SequentialExplorer {

  /** Most action dimensions. */
  public static final int MAXIMUM_SIZE = Sobol.DIMENSIONS;

  /** Keeps the shifts apart from other draws under the same seed. */
  private static final long STREAM = 0x534fL << 40;

  private final Box box;

  /**
   * Creates the explorer with bounds per dimension.
   *
   * @param lower A lower bounds relative to the baseline, each in [-2, -{@value UniformBox#LEAST}];
   *     A is at most {@link #MAXIMUM_SIZE}
   * @param upper A upper bounds, each in [{@value UniformBox#LEAST}, 2]
   */
  public SobolBox(float[] lower, float[] upper) {
    this(new Box(lower, upper));
  }

  private SobolBox(Box box) {
    super(checkedDimensions(box.size()), 1, false);
    this.box = box;
  }

  /** The same bounds {@code -halfWidth, +halfWidth} in every dimension. */
  public static SobolBox symmetric(int actionSize, float halfWidth) {
    return new SobolBox(Box.symmetric(actionSize, halfWidth));
  }

  private static int checkedDimensions(int size) {
    if (size > MAXIMUM_SIZE) {
      throw new IllegalArgumentException(
          "Sobol exploration has at most "
              + MAXIMUM_SIZE
              + " action dimensions, found "
              + size
              + "; explore uniformly");
    }
    return size;
  }

  @Override
  public Explorer forRollout() {
    return new SobolBox(box);
  }

  @Override
  double draw(
      long seed,
      int user,
      long request,
      int row,
      boolean first,
      double[] memory,
      int at,
      float[] baseline,
      float[] actions,
      float[] low,
      float[] high) {
    memory[at] = first ? 0 : memory[at] + 1;
    long n = (long) memory[at];
    int size = actionSize();
    double log = 0;
    for (int k = 0; k < size; k++) {
      int place = row * size + k;
      float mean = IndependentExplorer.checked(baseline[place], row, k);
      float from = box.low(k, mean);
      float to = box.high(k, mean);
      int shift = (int) Philox.bits(seed, STREAM ^ ((long) k << 56), n);
      float uniform = Philox.uniformFloat(Sobol.word(user, k) ^ shift);
      actions[place] = Box.place(from, to, uniform);
      low[place] = from;
      high[place] = to;
      log -= Math.log(to - from);
    }
    return log;
  }
}
