package org.unifiedrl.mtf.evaluation;

/**
 * Inverse propensity weighting for discrete actions with logged propensities: {@code mean(pi_e(a|s)
 * / pi_b(a|s) * value)} (specification 10). Unbiased, and of unbounded variance where propensities
 * are small.
 */
public final class Ipw extends WeightedMean {

  /** Creates an estimator without any steps. */
  public Ipw(PairedBootstrap bootstrap) {
    super(false, Double.POSITIVE_INFINITY, bootstrap);
  }

  /**
   * Adds one logged step.
   *
   * @param targetProbability probability of the logged action under the judged policy, in [0, 1]
   * @param propensity its probability under the logging policy, in (0, 1]
   * @param value what followed; finite
   * @param session session of the step
   */
  public void add(double targetProbability, double propensity, double value, long session) {
    addWeighted(ratio(targetProbability, propensity), value, session);
  }

  /** The checked importance ratio of one step. */
  static double ratio(double targetProbability, double propensity) {
    if (!(targetProbability >= 0 && targetProbability <= 1)) {
      throw new IllegalArgumentException(
          "target probability " + targetProbability + " must be in [0, 1]");
    }
    if (!(propensity > 0 && propensity <= 1)) {
      throw new IllegalArgumentException("propensity " + propensity + " must be in (0, 1]");
    }
    return targetProbability / propensity;
  }
}
