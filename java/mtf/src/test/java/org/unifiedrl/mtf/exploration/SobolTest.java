package org.unifiedrl.mtf.exploration;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SobolTest {

  private static double coordinate(int index, int dimension) {
    return (Sobol.word(index, dimension) & 0xFFFFFFFFL) * 0x1p-32;
  }

  /** The first two dimensions have no choice: van der Corput's sequence, and 1 + x with m_1 = 1. */
  @Test
  void startsAsPublished() {
    double[][] expected = {
      {0, 0},
      {.5, .5},
      {.25, .75},
      {.75, .25},
      {.125, .625},
      {.625, .125},
      {.375, .375},
      {.875, .875}
    };
    for (int i = 0; i < 8; i++) {
      assertThat(coordinate(i, 0)).isEqualTo(expected[i][0]);
      assertThat(coordinate(i, 1)).isEqualTo(expected[i][1]);
    }
  }

  @Test
  void polynomialsArePrimitiveAndDiffer() {
    Set<Integer> seen = new HashSet<>();
    for (int d = 1; d < Sobol.DIMENSIONS; d++) {
      int polynomial = Sobol.polynomial(d);
      int top = Integer.highestOneBit(polynomial);
      int order = 0;
      int power = 1;
      do {
        power <<= 1;
        if ((power & top) != 0) {
          power ^= polynomial;
        }
        order++;
      } while (power != 1);
      assertThat(order).as("order of x modulo %d", polynomial).isEqualTo(top - 1);
      assertThat(seen.add(polynomial)).isTrue();
    }
  }

  /** Each dimension alone: every aligned run of 2^m points has one in each interval of 2^-m. */
  @Test
  void everyDimensionIsANetOfQualityZero() {
    for (int d = 0; d < Sobol.DIMENSIONS; d++) {
      for (int run = 0; run < 5; run++) {
        boolean[] hit = new boolean[256];
        for (int i = 0; i < 256; i++) {
          hit[Sobol.word(run * 256 + i, d) >>> 24] = true;
        }
        assertThat(hit).doesNotContain(false);
      }
    }
  }

  /**
   * The table's claim, by counting: the first 2^m points have 2^t in every dyadic rectangle of area
   * 2^(t-m), for every pair of dimensions and the largest t that the search found.
   */
  @Test
  void everyPlaneIsANetOfTheStatedQuality() {
    int[] largest = {5, 5, 5, 5};
    int[] sizes = {6, 8, 10, 12};
    for (int s = 0; s < sizes.length; s++) {
      int m = sizes[s];
      int t = largest[s];
      for (int a = 0; a < Sobol.DIMENSIONS; a++) {
        for (int b = 0; b < a; b++) {
          for (int first = 0; first <= m - t; first++) {
            int second = m - t - first;
            int[] count = new int[1 << (m - t)];
            for (int i = 0; i < 1 << m; i++) {
              int x = (int) ((Sobol.word(i, a) & 0xFFFFFFFFL) >>> (32 - first));
              int y = (int) ((Sobol.word(i, b) & 0xFFFFFFFFL) >>> (32 - second));
              count[(x << second) | y]++;
            }
            for (int c : count) {
              assertThat(c).isEqualTo(1 << t);
            }
          }
        }
      }
    }
  }
}
