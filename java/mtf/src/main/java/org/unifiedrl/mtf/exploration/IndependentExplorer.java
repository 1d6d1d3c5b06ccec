package org.unifiedrl.mtf.exploration;

/** Exploration whose dimensions are independent: the loop, the keys of its draws, the checks. */
abstract class IndependentExplorer implements Explorer {

  /** Keeps exploration's draws apart from an environment's draws under the same seed. */
  private static final long STREAM = 0x4558504cL << 32;

  private final int size;

  IndependentExplorer(int size) {
    this.size = size;
  }

  @Override
  public final int actionSize() {
    return size;
  }

  @Override
  public final void explore(
      long seed,
      int[] users,
      long[] sessions,
      long[] requests,
      int rows,
      float[] baseline,
      float[] actions,
      float[] low,
      float[] high,
      float[] logDensity) {
    for (int row = 0; row < rows; row++) {
      double log = 0;
      for (int k = 0; k < size; k++) {
        int at = row * size + k;
        float mean = checked(baseline[at], row, k);
        long counter = STREAM ^ ((long) k << 56) ^ (users[row] & 0xFFFFFFFFL);
        log += draw(k, mean, seed, counter, requests[row], at, actions, low, high);
      }
      logDensity[row] = (float) log;
    }
  }

  /**
   * Draws one dimension of one action.
   *
   * @param k the dimension
   * @param mean the baseline's action
   * @param seed key of the random draw
   * @param counterHigh upper half of its counter
   * @param counterLow lower half of its counter
   * @param at where to put action and box edges
   * @return logarithm of the action's density
   */
  abstract double draw(
      int k,
      float mean,
      long seed,
      long counterHigh,
      long counterLow,
      int at,
      float[] actions,
      float[] low,
      float[] high);

  static float checked(float action, int row, int dimension) {
    if (!(action >= -1 && action <= 1)) {
      throw new IllegalArgumentException(
          "baseline action of row "
              + row
              + ", dimension "
              + dimension
              + " is "
              + action
              + "; expected a number in [-1, 1]: bound the policy's output with tanh or a clamp");
    }
    return action;
  }

  static int checkedSize(int actionSize) {
    if (actionSize < 1 || actionSize > 255) {
      throw new IllegalArgumentException(
          "number of action dimensions is " + actionSize + "; expected 1 .. 255");
    }
    return actionSize;
  }
}
