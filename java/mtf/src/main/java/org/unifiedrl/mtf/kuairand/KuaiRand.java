package org.unifiedrl.mtf.kuairand;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Rollout;

/**
 * Real users, real exposures, real outcomes: an episode is one user's recorded exposures of the
 * served period as a pool of candidates. Each request fuses the scores of what is left in the pool,
 * shows the best {@value #PAGE_SIZE}, and takes their logged outcomes as the responses; what was
 * not picked stays for later.
 *
 * <p>A user takes part with at least {@value #MINIMUM_POOL} exposures, and sees {@code pool / 4}
 * pages, at most {@value #MAXIMUM_PAGES}: about half of the pool, since a policy that ends up
 * showing everything cannot be told from any other. Small pages and pools are what the data allow:
 * KuaiRand-Pure keeps 1.9 exposures per user and day.
 *
 * <p>Users are split by a hash of their identifier: {@value #TRAIN_PERCENT} % to learn from, the
 * rest to judge on; the order within each part is that of the hash, so that any slice is a random
 * sample. Nothing is drawn at random, so the seed and the days of a rollout change nothing.
 *
 * <p>Immutable; may be shared by threads.
 */
public final class KuaiRand implements Environment {

  private static final Logger LOG = LoggerFactory.getLogger(KuaiRand.class);

  private static final int PAGE_SIZE = 2;
  private static final int MINIMUM_POOL = 8;
  private static final int POOL_PER_PAGE = 4;
  private static final int MAXIMUM_PAGES = 10;
  private static final int TRAIN_PERCENT = 60;
  private static final long SPLIT_KEY = 0x4B75616952616E64L; // "KuaiRand"

  /**
   * Typical value of each score (medians of the predicted scores of KuaiRand-Pure, 1-8 May 2022,
   * the watch time's and the interactions' rounded). A bias matters relative to it: biases run from
   * a thousandth of it, next to nothing, to ten times it, which levels the score.
   */
  private static final double[] TYPICAL_SCORE = {0.38, 8, 0.08, 0.004, 0.016};

  private static final double POWER_LOW = -0.5;
  private static final double POWER_HIGH = 2.5;

  private final EpisodePools pools;
  private final List<String> limits;
  private final Fusion fusion;
  private final int trainUsers;
  private final Map<String, Double> scoreAuc;

  private KuaiRand(
      EpisodePools pools, int trainUsers, List<String> limits, Map<String, Double> scoreAuc) {
    this.pools = pools;
    this.trainUsers = trainUsers;
    this.limits = limits;
    this.scoreAuc = scoreAuc;
    int k = ExposureScores.COUNT;
    double[] powerLow = new double[k];
    double[] powerHigh = new double[k];
    Arrays.fill(powerLow, POWER_LOW);
    Arrays.fill(powerHigh, POWER_HIGH);
    this.fusion =
        new Fusion(
            new ActionMap(
                powerLow,
                powerHigh,
                Arrays.stream(TYPICAL_SCORE).map(score -> 1e-3 * score).toArray(),
                Arrays.stream(TYPICAL_SCORE).map(score -> 10 * score).toArray()));
  }

  /**
   * Reads a folder of KuaiRand's published files, plain or gzip: {@code log_standard_*}, {@code
   * user_features_*}, and, if there, {@code video_features_*}, {@code user_history_*} and {@code
   * mtl_scores_*}. Without a score file, scores are fitted on the first part of the days.
   *
   * @throws KuaiRandException if something is missing or broken, naming file, line and column
   */
  public static KuaiRand open(Path folder) {
    KuaiRandFiles files = KuaiRandFiles.find(folder);
    ExposureLog log = ExposureLog.read(files.logs());
    ExposureScores scores =
        files
            .scores()
            .map(file -> ExposureScores.read(file, log))
            .orElseGet(() -> ScoreModels.fit(log, files.videoFeatures()));
    UserProfiles profiles = UserProfiles.read(files, log, scores.firstDate());

    long[] hash = new long[log.users()];
    int[] eligible = new int[log.users()];
    int count = 0;
    for (int user = 0; user < log.users(); user++) {
      if (scores.count(log.userStart[user], log.userStart[user + 1]) >= MINIMUM_POOL) {
        hash[user] = Philox.bits(SPLIT_KEY, 0, log.userIds[user]);
        eligible[count++] = user;
      }
    }
    // Unsigned order of the hash; its lowest TRAIN_PERCENT of the range is the training part.
    int[] users =
        Arrays.stream(eligible, 0, count)
            .boxed()
            .sorted((a, b) -> Long.compareUnsigned(hash[a], hash[b]))
            .mapToInt(Integer::intValue)
            .toArray();
    int train = 0;
    while (train < count && (hash[users[train]] >>> 1) * 0x1p-63 < TRAIN_PERCENT / 100.0) {
      train++;
    }
    if (train == 0 || train == count) {
      throw new KuaiRandException(
          folder
              + ": "
              + count
              + " users have at least "
              + MINIMUM_POOL
              + " exposures from "
              + scores.firstDate()
              + " on, "
              + train
              + " of them to learn from; expected some to learn from and some to judge on");
    }
    EpisodePools pools =
        new EpisodePools(log, scores, profiles, users, PAGE_SIZE, POOL_PER_PAGE, MAXIMUM_PAGES);
    LOG.info(
        "{}: {} exposures of {} users ({} duplicates dropped); {} users take part, {} to learn"
            + " from",
        folder,
        log.rows,
        log.users(),
        log.duplicates,
        count,
        train);
    return new KuaiRand(pools, train, limits(files, log, scores, pools, count), scores.auc());
  }

