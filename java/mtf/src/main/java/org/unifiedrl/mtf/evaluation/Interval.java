package org.unifiedrl.mtf.evaluation;

/**
 * An estimate with its 95 % interval.
 *
 * @param mean the estimate on the data itself
 * @param low 2.5 % quantile of its bootstrap distribution
 * @param high 97.5 % quantile
 */
public record Interval(double mean, double low, double high) {

  /** Whether the whole interval lies above {@code value}. */
  public boolean above(double value) {
    return low > value;
  }
}
