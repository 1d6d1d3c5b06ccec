package org.unifiedrl.mtf.exploration;

import java.util.Arrays;
import org.unifiedrl.engine.Philox;

/**
 * Gaussian exploration within a box (specification 9): {@code N(mu, sigma^2)} truncated to {@code
 * [mu + lower, mu + upper]} intersected with [-1, 1], dimensions independent. More of its actions
 * are near the baseline than a uniform box's, and none outside.
 *
 * <p>Truncation is not clipping: no edge has a point mass. The logged density is the exact one,
 * {@code pdf((a - mu) / sigma) / (sigma (Phi(beta) - Phi(alpha)))} per dimension, alpha and beta
 * the edges' distances from mu in sigmas; it is at least that of the edge everywhere in the box.
 * {@code sigma} is that of the distribution before truncation: what is left of it depends on the
 * box, and for sigma much larger than the box it is the uniform box.
 */
public final class TruncatedGaussian extends IndependentExplorer {

  private final Box box;
  private final float[] sigma;

  /**
   * Creates the explorer with bounds per dimension.
   *
   * @param lower A lower bounds relative to the baseline, each in [-2, -{@value UniformBox#LEAST}]
   * @param upper A upper bounds, each in [{@value UniformBox#LEAST}, 2]
   * @param sigma A standard deviations before truncation, each positive and finite
   */
  public TruncatedGaussian(float[] lower, float[] upper, float[] sigma) {
    super(IndependentExplorer.checkedSize(lower.length));
    this.box = new Box(lower, upper);
    if (sigma.length != lower.length) {
      throw new IllegalArgumentException(
          "got " + sigma.length + " sigmas for " + lower.length + " bounds; expected as many");
    }
    this.sigma = Gaussian.checkedSigma(sigma);
  }

  /** The same bounds and standard deviation in every dimension. */
  public static TruncatedGaussian isotropic(int actionSize, float halfWidth, float sigma) {
    Box box = Box.symmetric(actionSize, halfWidth);
    float[] all = new float[actionSize];
    Arrays.fill(all, sigma);
    return new TruncatedGaussian(box.lower(), box.upper(), all);
  }

  @Override
  double draw(
      int k,
      float mean,
      long seed,
      long counterHigh,
      long counterLow,
      int at,
      float[] actions,
      float[] low,
      float[] high) {
    float from = box.low(k, mean);
    float to = box.high(k, mean);
    double below = Normal.centralMass(((double) from - mean) / sigma[k]);
    double above = Normal.centralMass(((double) to - mean) / sigma[k]);
    double uniform = Philox.openDouble(Philox.bits(seed, counterHigh, counterLow));
    double z = Normal.ofCentralMass(below + (above - below) * uniform);
    actions[at] = Math.min(Math.max((float) (mean + sigma[k] * z), from), to);
    low[at] = from;
    high[at] = to;
    return logDensity(actions[at], mean, sigma[k], from, to);
  }

  /**
   * Logarithm of one dimension's density; minus infinity outside the box.
   *
   * @param mean centre, in the box or not
   * @param sigma standard deviation before truncation
   */
  public static double logDensity(
      double action, double mean, double sigma, double low, double high) {
    if (!(action >= low && action <= high)) {
      return Double.NEGATIVE_INFINITY;
    }
    return Normal.logDensity((action - mean) / sigma)
        - Math.log(sigma)
        - Normal.logMass((low - mean) / sigma, (high - mean) / sigma);
  }
}
