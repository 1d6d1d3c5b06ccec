package org.unifiedrl.mtf.session;

import java.util.function.DoubleUnaryOperator;

/**
 * Marginals of KuaiRand-Pure's standard log, 25 April - 8 May 2022 (Gao et al., CIKM 2022,
 * doi:10.1145/3511808.3557624, CC BY-SA 4.0): facts measured on 222,869 exposures, and the
 * numerical tools that fit the simulator to them.
 *
 * <p>What the simulated rows do not share with the log, beyond sampling error:
 *
 * <ul>
 *   <li>Not modelled: clicks, long views, hates, profile visits. Follows, comments and forwards are
 *       one behaviour, so their correlations with each other and with likes are not the log's.
 *   <li>Finishing over all rows: .155, as the buckets' rates say; the log's .168 includes rows
 *       without a duration.
 *   <li>Like rates of users deviate by .035 instead of Beta(.085, 4.2)'s .061; see {@link
 *       #USER_LIKE_SCALE}. Effects are normal on the logit, which has a fatter upper and a thinner
 *       lower tail than Beta; deviations of rates are matched, not of logits.
 *   <li>Predictors are a little worse than real ones for valid consumption (AUC .73 for .75) and
 *       finishing (.82 for .84, within users .77 for .81).
 *   <li>Valid consumption and finishing correlate by .47 instead of .43; ln(play) has mean 2.12
 *       instead of 2.05; rows without play are 8.6 % instead of 10 %.
 *   <li>The hidden dial at 1 raises the rates of fresh sessions, by 3 % for valid consumption and 9
 *       % for finishing (intent moves rates both ways, but small ones more upwards); fatigue and
 *       satiation lower them later.
 * </ul>
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
   * P(like | play time in bucket) of one item relative to its mean, up to a unit. Steeper than
   * {@link #LIKE_GIVEN_PLAY}, since over all rows long plays are mostly of long videos, which are
   * liked less: fitted by dividing target by outcome until all rows together follow that table.
   */
  static final float[] LIKE_FACTOR = {.175f, .320f, .460f, .600f, 1.05f, 1.56f, 2.45f, 4.00f};

  /**
   * A play passes two thresholds, 10 s and the duration; the smaller comes first. {@link #VALID}
   * and {@link #FINISH} give the rate of the first and of the second given the first, except where
   * durations lie on both sides of 10 s (bucket 1). Its log has sums only, so the first threshold's
   * rate is taken to be the same on both sides, and the second's below 10 s is read off the line
   * from (5.3 s, .158/.386) to (10 s, 1) in logarithms, at the mean of 7-10 s. What is left, 10-15
   * s, then follows from the sums.
   */
  private static final int MIXED_BUCKET = 1;

  private static final double MIXED_SECOND_SHORT = .78;

  /** Rate of the first threshold, min(10 s, duration). */
  static double firstRate(int bucket, boolean lengthy) {
    if (bucket == MIXED_BUCKET) {
      double brief = mixedShareShort();
      return VALID[bucket] / (brief * MIXED_SECOND_SHORT + 1 - brief);
    }
    return lengthy ? VALID[bucket] : FINISH[bucket];
  }

  /** Rate of both thresholds. */
  static double secondRate(int bucket, boolean lengthy) {
    if (bucket == MIXED_BUCKET) {
      double first = firstRate(bucket, lengthy);
      double brief = mixedShareShort();
      return lengthy ? (FINISH[bucket] - brief * first) / (1 - brief) : first * MIXED_SECOND_SHORT;
    }
    return lengthy ? FINISH[bucket] : VALID[bucket];
  }

  /** Share of the mixed bucket below 10 s: durations are log-uniform within a bucket. */
  private static double mixedShareShort() {
    double from = BUCKET_EDGES[MIXED_BUCKET];
    return Math.log(10 / from) / Math.log(BUCKET_EDGES[MIXED_BUCKET + 1] / from);
  }

  /**
   * Share of the logit spread of {@link #USER_LIKE_ALPHA} that is lasting taste known to the
   * predictors; with all of it they would reach an AUC of .96, and real ones reach .88.
   */
  static final double USER_LIKE_SCALE = .55;

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
    return LIKE_FACTOR[bucket];
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

  /**
   * Intercept m with weighted mean over users and items of sigmoid(m + user + sd * normal) =
   * target.
   *
   * @param weights weight of each user, not normalised; the mean divides by their number
   */
  static double intercept(double target, float[] users, double[] weights, double sd) {
    float[] normals = normalQuantiles(64);
    double low = -15;
    double high = 15;
    for (int iteration = 0; iteration < 40; iteration++) {
      double middle = (low + high) / 2;
      double sum = 0;
      for (int u = 0; u < users.length; u++) {
        double inner = 0;
        for (float normal : normals) {
          inner += sigmoid(middle + users[u] + sd * normal);
        }
        sum += weights[u] * inner;
      }
      if (sum / (users.length * normals.length) < target) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return (low + high) / 2;
  }

  static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  /** Mean of sigmoid(x + sd * normal). */
  static double averagedSigmoid(double x, double sd) {
    int steps = 240;
    double sum = 0;
    double mass = 0;
    for (int i = 0; i <= steps; i++) {
      double z = -6 + 12.0 * i / steps;
      double density = Math.exp(-z * z / 2);
      sum += density * sigmoid(x + sd * z);
      mass += density;
    }
    return sum / mass;
  }

  /** The x whose {@link #averagedSigmoid} is sigmoid(logit). */
  static double beforeAveraging(double logit, double sd) {
    double target = sigmoid(logit);
    double low = logit - 4 * sd * sd - 1;
    double high = logit + 4 * sd * sd + 1;
    for (int iteration = 0; iteration < 50; iteration++) {
      double middle = (low + high) / 2;
      if (averagedSigmoid(middle, sd) < target) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return (low + high) / 2;
  }
}
