package org.unifiedrl.mtf.evaluation;

import org.unifiedrl.mtf.exploration.Gaussian;
import org.unifiedrl.mtf.exploration.Normal;

/**
 * Importance weights {@code K_h(mu_e(s) - a) / q_b(a | s)} of a deterministic policy over
 * continuous actions (specification 10): the policy is judged as if it drew its action from a
 * kernel around the one that it gives, a product over dimensions of Gaussian densities of standard
 * deviation h. Immutable.
 *
 * <p>Weights average to 1 only if the kernel's mass lies where the log's actions are. A log of
 * Gaussian exploration, clipped to [-1, 1], takes a kernel that is clipped alike ({@link #weight}).
 * A log explored in a box takes one that is truncated to each request's box ({@link #weightInBox}):
 * each dimension's density is divided by its mass within the box, else what lies outside is lost:
 * in ten dimensions, with h two thirds of the half-width, 76 % of it in the middle of the box and
 * 99.9 % at a corner.
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
    requireFit(actionSize);
    double logKernel = 0;
    for (int k = 0; k < actionSize; k++) {
      logKernel +=
          Gaussian.logDensity(loggedActions[offset + k], targetActions[offset + k], bandwidth(k));
    }
    return weight(logKernel - logDensity);
  }

  /**
   * Weight of one logged step that was explored in a box, whose actions and edges are the {@code
   * actionSize} values at {@code offset}. A policy whose action lies outside the box is judged by
   * the part of its kernel that reaches in: see {@link BoxSupport}.
   *
   * @param low lower edges of the boxes
   * @param high upper edges
   * @param logDensity ln q_b(a | s) of the logged action
   * @return the weight, at least 0; NaN if an action or the density is not finite
   * @throws IllegalArgumentException if bandwidths do not fit the actions, or a box has no width
   */
  public double weightInBox(
      float[] loggedActions,
      float[] targetActions,
      float[] low,
      float[] high,
      int offset,
      int actionSize,
      double logDensity) {
    requireFit(actionSize);
    double logKernel = 0;
    for (int k = 0; k < actionSize; k++) {
      int at = offset + k;
      if (!(low[at] < high[at])) {
        throw new IllegalArgumentException(
            "box of dimension "
                + k
                + " is ["
                + low[at]
                + ", "
                + high[at]
                + "]: a density needs low < high");
      }
      double h = bandwidth(k);
      double mean = targetActions[at];
      logKernel +=
          Normal.logDensity((loggedActions[at] - mean) / h)
              - Math.log(h)
              - Normal.logMass((low[at] - mean) / h, (high[at] - mean) / h);
    }
    return weight(logKernel - logDensity);
  }

  private static double weight(double logWeight) {
    return Double.isFinite(logWeight) ? Math.min(Math.exp(logWeight), MAXIMUM) : Double.NaN;
  }

  private double bandwidth(int dimension) {
    return bandwidth[bandwidth.length == 1 ? 0 : dimension];
  }

  private void requireFit(int actionSize) {
    if (bandwidth.length != 1 && bandwidth.length != actionSize) {
      throw new IllegalArgumentException(
          bandwidth.length
              + " bandwidths for "
              + actionSize
              + " action dimensions; expected one or all");
    }
  }
}
