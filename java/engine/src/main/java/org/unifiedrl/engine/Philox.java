package org.unifiedrl.engine;

/**
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011).
 *
 * <p>A 64-bit key and a 128-bit counter give four independent 32-bit words; there is no state. The
 * same key and counter give the same words on every machine, thread and back end, in any order.
 * Every method is static, allocates nothing and may be called from any thread.
 *
 * <p>The counter's words are c0, c1 (low and high half of {@code counterLow}) and c2, c3 (low and
 * high half of {@code counterHigh}); the key's words are k0, k1 (low and high half of {@code key}).
 */
public final class Philox {

  private static final long MULTIPLIER_0 = 0xD2511F53L;
  private static final long MULTIPLIER_1 = 0xCD9E8D57L;
  private static final int WEYL_0 = 0x9E3779B9;
  private static final int WEYL_1 = 0xBB67AE85;
  private static final int ROUNDS = 10;
  private static final long LOW_WORD = 0xFFFFFFFFL;

  private Philox() {}

  /**
   * Writes the four words of one block.
   *
   * @param key seed
   * @param counterHigh words c2 and c3
   * @param counterLow words c0 and c1
   * @param words receives the words x0, x1, x2, x3 at {@code offset .. offset + 3}
   */
  public static void block(long key, long counterHigh, long counterLow, int[] words, int offset) {
    int c0 = (int) counterLow;
    int c1 = (int) (counterLow >>> 32);
    int c2 = (int) counterHigh;
    int c3 = (int) (counterHigh >>> 32);
    int k0 = (int) key;
    int k1 = (int) (key >>> 32);
    for (int round = 0; round < ROUNDS; round++) {
      long product0 = MULTIPLIER_0 * (c0 & LOW_WORD);
      long product1 = MULTIPLIER_1 * (c2 & LOW_WORD);
      c0 = (int) (product1 >>> 32) ^ c1 ^ k0;
      c2 = (int) (product0 >>> 32) ^ c3 ^ k1;
      c1 = (int) product1;
      c3 = (int) product0;
      k0 += WEYL_0;
      k1 += WEYL_1;
    }
    words[offset] = c0;
    words[offset + 1] = c1;
    words[offset + 2] = c2;
    words[offset + 3] = c3;
  }

  /** The first two words of a block as one number: x0 in the low half, x1 in the high half. */
  public static long bits(long key, long counterHigh, long counterLow) {
    int c0 = (int) counterLow;
    int c1 = (int) (counterLow >>> 32);
    int c2 = (int) counterHigh;
    int c3 = (int) (counterHigh >>> 32);
    int k0 = (int) key;
    int k1 = (int) (key >>> 32);
    for (int round = 0; round < ROUNDS; round++) {
      long product0 = MULTIPLIER_0 * (c0 & LOW_WORD);
      long product1 = MULTIPLIER_1 * (c2 & LOW_WORD);
      c0 = (int) (product1 >>> 32) ^ c1 ^ k0;
      c2 = (int) (product0 >>> 32) ^ c3 ^ k1;
      c1 = (int) product1;
      c3 = (int) product0;
      k0 += WEYL_0;
      k1 += WEYL_1;
    }
    return (c0 & LOW_WORD) | ((long) c1 << 32);
  }

  /** Uniform float in [0, 1), a multiple of 2^-24. */
  public static float uniformFloat(int bits) {
    return (bits >>> 8) * 0x1p-24f;
  }

  /**
   * Uniform float in (0, 1), an odd multiple of 2^-24: never 0, never 1, so its logarithm is
   * finite.
   */
  public static float openFloat(int bits) {
    return ((bits >>> 9) + 0.5f) * 0x1p-23f;
  }

  /** Uniform double in [0, 1), a multiple of 2^-53. */
  public static double uniformDouble(long bits) {
    return (bits >>> 11) * 0x1p-53;
  }

  /** Uniform double in (0, 1), an odd multiple of 2^-53. */
  public static double openDouble(long bits) {
    return ((bits >>> 12) + 0.5) * 0x1p-52;
  }

  /** Uniform double in [0, 1) of one counter. */
  public static double uniform(long key, long counterHigh, long counterLow) {
    return uniformDouble(bits(key, counterHigh, counterLow));
  }

  /**
   * Standard normal deviate of one counter: Box and Muller's cosine branch on two words. Its
   * largest magnitude is sqrt(48 ln 2), about 5.77.
   */
  public static double normal(long key, long counterHigh, long counterLow) {
    return normal(bits(key, counterHigh, counterLow));
  }

  /** Standard normal deviate of 64 uniform bits, as {@link #normal(long, long, long)}. */
  public static double normal(long bits) {
    return normal((int) bits, (int) (bits >>> 32));
  }

  /** Standard normal deviate of two uniform words. */
  public static double normal(int radius, int angle) {
    return Math.sqrt(-2 * Math.log(openFloat(radius)))
        * Math.cos(2 * Math.PI * uniformFloat(angle));
  }
}
