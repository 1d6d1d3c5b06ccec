package org.unifiedrl.mtf.session;

import java.util.List;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.fusion.FastMath;

/**
 * A short-video world calibrated on KuaiRand-Pure's marginals, in which the best fusion vector
 * depends on the user and the moment for three reasons, each with a dial: what satisfies the user,
 * how far the predicted scores can be trusted, and a hidden session state.
 *
 * <p>A request draws candidates from a shared pool: three fifths from the user's three favourite
 * topics, the rest from others. A play passes up to two thresholds, 10 s and the video's duration,
 * the smaller first; each has a probability, that of the second given the first. Predictors know
 * the user's and the item's propensities in part; the truth adds what they do not know, a lasting
 * effect of the item and one of the user and the item together, so that with the reliability and
 * hidden dials at 0 the scores are calibrated posterior means. Satisfaction is the value of what
 * happened on the page by the user's own weights, relative to the user's norm; with the value dial
 * at 0 the weights are the reward's. Leaving and the next day's return depend on it.
 *
 * <p>The pool is a struct of float32 arrays. Every draw is Philox, keyed by (user, day, request,
 * item, use), so two policies meet the same people, candidates and luck.
 */
public final class Simulator implements Environment {

  static final int VALID = 0;
  static final int WATCH = 1;
  static final int FINISH = 2;
  static final int LIKE = 3;
  static final int POSITIVE = 4;

  /** Predicted scores k; also the number of responses. */
  static final int SCORES = 5;

  /**
   * Bernoulli draws behind the responses, in this order: first threshold passed, second passed
   * given the first, like, positive.
   */
  static final int BINARY = 4;

  /** Segments of users, which differ in values and in how they are predicted. */
  public static final int SEGMENTS = 6;

  static final int TOPICS = 32;
  static final int TOPIC_ITEMS = 512;

  /** The watch-time score's unit, seconds: scores stay below 1, where the fusion is near linear. */
  static final float WATCH_UNIT = 300;

  static final float LONGEST_PLAY = 600;
  static final int NORMAL_BITS = 12;

  /** Standard deviation, on the logit, of what predictors know about an item beyond duration. */
  private static final double[] KNOWN_SD = {.25, .90, .15, .50};

  /**
   * Standard deviation of what they do not know of an item. Thresholds and likes: with what is
   * known and the durations, rates of items spread as in the log (Beta(4.4, 6.3) for valid
   * consumption, Beta(.76, 36) for likes); the others are assumed.
   */
  private static final double[] ITEM_SD = {.59, .25, 1.07, .70};

  /** Gain on the logit of a user's favourite topics, and loss of the others: 3/5 to 2/5. */
  static final float FAVOURITE_GAIN = 0.2f;

  static final float OTHER_LOSS = -0.3f;
  private static final double AFFINITY_SD = .245;

  /** Standard deviation of what is particular to a user and an item, unknown to predictors. */
  private static final double[] USER_ITEM_SD = {.15, .17, .54, .70};

  /** Users who pass the first threshold more often also pass the second more often. */
  static final double USER_CORRELATION = .5;

  private static final double USER_FINISH_SD = .75;
  private static final double USER_POSITIVE_SD = .8;

  private static final float TABLE_FROM = -14;
  private static final float TABLE_STEP = .125f;
  private static final int TABLE_SIZE = 176; // up to a logit of 8

  private static final float LOGISTIC_LIMIT = 16;
  private static final int LOGISTIC_STEPS = 32; // per unit of the logit
  private static final int LOGISTIC_SIZE = 2 * (int) LOGISTIC_LIMIT * LOGISTIC_STEPS;

