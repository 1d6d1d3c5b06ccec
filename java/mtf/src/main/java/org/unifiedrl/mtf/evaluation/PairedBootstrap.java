package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;
import java.util.function.ToDoubleFunction;
import org.unifiedrl.engine.Philox;

/**
 * Intervals of statistics that are functions of sums over independent units (users, sessions), by
 * the Poisson bootstrap: in every resample each unit counts Poisson(1) times. All columns of a unit
 * get the same count, so policies that served the same users are compared in pairs and the
 * variation between users cancels.
 *
 * <p>Why Poisson and not draws with replacement: the multinomial counts of the ordinary bootstrap
 * are independent Poisson(1) counts conditioned on their total, and that total cancels in a ratio
 * of sums, the only form used here. Poisson counts need no random memory access: one table look-up
 * per 16 random bits, about 1 ns a unit.
 *
 * <p>Immutable; any number of threads. The same seed and data give the same interval.
 */
public final class PairedBootstrap {

  private static final int TILE = 2048;
  private static final byte[] POISSON = poissonTable();

  private final long seed;
  private final int resamples;

  /**
   * Creates a bootstrap.
   *
   * @param seed key of the resampling counts
   * @param resamples number of resamples, at least 40 (one beyond each end of a 95 % interval)
   */
  public PairedBootstrap(long seed, int resamples) {
    if (resamples < 40) {
      throw new IllegalArgumentException(
          "resamples=" + resamples + ": a 95 % interval needs at least 40");
    }
    this.seed = seed;
    this.resamples = resamples;
  }

  /**
   * Lift of a policy over a baseline in percent, {@code 100 (sum policy / sum baseline - 1)}.
   *
   * @param baseline one value per user under the baseline
   * @param policy the same users' values under the policy
   * @throws IllegalArgumentException if lengths differ, a value is not finite, or the baseline's
   *     sum is not positive
   */
  public Interval lift(double[] baseline, double[] policy) {
    if (!(Arrays.stream(baseline).sum() > 0)) {
      throw new IllegalArgumentException(
          "lift over a baseline whose sum is not positive is undefined ("
              + baseline.length
              + " users)");
    }
    return interval(sums -> 100 * (sums[1] / sums[0] - 1), baseline, policy);
  }

  /**
   * Ratio {@code sum numerators / sum denominators} over units.
   *
   * @throws IllegalArgumentException if lengths differ or a value is not finite
   */
  public Interval ratio(double[] numerators, double[] denominators) {
    return interval(sums -> sums[0] / sums[1], numerators, denominators);
  }

  /**
   * Interval of a function of column sums.
   *
   * <p>One unit says nothing of others: its interval is unbounded.
   *
   * @param statistic receives one sum per column, must not depend on their common scale, and may
   *     return what is not finite for a resample on which it is undefined (such resamples are left
   *     out)
   * @param columns arrays of one finite value per unit, all of one length of at least 1
   * @throws IllegalArgumentException if columns do not fit, or the statistic is undefined on the
   *     data or on more than half of the resamples
   */
  public Interval interval(ToDoubleFunction<double[]> statistic, double[]... columns) {
    int units = check(columns);
    double[] sums = new double[columns.length];
    for (int c = 0; c < columns.length; c++) {
      sums[c] = Arrays.stream(columns[c]).sum();
    }
    double mean = statistic.applyAsDouble(sums);
    double[] values = new double[resamples];
    int defined = 0;
    double[] counts = new double[TILE];
    int[] words = new int[4];
    for (int r = 0; r < resamples; r++) {
      Arrays.fill(sums, 0);
      for (int from = 0; from < units; from += TILE) {
        int length = Math.min(TILE, units - from);
        drawCounts(r, from, counts, length, words);
        for (int c = 0; c < columns.length; c++) {
          sums[c] += dot(counts, columns[c], from, length);
        }
      }
      double value = statistic.applyAsDouble(sums);
      if (Double.isFinite(value)) {
        values[defined++] = value;
      }
    }
    if (Double.isNaN(mean) || defined < resamples / 2) {
      throw new IllegalArgumentException(
          "the statistic is undefined on the data or on most resamples ("
              + units
              + " units, "
              + defined
              + " of "
              + resamples
              + " resamples defined); more units are needed");
    }
    if (units == 1) {
      return new Interval(mean, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
    }
    Arrays.sort(values, 0, defined);
    return new Interval(mean, quantile(values, defined, 0.025), quantile(values, defined, 0.975));
  }

  private static int check(double[][] columns) {
    if (columns.length == 0 || columns[0].length == 0) {
      throw new IllegalArgumentException("a bootstrap needs at least one column and one unit");
    }
    int units = columns[0].length;
    for (int c = 0; c < columns.length; c++) {
      if (columns[c].length != units) {
        throw new IllegalArgumentException(
            "column " + c + " has " + columns[c].length + " units, column 0 has " + units);
      }
      for (int u = 0; u < units; u++) {
        if (!Double.isFinite(columns[c][u])) {
          throw new IllegalArgumentException(
              "column " + c + ", unit " + u + ": " + columns[c][u] + " is not finite");
        }
      }
    }
    return units;
  }

  /**
   * Fills {@code counts} with the Poisson(1) counts of units {@code from .. from + length - 1} in a
   * resample: eight counts per 128-bit block, whose counter is (resample, unit / 8).
   */
  private void drawCounts(int resample, int from, double[] counts, int length, int[] words) {
    // TILE is a multiple of 8, so the last block may overrun length but never the array.
    for (int i = 0; i < length; i += 8) {
      Philox.block(seed, resample, (from + i) >>> 3, words, 0);
      for (int word = 0; word < 4; word++) {
        counts[i + 2 * word] = POISSON[words[word] & 0xFFFF];
        counts[i + 2 * word + 1] = POISSON[words[word] >>> 16];
      }
    }
  }

  /** Four partial sums: the additions of one chain would wait for each other. */
  private static double dot(double[] counts, double[] column, int from, int length) {
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    int i = 0;
    for (; i + 3 < length; i += 4) {
      a += counts[i] * column[from + i];
      b += counts[i + 1] * column[from + i + 1];
      c += counts[i + 2] * column[from + i + 2];
      d += counts[i + 3] * column[from + i + 3];
    }
    for (; i < length; i++) {
      a += counts[i] * column[from + i];
    }
    return (a + b) + (c + d);
  }

  private static double quantile(double[] sorted, int length, double probability) {
    double position = probability * (length - 1);
    int below = (int) position;
    int above = Math.min(below + 1, length - 1);
    return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
  }

  /** Inverse Poisson(1) distribution function on a grid of 2^16; each probability errs < 2^-16. */
  private static byte[] poissonTable() {
    byte[] table = new byte[1 << 16];
    double probability = Math.exp(-1);
    double cumulative = probability;
    int count = 0;
    for (int i = 0; i < table.length; i++) {
      while ((i + 0.5) / table.length > cumulative) {
        count++;
        probability /= count;
        cumulative += probability;
      }
      table[i] = (byte) count;
    }
    return table;
  }
}
