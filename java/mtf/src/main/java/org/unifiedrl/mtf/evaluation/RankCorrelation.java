package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;

/** Agreement of two orders of the same policies, in [-1, 1]: 1 for the same order. */
public final class RankCorrelation {

  private RankCorrelation() {}

  /**
   * Spearman's rho: the correlation of ranks, ties at their mean rank.
   *
   * @return NaN if all values of one side are equal
   * @throws IllegalArgumentException if lengths differ or are below 2, or a value is NaN: leave
   *     refused estimates out
   */
  public static double spearman(double[] estimates, double[] truths) {
    double[] x = ranks(estimates, truths);
    double[] y = ranks(truths, estimates);
    double xy = 0;
    double xx = 0;
    double yy = 0;
    double mean = (x.length - 1) / 2.0;
    for (int i = 0; i < x.length; i++) {
      xy += (x[i] - mean) * (y[i] - mean);
      xx += (x[i] - mean) * (x[i] - mean);
      yy += (y[i] - mean) * (y[i] - mean);
    }
    return xy / Math.sqrt(xx * yy);
  }

  /**
   * Spearman's rho with the 95 % interval that other policies of the same kind would give it:
   * {@code tanh(atanh(rho) +- 1.96 sqrt((1 + rho^2 / 2) / (n - 3)))} (Bonett and Wright, 2000). An
   * order without any mistake is taken for one with half an exchange of neighbours: n policies show
   * no more.
   *
   * @return not a number where rho is not, or for fewer than 5 policies
   */
  public static Interval spearmanInterval(double[] estimates, double[] truths) {
    int n = estimates.length;
    double rho = n < 5 ? Double.NaN : spearman(estimates, truths);
    double most = 1 - 6.0 / ((double) n * ((double) n * n - 1));
    double z = Math.max(-most, Math.min(most, rho));
    double half = 1.959963984540054 * Math.sqrt((1 + z * z / 2) / (n - 3));
    double centre = 0.5 * Math.log((1 + z) / (1 - z));
    return new Interval(
        rho, Math.min(rho, Math.tanh(centre - half)), Math.max(rho, Math.tanh(centre + half)));
  }

  private static double[] ranks(double[] values, double[] others) {
    boolean broken = Arrays.stream(values).anyMatch(Double::isNaN);
    if (values.length != others.length || values.length < 2 || broken) {
      throw new IllegalArgumentException(
          "ranks of "
              + Arrays.toString(values)
              + " and "
              + others.length
              + " others: expected two numbers or more on either side");
    }
    double[] ranks = new double[values.length];
    for (int i = 0; i < ranks.length; i++) {
      for (double other : values) {
        ranks[i] += other < values[i] ? 1 : other == values[i] ? 0.5 : 0;
      }
      ranks[i] -= 0.5;
    }
    return ranks;
  }
}