  /** Log-multipliers of what satisfies a segment: valid, watch, finish, like, positive. */
  static final double[][] SEGMENT_VALUE = {
    {0.0, 0.0, 0.0, 0.0, 0.0}, // balanced
    {-0.6, -1.2, 1.8, 0.0, 0.0}, // skimmers: finished clips
    {-0.3, 1.1, -0.9, -0.3, -0.3}, // deep viewers: long watching
    {-0.6, -0.9, 0.3, 1.8, 0.6}, // appreciative: likes
    {-0.6, -0.6, 0.3, 0.6, 2.7}, // social: follow, comment, forward
    {0.2, -0.5, 1.2, 0.3, 0.3} // completers
  };

  /** Individual spread of the same log-multipliers. */
  static final double INDIVIDUAL_VALUE_SD = .25;

  /** Names of the reward groups, by how many there are. */
  private static final List<List<String>> REWARD_GROUPS =
      List.of(
          List.of("all"),
          List.of("watch_time", "behaviours"),
          List.of("watch_time", "consumption", "interaction"));

  /** Group of each behaviour's reward, by how many groups there are. */
  static final int[][] GROUP_OF = {{0, 0, 0, 0, 0}, {1, 0, 1, 1, 1}, {1, 0, 1, 2, 2}};

  /** Noise on the logit of each predicted score, per segment. */
  static final double[][] SEGMENT_NOISE = {
    {0.1, 0.1, 0.1, 0.2, 0.2},
    {0.9, 0.3, 0.1, 0.2, 0.4},
    {0.1, 0.1, 0.8, 0.5, 0.4},
    {0.5, 0.7, 0.4, 0.1, 0.2},
    {0.3, 0.2, 0.9, 0.6, 0.1},
    {0.2, 0.9, 0.1, 0.4, 0.6}
  };

  /** Calibration bias on the logit, per segment. */
  static final double[][] SEGMENT_BIAS = {
    {0.0, 0.0, 0.0, 0.0, 0.0},
    {0.3, 0.2, -0.3, 0.2, 0.0},
    {-0.2, -0.2, 0.5, 0.4, 0.3},
    {0.2, 0.3, 0.3, -0.5, -0.2},
    {0.0, -0.2, 0.4, 0.5, -0.5},
    {-0.2, 0.4, -0.3, 0.3, 0.3}
  };

  /** Calibration slope minus 1, per segment. */
  static final double[][] SEGMENT_SLOPE = {
    {0.0, 0.0, 0.0, 0.0, 0.0},
    {0.4, 0.0, -0.3, 0.0, 0.2},
    {-0.2, 0.0, 0.5, 0.4, 0.0},
    {0.2, 0.0, 0.2, -0.3, 0.0},
    {0.0, 0.0, 0.4, 0.4, -0.2},
    {0.2, 0.0, -0.2, 0.2, 0.4}
  };

  private static final List<String> SCORE_NAMES =
      List.of("valid", "watch_time", "finish", "like", "positive");

  private static final List<String> STATE_NAMES =
      List.of(
          "segment_balanced",
          "segment_skimmer",
          "segment_deep_viewer",
          "segment_appreciative",
          "segment_social",
          "segment_completer",
          "history_valid_rate",
          "history_finish_rate",
          "history_like_log_rate",
          "history_positive_log_rate",
          "history_log_watch",
          "history_valid_rate_long",
          "history_valid_rate_short",
          "history_log_items",
          "days_since_visit",
          "first_visit",
          "hour_sine",
          "hour_cosine",
          "session_log_requests",
          "session_requests",
          "session_log_minutes",
          "session_valid_rate",
          "session_finish_rate",
          "session_like_rate",
          "session_positive_rate",
          "session_log_watch",
          "page_valid_rate",
          "page_finish_rate",
          "page_like_rate",
          "page_log_watch",
          "page_skip_rate",
          "skips_in_a_row",
          "recent_valid_rate_long",
          "recent_valid_rate_short",
          "recent_surprise_valid_long",
          "recent_surprise_valid_short",
          "recent_surprise_finish",
          "recent_share_long",
          "recent_share_favourite",
          "recent_log_watch");