  private static List<String> limits(
      KuaiRandFiles files, ExposureLog log, ExposureScores scores, EpisodePools pools, int users) {
    List<String> limits = new ArrayList<>();
    limits.add(
        "Outcomes are those of the recorded exposure: they do not depend on the position, on the"
            + " page, or on what was shown before.");
    limits.add(
        "Candidates are what the production system showed the user, not what it could have shown;"
            + " their order and spacing in time are not kept.");
    limits.add(
        "The recorded sessions have holes, so an episode is a user's whole served period, and"
            + " session length, leaving and return cannot be studied: both policies get the same"
            + " number of requests.");
    limits.add(
        String.format(
            Locale.ROOT,
            "Valid consumptions (UVC) and watch time (UDT) are per judged user, not per day; %d of"
                + " %d users with at least %d exposures take part, and see %.0f %% of them.",
            users,
            log.users(),
            MINIMUM_POOL,
            100 * pools.shownShare()));
    limits.add(
        "The state says how many pages an episode has left, and with them how active the user is"
            + " going to be; a production system would not know.");
    if (scores.auc().isEmpty()) {
      limits.add(
          "Predicted scores come from the folder's score file; item statistics behind them may"
              + " include the served days.");
    } else {
      limits.add(
          "The folder has no score file: scores are regressions fitted on the days before "
              + scores.firstDate()
              + " (AUC on the days from then on: "
              + scores.auc().entrySet().stream()
                  .map(e -> String.format(Locale.ROOT, "%s %.3f", e.getKey(), e.getValue()))
                  .reduce((a, b) -> a + ", " + b)
                  .orElseThrow()
              + ").");
    }
    if (files.userHistory().isEmpty()) {
      limits.add("The folder has no user_history file: history features are 0.");
    }
    limits.add(
        "On these real exposures personal fusion has shown no measurable gain over the best global"
            + " vector; a lift over equal weights is not evidence of personalisation.");
    return Collections.unmodifiableList(limits);
  }

  @Override
  public String name() {
    return "kuairand";
  }

  @Override
  public List<String> stateNames() {
    return EpisodeRollout.STATE_NAMES;
  }

  @Override
  public ActionMap actionMap() {
    return fusion.map();
  }

  /**
   * Watch time as the sum of ln(1 + seconds) over the page, since seconds are heavy-tailed; and all
   * other behaviours: valid consumption 1, finish 0.2, like 1, other interactions 1 each item.
   */
  @Override
  public List<String> rewardGroups() {
    return List.of("watch_time", "behaviours");
  }

  @Override
  public List<String> scoreNames() {
    return ExposureScores.NAMES;
  }

  @Override
  public List<String> responseNames() {
    return ExposureScores.NAMES;
  }

  @Override
  public double reward(float[] responses, int at) {
    double sum = Math.log1p(responses[at + ExposureScores.WATCH]);
    for (int i = 0; i < ExposureScores.COUNT; i++) {
      sum += EpisodeRollout.BEHAVIOUR_WEIGHT[i] * responses[at + i];
    }
    return sum;
  }

  @Override
  public int pageSize() {
    return PAGE_SIZE;
  }

  @Override
  public UserRange trainUsers() {
    return new UserRange(0, trainUsers);
  }

  @Override
  public UserRange judgeUsers() {
    return new UserRange(trainUsers, pools.users() - trainUsers);
  }

  @Override
  public boolean hasDays() {
    return false;
  }

  @Override
  public List<String> limits() {
    return limits;
  }

  /** AUC of each fitted binary score on the served days; empty if the folder has a score file. */
  public Map<String, Double> scoreAuc() {
    return scoreAuc;
  }

  @Override
  public Rollout rollout(long seed, UserRange users, int days, int lanes) {
    if (users.first() + users.count() > pools.users()) {
      throw new IllegalArgumentException(
          "users "
              + users.first()
              + " .. "
              + (users.first() + users.count() - 1)
              + ": this folder has users 0 .. "
              + (pools.users() - 1));
    }
    if (lanes < 1) {
      throw new IllegalArgumentException("lanes=" + lanes + ": must be at least 1");
    }
    return new EpisodeRollout(this, pools, fusion, users, Math.min(lanes, users.count()));
  }
}
