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
