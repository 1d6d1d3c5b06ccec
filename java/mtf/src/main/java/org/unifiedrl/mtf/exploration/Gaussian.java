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
 * <p>Nothing bounds the noise but the action range. The logged box bounds nothing either: it is the
 * region around the served action that algorithms hold a policy to, and actions lie outside too, so
 * such logs are not checked against it. Without bounds it is the whole range, [-1, 1].
 */
public final class Gaussian extends IndependentExplorer {

  private final float[] sigma;
  private final Box box;

  /**
   * Creates the explorer; the logged box is the whole range.
   *
   * @param sigma A standard deviations, each positive and finite; the paper's are 0.2
   */
  public Gaussian(float[] sigma) {
    this(sigma, Box.whole(sigma.length));
  }

  /**
   * Creates the explorer.
   *
   * @param sigma A standard deviations, each positive and finite; the paper's are 0.2
   * @param lower A lower bounds of the logged box, as of {@link UniformBox}
   * @param upper A upper bounds
   */
  public Gaussian(float[] sigma, float[] lower, float[] upper) {
    this(sigma, new Box(lower, upper));
  }

  private Gaussian(float[] sigma, Box box) {
    super(checkedSize(sigma.length));
    this.sigma = checkedSigma(sigma);
    this.box = box.of(sigma.length);
  }

  /** A checked copy of standard deviations. */
  static float[] checkedSigma(float[] sigma) {
    for (int k = 0; k < sigma.length; k++) {
      if (!(sigma[k] > 0 && sigma[k] < Float.POSITIVE_INFINITY)) {
        throw new IllegalArgumentException(
            "sigma of dimension " + k + " is " + sigma[k] + "; expected a positive finite number");
      }
    }
    return sigma.clone();
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
    low[at] = box.low(k, mean);
    high[at] = box.high(k, mean);
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
      return Normal.logCdf((-1 - mean) / sigma);
    }
    if (action >= 1) {
      return Normal.logCdf((mean - 1) / sigma);
    }
    double z = (action - mean) / sigma;
    return Normal.logDensity(z) - Math.log(sigma);
  }
}
