package org.unifiedrl.mtf.exploration;

/**
 * The Sobol sequence in base 2 (Sobol, "On the distribution of points in a cube and the approximate
 * evaluation of integrals", USSR Comput. Math. Math. Phys. 7(4), 1967), in the order of its index.
 *
 * <p>The initial direction numbers are this project's own. Dimension by dimension, of up to 250
 * random choices the one was taken whose projections on the plane with every earlier dimension are
 * best: least mean of 2^t over the first 2^4, 2^6, ..., 2^16 points, t the quality parameter of the
 * (t, m, 2)-net that they are.
 */
final class Sobol {

  /** For every dimension from the second on: the primitive polynomial, then the numbers m_i. */
  private static final int[][] INITIAL = {
    {3, 1},
    {7, 1, 3},
    {11, 1, 3, 1},
    {13, 1, 1, 5},
    {19, 1, 3, 1, 3},
    {25, 1, 3, 7, 15},
    {37, 1, 1, 7, 13, 17},
    {41, 1, 3, 7, 13, 31},
    {47, 1, 3, 1, 11, 19},
    {55, 1, 3, 7, 5, 15},
    {59, 1, 1, 1, 3, 13},
    {61, 1, 1, 3, 15, 1},
    {67, 1, 3, 7, 3, 11, 39},
    {91, 1, 1, 1, 11, 7, 55},
    {97, 1, 3, 5, 1, 19, 35},
    {103, 1, 1, 3, 3, 25, 3},
    {109, 1, 3, 3, 11, 31, 47},
    {115, 1, 3, 3, 5, 19, 7},
    {131, 1, 3, 5, 3, 27, 3, 105},
  };

  /** Number of dimensions. */
  static final int DIMENSIONS = INITIAL.length + 1;

  private static final int BITS = 32;

  private static final int[] DIRECTIONS = directions();

  private Sobol() {}

  /**
   * One coordinate of a point: a binary fraction of 32 digits in the bits of an int.
   *
   * @param index of the point, as an unsigned number
   * @param dimension from 0
   */
  static int word(int index, int dimension) {
    int word = 0;
    for (int left = index; left != 0; left &= left - 1) {
      word ^= DIRECTIONS[dimension * BITS + Integer.numberOfTrailingZeros(left)];
    }
    return word;
  }

  /** The primitive polynomial of a dimension from 1 on, its coefficients as bits. */
  static int polynomial(int dimension) {
    return INITIAL[dimension - 1][0];
  }

  /**
   * With x^s + a_1 x^(s-1) + ... + a_(s-1) x + 1 the polynomial, {@code m_i = 2 a_1 m_(i-1) XOR ...
   * XOR 2^(s-1) a_(s-1) m_(i-s+1) XOR 2^s m_(i-s) XOR m_(i-s)}; the direction number is m_i / 2^i,
   * whose digits stand at the upper end of the word here.
   */
  private static int[] directions() {
    int[] all = new int[DIMENSIONS * BITS];
    for (int i = 0; i < BITS; i++) {
      all[i] = 1 << (BITS - 1 - i); // the first dimension is van der Corput's sequence
    }
    for (int dimension = 1; dimension < DIMENSIONS; dimension++) {
      int[] row = INITIAL[dimension - 1];
      int degree = row.length - 1;
      int at = dimension * BITS;
      for (int i = 0; i < BITS; i++) {
        if (i < degree) {
          all[at + i] = row[1 + i] << (BITS - 1 - i);
          continue;
        }
        // Divided by 2^i, a term 2^k m_(i-k) is the direction number i - k itself.
        int v = all[at + i - degree] ^ (all[at + i - degree] >>> degree);
        for (int k = 1; k < degree; k++) {
          if ((row[0] >> (degree - k) & 1) == 1) {
            v ^= all[at + i - k];
          }
        }
        all[at + i] = v;
      }
    }
    return all;
  }
}