  final SimulatorConfig config;
  private final ActionMap actionMap;

  // The pool; item i has topic i / TOPIC_ITEMS.
  final float[] duration; // (I) seconds
  final float[] length; // (I) centred, clamped log duration
  final float[] known; // (I, BINARY) known logits
  final float[] unknown; // (I, BINARY) what predictors do not know, on the truth's logit
  final float[] meanSeconds; // (I, 3) mean play below, between and above the two knots
  final float[] meanLike; // (I, 3) mean like factor of the same three parts
  final float[] replay; // (I) 1 / tail exponent of replayed plays

  final float[] normals; // standard normal quantiles, 2^12
  final float[] likeLogits; // centred user like logits, 1024
  final double[] centre = new double[BINARY]; // mean known logit over items
  final float[] usualSeconds = new float[3]; // mean over items of meanSeconds

  /** Logit of the truth without the unknown, by predicted logit: {@link #truthLogit}. */
  private final float[][] truthTable = new float[BINARY][TABLE_SIZE + 1];

  private final float[] logisticTable = new float[LOGISTIC_SIZE + 1];

  /** Builds the default world. */
  public Simulator() {
    this(SimulatorConfig.defaults());
  }

  /** Builds the item pool and fits the intercepts; takes a fraction of a second. */
  public Simulator(SimulatorConfig config) {
    this.config = config;
    double[] powerLow = new double[SCORES];
    double[] powerHigh = {5, 5, 5, 5, 5};
    double[] biasLow = {1e-3, 1e-3, 1e-3, 1e-3, 1e-3};
    double[] biasHigh = {2, 2, 2, 2, 2};
    actionMap = new ActionMap(powerLow, powerHigh, biasLow, biasHigh);

    normals = Calibration.normalQuantiles(1 << NORMAL_BITS);
    likeLogits = Calibration.likeLogitQuantiles(1024);
    double[][][] intercepts = intercepts();
    for (int b = 0; b < BINARY; b++) {
      double sd = Math.hypot(ITEM_SD[b], USER_ITEM_SD[b]);
      for (int i = 0; i <= TABLE_SIZE; i++) {
        truthTable[b][i] = (float) Calibration.beforeAveraging(TABLE_FROM + i * TABLE_STEP, sd);
      }
    }

    for (int i = 0; i <= LOGISTIC_SIZE; i++) {
      logisticTable[i] = (float) (1 / (1 + Math.exp(LOGISTIC_LIMIT - (double) i / LOGISTIC_STEPS)));
    }

    int items = TOPICS * TOPIC_ITEMS;
    duration = new float[items];
    length = new float[items];
    known = new float[items * BINARY];
    unknown = new float[items * BINARY];
    meanSeconds = new float[items * 3];
    meanLike = new float[items * 3];
    replay = new float[items];
    for (int item = 0; item < items; item++) {
      drawItem(item, intercepts);
    }
  }

