package org.unifiedrl.mtf.session;

import java.util.function.DoubleUnaryOperator;

/**
 * Marginals of KuaiRand-Pure's standard log, 25 April - 8 May 2022 (Gao et al., CIKM 2022,
 * doi:10.1145/3511808.3557624, CC BY-SA 4.0): facts measured on 222,869 exposures, and the
 * numerical tools that fit the simulator to them.
 */
final class Calibration {

  /** Rows per duration bucket, main scene. */
  static final double[] BUCKET_ROWS = {1314, 21566, 25573, 26171, 36597, 48810, 10308};

  /** Edges of the duration buckets, seconds; the outer two bound the simulated durations. */
  static final double[] BUCKET_EDGES = {4, 7, 15, 30, 60, 120, 300, 600};

  /** P(play > 10 s), by duration bucket. */
  static final double[] VALID = {.158, .320, .404, .453, .491, .420, .379};

  /** P(play >= duration), by duration bucket. */
  static final double[] FINISH = {.386, .297, .255, .187, .135, .057, .028};

  /** P(like), by duration bucket. */
  static final double[] LIKE = {.050, .029, .021, .022, .018, .014, .011};

  /** P(follow) + P(comment) + P(forward), all scenes; no split by duration is known. */
  static final double POSITIVE = .00131 + .00258 + .00087;

  /** Upper edges of the play times of {@link #LIKE_GIVEN_PLAY}, seconds. */
  static final double[] PLAY_EDGES = {3, 7, 10, 18, 30, 60, 120};

  /** P(like | play time in bucket): how likes follow the play time. */
  static final double[] LIKE_GIVEN_PLAY = {.0073, .0123, .0194, .0246, .0294, .0349, .0370, .0422};

  /**
   * Likes rise more steeply with the play time of one item than over all rows, where long plays are
   * mostly of long videos, which are liked less.
   */
  static final double LIKE_STEEPNESS = 1.35;

  /**
   * What is lost by nesting, measured: a play of 10 s finishes a shorter video, and finishing a
   * longer one is valid, so the smaller of the two probabilities is cut to the other where they are
   * close. Rows: valid, finish.
   */
  static final double[][] NESTING_LOSS = {{.02, .07, 0, 0, 0, 0, 0}, {0, .06, .03, .01, 0, 0, 0}};

  /**
   * Share of the logit spread of {@link #USER_LIKE_ALPHA} that is lasting taste known to the
   * predictors; with all of it they would reach an AUC of .96, and real ones reach .88.
   */
  static final double USER_LIKE_SCALE = .5;

  /** Share of plays below 10 s that are not 0: P(no play) is about 0.1 of all. */
  static final double STARTED = .85;

  /**
   * Between users: play > 10 s ~ Beta(3.0, 4.4), whose logit has variance psi1(3) + psi1(4.4); like
   * ~ Beta(.085, 4.2).
   */
  static final double USER_VALID_SD = .806;

  static final double USER_LIKE_ALPHA = .085;
  static final double USER_LIKE_BETA = 4.2;

  /** Like rates below this count as "never likes". */
  static final double USER_LIKE_FLOOR = 1e-4;

  /** Median of play / duration among finished plays, by bucket: 2^(1/exponent). */
  static final double[] REPLAY_EXPONENT = {2.5, 4.2, 8, 14, 35, 70, 70};

  private Calibration() {}

  /** P(like | play) relative to an arbitrary unit; 0 for no play. */
  static float likeFactor(double play) {
    if (play <= 0) {
      return 0;
    }
    int bucket = 0;
    while (bucket < PLAY_EDGES.length && play > PLAY_EDGES[bucket]) {
      bucket++;
    }
    return (float) Math.pow(LIKE_GIVEN_PLAY[bucket] / LIKE_GIVEN_PLAY[3], LIKE_STEEPNESS);
  }

  /**
   * Quantiles at (i + 1/2) / count of a distribution given by its unnormalised density on [from,
   * to] and the unnormalised mass {@code below} it, which counts as {@code from}.
   */
  static float[] quantiles(
      DoubleUnaryOperator density, double from, double to, double below, int count) {
    int steps = 40_000;
    double width = (to - from) / steps;
    double total = below;
    for (int s = 0; s < steps; s++) {
      total += density.applyAsDouble(from + (s + .5) * width) * width;
    }
    float[] quantiles = new float[count];
    double mass = below;
    int next = 0;
    for (int s = 0; s <= steps && next < count; s++) {
      double step = s < steps ? density.applyAsDouble(from + (s + .5) * width) * width : total;
      while (next < count && (next + .5) / count * total <= mass + step) {
        double part = Math.max((next + .5) / count * total - mass, 0) / step;
        quantiles[next++] = (float) (from + (Math.min(s, steps - 1) + Math.min(part, 1)) * width);
      }
      mass += step;
    }
    return quantiles;
  }

  /** Standard normal quantiles. */
  static float[] normalQuantiles(int count) {
    return quantiles(z -> Math.exp(-z * z / 2), -6, 6, 0, count);
  }

  /** Quantiles of the logit of a user's like rate. */
  static float[] likeLogitQuantiles(int count) {
    double from = Math.log(USER_LIKE_FLOOR);
    float[] logRates =
        quantiles(
            y -> Math.exp(USER_LIKE_ALPHA * y) * Math.pow(1 - Math.exp(y), USER_LIKE_BETA - 1),
            from,
            -1e-3,
            Math.exp(USER_LIKE_ALPHA * from) / USER_LIKE_ALPHA,
            count);
    for (int i = 0; i < count; i++) {
      double rate = Math.exp(logRates[i]);
      logRates[i] = (float) Math.log(rate / (1 - rate));
    }
    return logRates;
  }

  /** Intercept m with mean over users and items of sigmoid(m + user + sd * normal) = target. */
  static double intercept(double target, float[] users, double userScale, double sd) {
    float[] normals = normalQuantiles(32);
    double low = -15;
    double high = 15;
    for (int iteration = 0; iteration < 40; iteration++) {
      double middle = (low + high) / 2;
      double sum = 0;
      for (float user : users) {
        for (float normal : normals) {
          sum += 1 / (1 + Math.exp(-(middle + userScale * user + sd * normal)));
        }
      }
      if (sum / (users.length * normals.length) < target) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return (low + high) / 2;
  }
}
