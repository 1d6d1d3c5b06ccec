package org.unifiedrl.mtf.exploration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.FloatRange;
import org.junit.jupiter.api.Test;

class SobolBoxTest {

  @Property(tries = 200)
  void staysInItsBoxAndLogsTheUniformDensity(
      @ForAll long seed, @ForAll @FloatRange(min = -1, max = 1) float mean) {
    Draws draws = Draws.of(SobolBox.symmetric(2, 0.15f), seed, 8, 3, new float[] {mean, -mean});
    for (int row = 0; row < 24; row++) {
      double volume = 1;
      for (int k = 0; k < 2; k++) {
        int at = 2 * row + k;
        float centre = k == 0 ? mean : -mean;
        assertThat(draws.low()[at]).isEqualTo(Math.max(centre - 0.15f, -1));
        assertThat(draws.high()[at]).isEqualTo(Math.min(centre + 0.15f, 1));
        assertThat(draws.actions()[at]).isBetween(draws.low()[at], draws.high()[at]);
        volume *= draws.high()[at] - draws.low()[at];
      }
      assertThat((double) draws.logDensity()[row]).isCloseTo(-Math.log(volume), within(1e-5));
    }
  }

  /**
   * Over seeds, every single action is uniform, and its two dimensions together: chi-square of 64
   * cells, 63 degrees of freedom, exceeds 110 once in 5,000. One user and request at a time.
   */
  @Test
  void everyActionAloneIsUniformInItsBox() {
    int seeds = 6_400;
    for (int[] which : new int[][] {{0, 0}, {5, 0}, {77, 2}}) {
      int[] cells = new int[64];
      for (int seed = 0; seed < seeds; seed++) {
        Draws draws = Draws.of(SobolBox.symmetric(2, 0.5f), seed, 78, which[1] + 1, new float[2]);
        int row = which[1] * 78 + which[0];
        int x = (int) ((draws.action(row, 0) + 0.5f) * 8);
        int y = (int) ((draws.action(row, 1) + 0.5f) * 8);
        cells[8 * Math.min(x, 7) + Math.min(y, 7)]++;
      }
      double chiSquare = 0;
      for (int count : cells) {
        chiSquare += (count - seeds / 64.0) * (count - seeds / 64.0) / (seeds / 64.0);
      }
      assertThat(chiSquare).isBetween(25.0, 110.0);
    }
  }

  /** Users of a row hit every cell of a grid equally often, at every request. */
  @Test
  void usersCoverTheBoxEvenlyAtEveryRequest() {
    int users = 1024;
    Draws draws = Draws.of(SobolBox.symmetric(10, 0.5f), 9, users, 3, new float[10]);
    for (int request = 0; request < 3; request++) {
      for (int k = 0; k < 10; k++) {
        int[] cells = new int[users];
        for (int user = 0; user < users; user++) {
          float unit = draws.action(request * users + user, k) + 0.5f;
          cells[Math.min((int) (unit * users + 1e-3), users - 1)]++;
        }
        // Rounding to floats may carry a point over the edge of a cell.
        assertThat(Arrays.stream(cells)).allMatch(count -> count <= 2);
        int empty = 0;
        for (int count : cells) {
          empty += count == 0 ? 1 : 0;
        }
        assertThat(empty).isLessThan(users / 50);
      }
    }
  }

  /** A user's own actions are as good as independent: correlations within 5 / sqrt(n). */
  @Test
  void aUsersSuccessiveActionsAreUncorrelated() {
    int seeds = 4_000;
    double sum = 0;
    for (int seed = 0; seed < seeds; seed++) {
      Draws draws = Draws.of(SobolBox.symmetric(1, 0.5f), seed, 4, 2, new float[1]);
      assertThat(draws.action(3, 0)).isNotEqualTo(draws.action(7, 0));
      sum += 12 * draws.action(3, 0) * draws.action(7, 0);
    }
    assertThat(sum / seeds).isCloseTo(0, within(5 / Math.sqrt(seeds)));
  }

  /** Centred L2 discrepancy (Hickernell 1998) of the units of a box, against ten random samples. */
  @Test
  void discrepancyIsBelowRandoms() {
    int n = 512;
    for (int size : new int[] {2, 10}) {
      double sobol =
          discrepancy(Draws.of(SobolBox.symmetric(size, 0.5f), 4, n, 1, new float[size]));
      double least = Double.MAX_VALUE;
      for (int seed = 0; seed < 10; seed++) {
        Draws random = Draws.of(UniformBox.symmetric(size, 0.5f), seed, n, 1, new float[size]);
        least = Math.min(least, discrepancy(random));
      }
      assertThat(sobol).as("%d dimensions", size).isLessThan((size == 2 ? 0.2 : 0.6) * least);
    }
  }

  private static double discrepancy(Draws draws) {
    int n = draws.logDensity().length;
    int size = draws.size();
    double single = 0;
    double pairs = 0;
    for (int i = 0; i < n; i++) {
      double product = 1;
      for (int k = 0; k < size; k++) {
        double x = Math.abs(draws.action(i, k));
        product *= 1 + 0.5 * x - 0.5 * x * x;
      }
      single += product;
      for (int j = 0; j < n; j++) {
        product = 1;
        for (int k = 0; k < size; k++) {
          double x = draws.action(i, k);
          double y = draws.action(j, k);
          product *= 1 + 0.5 * Math.abs(x) + 0.5 * Math.abs(y) - 0.5 * Math.abs(x - y);
        }
        pairs += product;
      }
    }
    return Math.sqrt(Math.pow(13 / 12.0, size) - 2 * single / n + pairs / n / n);
  }

  @Test
  void badInputIsNamed() {
    assertThatThrownBy(() -> SobolBox.symmetric(SobolBox.MAXIMUM_SIZE + 1, 0.1f))
        .hasMessageContaining("at most 20 action dimensions, found 21");
    assertThatThrownBy(
            () -> Draws.of(SobolBox.symmetric(1, 0.1f), 1, 1, 1, new float[] {Float.NaN}))
        .hasMessageContaining("row 0, dimension 0 is NaN");
  }
}
