package org.unifiedrl.mtf.study;

import java.util.Arrays;

/**
 * A number over independent seeds: its mean, how far seeds lie apart, and what that says of the
 * mean by Student's t distribution. NaN stands for what so few seeds do not tell.
 *
 * @param seeds how many
 * @param mean over the seeds
 * @param deviation sample standard deviation, from 2 seeds on
 * @param low lower end of the mean's 95 % interval, from 2 seeds on
 * @param high upper end
 * @param p two-sided p value of a mean of 0, from 2 seeds on; NaN if all seeds are the same
 */
public record SeedSummary(
    int seeds, double mean, double deviation, double low, double high, double p) {

  private static final SeedSummary NONE =
      new SeedSummary(0, Double.NaN, Double.NaN, Double.NaN, Double.NaN, Double.NaN);

  /**
   * Summarises one value a seed. Values that are not finite (refused estimates) are left out and
   * not counted among the seeds.
   */
  public static SeedSummary of(double... values) {
    double[] finite = Arrays.stream(values).filter(Double::isFinite).toArray();
    int n = finite.length;
    if (n == 0) {
      return NONE;
    }
    double mean = Arrays.stream(finite).sum() / n;
    if (n == 1) {
      return new SeedSummary(1, mean, Double.NaN, Double.NaN, Double.NaN, Double.NaN);
    }
    double squares = Arrays.stream(finite).map(v -> (v - mean) * (v - mean)).sum();
    double deviation = Math.sqrt(squares / (n - 1));
    double error = deviation / Math.sqrt(n);
    double half = StudentT.critical(0.05, n - 1) * error;
    double p = error > 0 ? StudentT.twoSided(mean / error, n - 1) : Double.NaN;
    return new SeedSummary(n, mean, deviation, mean - half, mean + half, p);
  }
}
