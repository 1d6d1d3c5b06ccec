package org.unifiedrl.mtf.exploration;

/** Counter layout and input checks shared by the explorers. */
final class Keys {

  /** Keeps exploration's draws apart from an environment's draws under the same seed. */
  private static final long STREAM = 0x4558504cL << 32;

  private Keys() {}

  /** High counter half of a user's dimension. */
  static long counterHigh(int user, int dimension) {
    return STREAM ^ ((long) dimension << 56) ^ (user & 0xFFFFFFFFL);
  }

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