  /** Intercepts by Bernoulli, bucket and whether the video lasts at least 10 s. */
  private static double[][][] intercepts() {
    int users = 64;
    float[] normalUsers = Calibration.normalQuantiles(users);
    float[] likeUsers = Calibration.likeLogitQuantiles(users);
    float[] firstUsers = new float[users];
    float[] secondUsers = new float[users];
    float[] positiveUsers = new float[users];
    double[] equal = new double[users];
    java.util.Arrays.fill(equal, 1);
    for (int u = 0; u < users; u++) {
      firstUsers[u] = (float) Calibration.USER_VALID_SD * normalUsers[u];
      secondUsers[u] = (float) (USER_FINISH_SD * USER_CORRELATION) * normalUsers[u];
      likeUsers[u] *= (float) Calibration.USER_LIKE_SCALE;
      positiveUsers[u] = (float) USER_POSITIVE_SD * normalUsers[u];
    }
    double firstSd = Math.hypot(KNOWN_SD[0], AFFINITY_SD);
    double secondSd =
        Math.hypot(
            KNOWN_SD[1], USER_FINISH_SD * Math.sqrt(1 - USER_CORRELATION * USER_CORRELATION));
    double likeSd = Math.hypot(KNOWN_SD[2], AFFINITY_SD);
    int buckets = Calibration.BUCKET_ROWS.length;
    double[][][] intercepts = new double[BINARY][buckets][2];
    double positive =
        Calibration.intercept(Calibration.POSITIVE, positiveUsers, equal, KNOWN_SD[3]);
    double[] passed = new double[users];
    for (int d = 0; d < buckets; d++) {
      double like = Calibration.intercept(Calibration.LIKE[d], likeUsers, equal, likeSd);
      for (int lengthy = 0; lengthy < 2; lengthy++) {
        double rate = Calibration.firstRate(d, lengthy == 1);
        double first = Calibration.intercept(rate, firstUsers, equal, firstSd);
        for (int u = 0; u < users; u++) {
          passed[u] = Calibration.averagedSigmoid(first + firstUsers[u], firstSd);
        }
        intercepts[0][d][lengthy] = first;
        intercepts[1][d][lengthy] =
            Calibration.intercept(
                Calibration.secondRate(d, lengthy == 1), secondUsers, passed, secondSd);
        intercepts[2][d][lengthy] = like;
        intercepts[3][d][lengthy] = positive;
      }
    }
    return intercepts;
  }

  private void drawItem(int item, double[][][] intercepts) {
    // Counters of users are not negative, so items are drawn apart from them.
    long key = config.worldSeed();
    double total = 0;
    for (double rows : Calibration.BUCKET_ROWS) {
      total += rows;
    }
    double at = Philox.uniform(key, -1, item) * total;
    int d = 0;
    while (d < Calibration.BUCKET_ROWS.length - 1 && at >= Calibration.BUCKET_ROWS[d]) {
      at -= Calibration.BUCKET_ROWS[d++];
    }
    double share = Philox.uniform(key, -2, item);
    double seconds =
        Calibration.BUCKET_EDGES[d]
            * Math.pow(Calibration.BUCKET_EDGES[d + 1] / Calibration.BUCKET_EDGES[d], share);
    duration[item] = (float) (seconds * config.durationScale());
    length[item] = (float) Math.max(-1.5, Math.min(1.5, Math.log(seconds) - 4.2));
    replay[item] = (float) (1 / Calibration.REPLAY_EXPONENT[d]);
    for (int b = 0; b < BINARY; b++) {
      double logit =
          intercepts[b][d][duration[item] >= 10 ? 1 : 0]
              + config.rateShifts().get(b)
              + KNOWN_SD[b] * Philox.normal(key, -3 - b, item);
      known[item * BINARY + b] = (float) logit;
      unknown[item * BINARY + b] = (float) (ITEM_SD[b] * Philox.normal(key, -3 - BINARY - b, item));
      centre[b] += logit / (TOPICS * TOPIC_ITEMS);
    }
    int points = 64;
    for (int part = 0; part < 3; part++) {
      for (int p = 0; p < points; p++) {
        float play = play(item, part, (p + .5f) / points);
        meanSeconds[item * 3 + part] += play / points;
        meanLike[item * 3 + part] += Calibration.likeFactor(play) / points;
      }
      usualSeconds[part] += meanSeconds[item * 3 + part] / (TOPICS * TOPIC_ITEMS);
    }
  }

  /**
   * Play time of quantile {@code u} in (0, 1) of a part: 0 = below both of {10 s, duration}, 1 =
   * between them, 2 = above both. Log-uniform in parts 0 and 1, a Pareto tail of replays in part 2.
   */
  float play(int item, int part, float u) {
    float first = Math.min(duration[item], 10);
    float second = Math.max(duration[item], 10);
    float play =
        part == 0
            ? 0.6f * FastMath.exp(u * FastMath.log(first / 0.6f))
            : part == 1
                ? first * FastMath.exp(u * FastMath.log(second / first))
                : second * Math.min(FastMath.exp(-replay[item] * FastMath.log(1 - u)), 5) * 1.0001f;
    return Math.min(play, LONGEST_PLAY);
  }

