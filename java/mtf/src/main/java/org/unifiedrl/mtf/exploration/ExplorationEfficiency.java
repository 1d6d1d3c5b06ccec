package org.unifiedrl.mtf.exploration;

import java.util.Arrays;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * How much of an exploration falls near the served policy, where a next policy is likely to be: its
 * samples per unit volume of the box {@code +-halfWidth} around the baseline's action.
 *
 * <p>An exploration of smaller variance has more of its samples near the baseline whatever its
 * shape, so a comparison of two shapes needs their variances equal: {@link Result#control()} is the
 * Gaussian with the measured ones. With the paper's settings, for instance, N(0, 0.2^2) puts one
 * sample in 419 into the box +-0.15 of 10 dimensions, and a uniform box every one; but that box's
 * variance is 0.0866^2, of which a Gaussian puts one sample in 2.4 there.
 *
 * <p>What exploring costs its users and what a critic knows there are other questions, which the
 * experiments' {@code ExplorationMeasurement} answers.
 */
public final class ExplorationEfficiency {

  private static final int ROWS = 1024;

  private ExplorationEfficiency() {}

  /**
   * What was counted.
   *
   * @param samples actions drawn
   * @param inside actions within the region, edges included
   * @param volume volume of the region, intersected with the action range
   * @param deviation standard deviation around the baseline's action, of each dimension
   */
  public record Result(long samples, long inside, double volume, double[] deviation) {

    /** Share of the samples in the region. */
    public double share() {
      return (double) inside / samples;
    }

    /** Standard error of the share, were the samples independent. */
    public double standardError() {
      return Math.sqrt(share() * (1 - share()) / samples);
    }

    /** Samples per unit volume of the region, for one sample drawn. */
    public double density() {
      return share() / volume;
    }

    /** Samples that another exploration needs for as many in the region, for one of this. */
    public double times(Result other) {
      if (Math.abs(volume - other.volume) > 1e-9 * volume) {
        throw new IllegalArgumentException(
            "regions differ: their volumes are " + volume + " and " + other.volume);
      }
      return share() / other.share();
    }

    /** The Gaussian of equal variance in every dimension. */
    public Gaussian control() {
      float[] sigma = new float[deviation.length];
      for (int k = 0; k < sigma.length; k++) {
        sigma[k] = (float) deviation[k];
      }
      return new Gaussian(sigma);
    }
  }

  /**
   * Explores a constant action by users of one session each.
   *
   * @param explorer what is measured
   * @param centre the baseline's action
   * @param halfWidth half the region's width in every dimension, positive
   * @param users number of users
   * @param requests requests of each
   * @param seed key of the draws
   */
  public static Result measure(
      Explorer explorer, float[] centre, double halfWidth, int users, int requests, long seed) {
    int size = explorer.actionSize();
    if (centre.length != size || !(halfWidth > 0) || users < 1 || requests < 1) {
      throw new IllegalArgumentException(
          "centre of "
              + centre.length
              + " values, half-width "
              + halfWidth
              + ", "
              + users
              + " users, "
              + requests
              + " requests: expected "
              + size
              + " values and positive numbers");
    }
    Counter counter = new Counter(size, halfWidth);
    for (int from = 0; from < users; from += ROWS) {
      int rows = Math.min(ROWS, users - from);
      count(explorer.forRollout(), centre, from, rows, requests, seed, counter);
    }
    return counter.result();
  }

  /**
   * Counts what was logged, around the logged baseline actions. Where the action range cuts the
   * region, its volume is the mean over the rows.
   *
   * @param actionSize dimensions of an action, A; a row may hold several actions
   * @param halfWidth half the region's width in every dimension, positive
   */
  public static Result of(Replay log, int actionSize, double halfWidth) {
    ReplaySchema schema = log.schema();
    int actionColumn = schema.columnIndex(ReplaySchema.ACTION);
    int baselineColumn = schema.columnIndex(ReplaySchema.BASELINE_ACTION);
    float[] action = new float[schema.columns().get(actionColumn).width()];
    float[] baseline = new float[action.length];
    Counter counter = new Counter(actionSize, halfWidth);
    for (long row = 0; row < log.rows(); row++) {
      log.get(row, actionColumn, action, 0);
      log.get(row, baselineColumn, baseline, 0);
      for (int at = 0; at < action.length; at += actionSize) {
        counter.add(action, baseline, at);
      }
    }
    return counter.result();
  }

  /**
   * Share of a Gaussian's samples in a box around its mean, by arithmetic: {@code (2 Phi(h / sigma)
   * - 1)^A}. The action range does not matter as long as the box is within it.
   */
  public static double gaussianShare(double sigma, double halfWidth, int actionSize) {
    return Math.pow(2 * Normal.centralMass(halfWidth / sigma), actionSize);
  }

  /** Explores for some users, request by request. */
  private static void count(
      Explorer explorer,
      float[] centre,
      int firstUser,
      int rows,
      int requests,
      long seed,
      Counter counter) {
    int size = centre.length;
    int[] users = new int[rows];
    long[] sessions = new long[rows];
    long[] times = new long[rows];
    float[] baseline = new float[rows * size];
    float[] actions = new float[rows * size];
    float[] low = new float[rows * size];
    float[] high = new float[rows * size];
    float[] logDensity = new float[rows];
    for (int row = 0; row < rows; row++) {
      users[row] = firstUser + row;
      sessions[row] = row;
      System.arraycopy(centre, 0, baseline, row * size, size);
    }
    for (int request = 0; request < requests; request++) {
      Arrays.fill(times, request);
      explorer.explore(
          seed, users, sessions, times, rows, baseline, actions, low, high, logDensity);
      for (int row = 0; row < rows; row++) {
        counter.add(actions, baseline, row * size);
      }
    }
  }

  /** Sums over actions. */
  private static final class Counter {

    private final double halfWidth;
    private final double[] sum;
    private final double[] squares;
    private long samples;
    private long inside;
    private double volumes;

    Counter(int size, double halfWidth) {
      this.halfWidth = halfWidth;
      this.sum = new double[size];
      this.squares = new double[size];
    }

    /** Adds an action and its baseline, both at {@code at}. */
    void add(float[] actions, float[] baseline, int at) {
      boolean in = true;
      double volume = 1;
      for (int k = 0; k < sum.length; k++) {
        double centre = baseline[at + k];
        double difference = actions[at + k] - centre;
        sum[k] += difference;
        squares[k] += difference * difference;
        in &= Math.abs(difference) <= halfWidth;
        volume *= Math.min(centre + halfWidth, 1) - Math.max(centre - halfWidth, -1);
      }
      volumes += volume;
      samples++;
      inside += in ? 1 : 0;
    }

    Result result() {
      double[] deviation = new double[sum.length];
      for (int k = 0; k < deviation.length; k++) {
        double mean = sum[k] / samples;
        deviation[k] = Math.sqrt(Math.max(0, squares[k] / samples - mean * mean));
      }
      return new Result(samples, inside, volumes / samples, deviation);
    }
  }
}
