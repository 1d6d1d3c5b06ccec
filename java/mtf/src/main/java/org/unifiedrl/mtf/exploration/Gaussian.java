package org.unifiedrl.mtf.exploration;

import java.util.Arrays;
import org.unifiedrl.engine.Philox;

/**
 * Gaussian exploration, the comparison of specification 2.1: {@code mu + N(0, sigma^2)} clipped to
 * [-1, 1], dimensions independent.
 *
 * <p>Clipping puts point masses at the two edges. The logged density is the exact one with respect
 * to Lebesgue measure on (-1, 1) plus unit masses at -1 and +1: the normal density inside, and the
 * tail probability {@code Phi((-1 - mu) / sigma)} or {@code 1 - Phi((1 - mu) / sigma)} at an edge.
 * Ratios of two such densities are proper importance weights when both policies are clipped.
 *
 * <p>Nothing bounds the noise but the action range, so the logged box is all of it, [-1, 1].
 */
public final class Gaussian extends IndependentExplorer {

  private static final double LOG_SQRT_TWO_PI = 0.5 * Math.log(2 * Math.PI);

  private final float[] sigma;

  /**
   * Creates the explorer.
   *
   * @param sigma A standard deviations, each positive and finite; the paper's are 0.2
   */
  public Gaussian(float[] sigma) {
    super(checkedSize(sigma.length));
    for (int k = 0; k < sigma.length; k++) {
      if (!(sigma[k] > 0 && sigma[k] < Float.POSITIVE_INFINITY)) {
        throw new IllegalArgumentException(
            "sigma of dimension " + k + " is " + sigma[k] + "; expected a positive finite number");
      }
    }
    this.sigma = sigma.clone();
  }

  /** The same standard deviation in every dimension. */
  public static Gaussian isotropic(int actionSize, float sigma) {
    float[] all = new float[checkedSize(actionSize)];
    Arrays.fill(all, sigma);
    return new Gaussian(all);
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
    double normal = Philox.normal(seed, counterHigh, counterLow);
    float draw = (float) (mean + sigma[k] * normal);
    actions[at] = Math.min(Math.max(draw, -1), 1);
    low[at] = -1;
    high[at] = 1;
    return logDensity(actions[at], mean, sigma[k]);
  }

  /**
   * Logarithm of one dimension's density or, at the edges, point mass.
   *
   * @param action in [-1, 1]
   * @param mean centre before clipping
   * @param sigma standard deviation before clipping
   */
  public static double logDensity(double action, double mean, double sigma) {
    if (action <= -1) {
      return logNormalCdf((-1 - mean) / sigma);
    }
    if (action >= 1) {
      return logNormalCdf((mean - 1) / sigma);
    }
    double z = (action - mean) / sigma;
    return -0.5 * z * z - LOG_SQRT_TWO_PI - Math.log(sigma);
  }

  /**
   * ln Phi(x). Relative error of Phi below 1e-12: from -3 up by the Taylor series of the
   * distribution function about zero, below it by the continued fraction of Mills' ratio.
   */
  public static double logNormalCdf(double x) {
    if (x > 8) {
      return -0.0; // 1 - Phi(8) = 6e-16
    }
    if (x < -3) {
      // Phi(-t) = pdf(t) / (t + 1/(t + 2/(t + 3/(t + ...)))), evaluated from the tail.
      double t = -x;
      double fraction = t;
      for (int n = 60; n >= 1; n--) {
        fraction = t + n / fraction;
      }
      return -0.5 * t * t - LOG_SQRT_TWO_PI - Math.log(fraction);
    }
    // Phi(x) = 1/2 + pdf(x) * (x + x^3/3 + x^5/(3*5) + ...), all terms of one sign.
    double term = x;
    double sum = x;
    for (int n = 3; Math.abs(term) > 1e-17 * Math.abs(sum); n += 2) {
      term *= x * x / n;
      sum += term;
    }
    return Math.log(0.5 + sum * Math.exp(-0.5 * x * x - LOG_SQRT_TWO_PI));
  }
}
