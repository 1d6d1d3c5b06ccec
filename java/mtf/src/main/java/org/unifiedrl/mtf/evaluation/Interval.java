package org.unifiedrl.mtf.evaluation;

/**
 * An estimate with its 95 % interval.
 *
 * @param mean the estimate on the data itself
 * @param low 2.5 % quantile of its bootstrap distribution; -infinity if it is not known
 * @param high 97.5 % quantile; infinity if it is not known
 */
public record Interval(double mean, double low, double high) {

  /** Whether the whole interval lies above {@code value}. */
  public boolean above(double value) {
    return low > value;
  }
}
