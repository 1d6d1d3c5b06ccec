package org.unifiedrl.mtf.evaluation;

import org.unifiedrl.mtf.exploration.Gaussian;

/**
 * Importance weights {@code K_h(mu_e(s) - a) / q_b(a | s)} of a deterministic policy over
 * continuous actions (specification 10); the kernel is described at {@link Ncis}. Immutable.
 */
public final class KernelWeights {

  /**
   * Largest weight told apart: with it in a log every uncapped estimate is refused, and sums of its
   * squares are still numbers.
   */
  private static final double MAXIMUM = 1e100;

  private final double[] bandwidth;

  /**
   * Creates a kernel.
   *
   * @param bandwidth h, standard deviation in units of the normalised action: one for every
   *     dimension, or A of them; each positive
   */
  public KernelWeights(double[] bandwidth) {
    this.bandwidth = bandwidth.clone();
  }

  /**
   * Weight of one logged step, whose actions are the {@code actionSize} values at {@code offset}.
   *
   * @param logDensity ln q_b(a | s) of the logged action
   * @return the weight, at least 0; NaN if an action or the density is not finite
   * @throws IllegalArgumentException if bandwidths do not fit the actions
   */
  public double weight(
      float[] loggedActions, float[] targetActions, int offset, int actionSize, double logDensity) {
    if (bandwidth.length != 1 && bandwidth.length != actionSize) {
      throw new IllegalArgumentException(
          bandwidth.length
              + " bandwidths for "
              + actionSize
              + " action dimensions; expected one or all");
    }
    double logKernel = 0;
    for (int k = 0; k < actionSize; k++) {
      logKernel +=
          Gaussian.logDensity(
              loggedActions[offset + k],
              targetActions[offset + k],
              bandwidth[bandwidth.length == 1 ? 0 : k]);
    }
    double logWeight = logKernel - logDensity;
    return Double.isFinite(logWeight) ? Math.min(Math.exp(logWeight), MAXIMUM) : Double.NaN;
  }
}
