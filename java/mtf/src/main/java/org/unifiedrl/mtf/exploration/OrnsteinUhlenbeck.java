package org.unifiedrl.mtf.exploration;

import java.util.Arrays;
import org.unifiedrl.engine.Philox;

/**
 * Ornstein-Uhlenbeck noise within each session (specification 9): successive requests of a session
 * are explored in about the same direction, dimensions independently,
 *
 * <pre>
 *   x_0 ~ N(0, sigma^2)
 *   x_n = rho x_(n-1) + N(0, (1 - rho^2) sigma^2)
 *   a_n = clip(mu + x_n, -1, 1)
 * </pre>
 *
 * This is the process {@code dx = -theta x dt + ...} at requests one unit of time apart, without
 * error of discretisation: {@code rho = exp(-theta)}. A session starts from the stationary
 * distribution, not from 0 as is usual, since sessions are shorter than it takes to get there:
 * every request alone is explored like by {@link Gaussian} with the same sigma.
 *
 * <p>The logged density is that of the action given state and noise before: the first action's is
 * {@code N(mu, sigma^2)}, a later one's {@code N(mu + rho x_(n-1), (1 - rho^2) sigma^2)}, clipped
 * like {@link Gaussian#logDensity}. Its inverse is a proper weight of a step given the session so
 * far. It is not the density given the state alone, which is wider, and a log does not tell the
 * noise from which a clipped action came. Step weights grow as rho does: look at the effective
 * sample size. The logged box is as of {@link Gaussian}.
 */
public final class OrnsteinUhlenbeck extends SequentialExplorer {

  /** Keeps this noise apart from an environment's draws under the same seed. */
  private static final long STREAM = 0x4f55L << 40;

  private final float[] sigma;
  private final double rho;
  private final double innovation;
  private final Box box;

  /**
   * Creates the explorer; the logged box is the whole range.
   *
   * @param sigma A stationary standard deviations, each positive and finite
   * @param rho correlation of the noise at successive requests of a session, in [0, 1)
   */
  public OrnsteinUhlenbeck(float[] sigma, double rho) {
    this(sigma, rho, Box.whole(sigma.length));
  }

  /**
   * Creates the explorer.
   *
   * @param sigma A stationary standard deviations, each positive and finite
   * @param rho correlation of the noise at successive requests of a session, in [0, 1)
   * @param lower A lower bounds of the logged box, as of {@link UniformBox}
   * @param upper A upper bounds
   */
  public OrnsteinUhlenbeck(float[] sigma, double rho, float[] lower, float[] upper) {
    this(sigma, rho, new Box(lower, upper));
  }

  private OrnsteinUhlenbeck(float[] sigma, double rho, Box box) {
    super(IndependentExplorer.checkedSize(sigma.length), sigma.length, true);
    if (!(rho >= 0 && rho < 1)) {
      throw new IllegalArgumentException(
          "correlation of successive noise is " + rho + "; expected a number in [0, 1)");
    }
    this.sigma = Gaussian.checkedSigma(sigma);
    this.rho = rho;
    this.innovation = Math.sqrt((1 - rho) * (1 + rho));
    this.box = box.of(sigma.length);
  }

  /** The same standard deviation in every dimension. */
  public static OrnsteinUhlenbeck isotropic(int actionSize, float sigma, double rho) {
    float[] all = new float[IndependentExplorer.checkedSize(actionSize)];
    Arrays.fill(all, sigma);
    return new OrnsteinUhlenbeck(all, rho);
  }

  @Override
  public Explorer forRollout() {
    return new OrnsteinUhlenbeck(sigma, rho, box);
  }

  @Override
  double draw(
      long seed,
      int user,
      long request,
      int row,
      boolean first,
      double[] memory,
      int at,
      float[] baseline,
      float[] actions,
      float[] low,
      float[] high) {
    double log = 0;
    for (int k = 0; k < sigma.length; k++) {
      int place = row * sigma.length + k;
      float mean = IndependentExplorer.checked(baseline[place], row, k);
      long counter = STREAM ^ ((long) k << 56) ^ (user & 0xFFFFFFFFL);
      double normal = Philox.normal(seed, counter, request);
      double expected = first ? 0 : rho * memory[at + k];
      double deviation = first ? sigma[k] : innovation * sigma[k];
      memory[at + k] = expected + deviation * normal;
      actions[place] = Math.min(Math.max((float) (mean + memory[at + k]), -1), 1);
      low[place] = box.low(k, mean);
      high[place] = box.high(k, mean);
      log += Gaussian.logDensity(actions[place], mean + expected, deviation);
    }
    return log;
  }
}
