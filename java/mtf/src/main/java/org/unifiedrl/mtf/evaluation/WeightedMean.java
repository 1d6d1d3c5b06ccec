package org.unifiedrl.mtf.evaluation;

/** Means of what followed the logged steps, each weighted by its importance. */
abstract sealed class WeightedMean extends OffPolicyEstimator permits Ncis, Ipw, Snipw {

  private final boolean selfNormalised;
  private final double cap;

  /**
   * Creates an estimator without any steps.
   *
   * @param selfNormalised divide by the sum of weights (true) or by the number of steps (false)
   * @param cap upper bound of a weight in use, infinite for none
   */
  WeightedMean(boolean selfNormalised, double cap, PairedBootstrap bootstrap) {
    super("steps", bootstrap);
    this.selfNormalised = selfNormalised;
    this.cap = cap;
  }

  /** Adds one step with the importance weight {@code weight}, at least 0 and not NaN. */
  final void addWeighted(double weight, double value, long ofUnit) {
    if (!(weight >= 0) || !Double.isFinite(value)) {
      throw new IllegalArgumentException(
          "weight "
              + weight
              + " and value "
              + value
              + " of a step must be numbers, the weight at least 0: the judged policy's actions, or"
              + " the log, are not");
    }
    int unit = unit(ofUnit);
    double used = Math.min(weight, cap);
    count(weight, used);
    add(0, unit, used * value);
    add(1, unit, selfNormalised ? used : 1);
  }

  @Override
  final double[][] columns() {
    return new double[][] {column(0), column(1)};
  }

  @Override
  final double value(double[] sums) {
    return sums[0] / sums[1];
  }
}
