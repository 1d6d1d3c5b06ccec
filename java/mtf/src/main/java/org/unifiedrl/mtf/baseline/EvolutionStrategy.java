package org.unifiedrl.mtf.baseline;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Philox;

/**
 * Evolution strategy with an isotropic Gaussian whose mean climbs the estimated gradient (Salimans,
 * Ho, Chen, Sidor and Sutskever, "Evolution Strategies as a Scalable Alternative to Reinforcement
 * Learning", arXiv 1703.03864): for vectors of hundreds to thousands of values, where a covariance
 * cannot be learned.
 *
 * <pre>
 *   eps_i ~ N(0, I), i = 1 .. n     theta +- sigma eps_i are evaluated, with the same luck
 *   u       centred ranks of the 2n values, from -1/2 to 1/2
 *   g     = 1 / (2 n sigma) SUM_i (u_i+ - u_i-) eps_i
 *   theta = theta + Adam(g - decay theta)
 * </pre>
 *
 * The mean is what has been found; it is not evaluated itself. One thread at a time.
 */
public final class EvolutionStrategy implements Searcher {

  private static final long DRAWS = 0x4553L << 32;
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.999;
  private static final double EPSILON = 1e-8;

  /**
   * Constants of the strategy.
   *
   * @param pairs mirrored pairs of vectors in a round (n), at least 1
   * @param sigma standard deviation of every value (sigma), positive; 0.02 in the paper
   * @param rate Adam's learning rate, positive; 0.01 in the paper
   * @param decay weight of the L2 penalty, at least 0; 0.005 in the paper
   */
  public record Settings(int pairs, double sigma, double rate, double decay) {

    /** Checks every value. */
    public Settings {
      if (pairs < 1 || !(sigma > 0) || !(rate > 0) || !(decay >= 0)) {
        throw new IllegalArgumentException(
            "an evolution strategy needs pairs of at least 1, positive sigma and rate, and a decay"
                + " of at least 0; got "
                + pairs
                + ", "
                + sigma
                + ", "
                + rate
                + ", "
                + decay);
      }
    }
  }

  private final Settings settings;
  private final long seed;
  private final double[] mean; // (P): theta
  private final double[] moment1; // (P)
  private final double[] moment2; // (P)
  private final float[][] noise; // (n, P): eps
  private int round;

  /**
   * Starts a search.
   *
   * @param start first mean
   * @param seed key of all draws
   */
  public EvolutionStrategy(float[] start, Settings settings, long seed) {
    this.settings = settings;
    this.seed = seed;
    mean = new double[start.length];
    Arrays.setAll(mean, i -> start[i]);
    moment1 = new double[mean.length];
    moment2 = new double[mean.length];
    noise = new float[settings.pairs()][mean.length];
  }

  @Override
  public float[][] propose(double spent) {
    float[][] vectors = new float[2 * settings.pairs()][mean.length];
    for (int pair = 0; pair < settings.pairs(); pair++) {
      for (int i = 0; i < mean.length; i++) {
        noise[pair][i] = (float) Philox.normal(seed, DRAWS + i, ((long) round << 32) | pair);
        double step = settings.sigma() * noise[pair][i];
        vectors[2 * pair][i] = (float) (mean[i] + step);
        vectors[2 * pair + 1][i] = (float) (mean[i] - step);
      }
    }
    return vectors;
  }

  @Override
  public void observe(double[] values) {
    round++;
    double[] ranks = centredRanks(values);
    double scale = 1 / (2 * settings.pairs() * settings.sigma());
    double correction1 = 1 - Math.pow(BETA1, round);
    double correction2 = 1 - Math.pow(BETA2, round);
    for (int i = 0; i < mean.length; i++) {
      double gradient = -settings.decay() * mean[i];
      for (int pair = 0; pair < noise.length; pair++) {
        gradient += scale * (ranks[2 * pair] - ranks[2 * pair + 1]) * noise[pair][i];
      }
      moment1[i] += (1 - BETA1) * (gradient - moment1[i]);
      moment2[i] += (1 - BETA2) * (gradient * gradient - moment2[i]);
      double step = moment1[i] / correction1 / (Math.sqrt(moment2[i] / correction2) + EPSILON);
      mean[i] += settings.rate() * step;
    }
  }

  @Override
  public float[] best() {
    float[] found = new float[mean.length];
    for (int i = 0; i < found.length; i++) {
      found[i] = (float) mean[i];
    }
    return found;
  }

  /** Ranks from -1/2 to 1/2; equal values share the mean of theirs. */
  static double[] centredRanks(double[] values) {
    int[] order =
        IntStream.range(0, values.length)
            .boxed()
            .sorted(Comparator.comparingDouble(p -> values[p]))
            .mapToInt(Integer::intValue)
            .toArray();
    double[] ranks = new double[values.length];
    for (int from = 0, to; from < order.length; from = to) {
      for (to = from + 1; to < order.length && values[order[to]] == values[order[from]]; to++) {}
      for (int i = from; i < to; i++) {
        ranks[order[i]] = (from + to - 1) / 2.0 / (order.length - 1) - 0.5;
      }
    }
    return ranks;
  }
}