  /** Expected play time in seconds, from the probabilities of passing one and both thresholds. */
  float expectedSeconds(int item, float passFirst, float passSecond) {
    return (float) Calibration.STARTED * (1 - passFirst) * meanSeconds[item * 3]
        + (passFirst - passSecond) * meanSeconds[item * 3 + 1]
        + passSecond * meanSeconds[item * 3 + 2];
  }

  /**
   * Logit of the truth where the unknown is 0, such that the truth averaged over the unknown is
   * sigmoid({@code predicted}). Linear between tabled points (error below 2e-3) and beyond them.
   */
  float truthLogit(int b, float predicted) {
    float[] table = truthTable[b];
    float at = (predicted - TABLE_FROM) / TABLE_STEP;
    int i = Math.max(0, Math.min((int) at, TABLE_SIZE - 1));
    return table[i] + (at - i) * (table[i + 1] - table[i]);
  }

  /**
   * Logistic function: linear between tabled points 1/32 apart (relative error below 1.3e-4),
   * constant beyond -16 and 16.
   */
  float logistic(float logit) {
    float at = (logit + LOGISTIC_LIMIT) * LOGISTIC_STEPS;
    at = at < 0 ? 0 : at > LOGISTIC_SIZE - 1 ? LOGISTIC_SIZE - 1 : at;
    int i = (int) at;
    float below = logisticTable[i];
    return below + (at - i) * (logisticTable[i + 1] - below);
  }

  float userItemSd(int b) {
    return (float) USER_ITEM_SD[b];
  }

  double userFinishSd() {
    return USER_FINISH_SD;
  }

  double userPositiveSd() {
    return USER_POSITIVE_SD;
  }

  /** The configuration of this world. */
  public SimulatorConfig config() {
    return config;
  }

  @Override
  public String name() {
    return "simulator";
  }

  @Override
  public List<String> stateNames() {
    return STATE_NAMES;
  }

  @Override
  public ActionMap actionMap() {
    return actionMap;
  }

  @Override
  public double reward(float[] responses, int at) {
    return config.validReward() * responses[at + VALID]
        + config.watchReward() * responses[at + WATCH]
        + config.finishReward() * responses[at + FINISH]
        + config.likeReward() * responses[at + LIKE]
        + config.positiveReward() * responses[at + POSITIVE];
  }

  @Override
  public List<String> rewardGroups() {
    return REWARD_GROUPS.get(config.rewardGroups() - 1);
  }

  @Override
  public List<String> scoreNames() {
    return SCORE_NAMES;
  }

  @Override
  public List<String> responseNames() {
    return config.behaviours();
  }

  @Override
  public int pageSize() {
    return config.pageSize();
  }

  @Override
  public UserRange trainUsers() {
    return new UserRange(0, config.trainUsers());
  }

  @Override
  public UserRange judgeUsers() {
    return new UserRange(config.trainUsers(), config.judgeUsers());
  }

  @Override
  public List<String> limits() {
    return List.of(
        "Simulated users: marginals follow KuaiRand-Pure, session dynamics are assumed, since that"
            + " data has holes between exposures.",
        "The gain of personal fusion comes from the dials value, reliability and hidden; on"
            + " KuaiRand's real exposures no such gain was measurable.",
        "The state holds each user's true segment, by which value and reliability vary; a production"
            + " system would have to estimate it, so personal methods are favoured here.");
  }

  @Override
  public SimulatorRollout rollout(long seed, UserRange users, int days, int lanes) {
    return new SimulatorRollout(this, seed, users, days, lanes);
  }
}
