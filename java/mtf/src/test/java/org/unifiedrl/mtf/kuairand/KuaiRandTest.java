package org.unifiedrl.mtf.kuairand;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.mtf.TestData;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.baseline.EqualWeights;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.PairwiseEnvironment;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.UserTotals;

class KuaiRandTest {

  private static final int K = ExposureScores.COUNT;

  @TempDir Path folder;

  /** A policy that ranks by one score alone, ascending or descending. */
  private static ConstantPolicy only(Environment world, int score, double power) {
    float[] action = new float[world.actionSize()];
    for (int i = 0; i < K; i++) {
      action[i] = (float) world.actionMap().actionOfPower(i, i == score ? power : 0);
    }
    return new ConstantPolicy(world.stateSize(), action);
  }

  private static UserTotals serve(Environment world, UserRange users, ConstantPolicy policy) {
    return AbTest.serve(
        world, () -> policy, new AbTest.Settings(1, users, 1, 1, 7, 100), AbTest.Progress.NONE);
  }

  @Test
  void showsTheBestOfWhatIsLeftAndNothingTwice() throws IOException {
    KuaiRand world = KuaiRand.open(new PublishedFiles().write(folder));
    UserRange all = new UserRange(0, PublishedFiles.USERS);
    Rollout rollout = world.rollout(1, all, 1, 1);
    ConstantPolicy policy = only(world, ExposureScores.VALID, 1);
    float[] actions = new float[world.actionSize()];
    Set<Float> shown = new HashSet<>();
    int pages = 0;
    float worst = Float.POSITIVE_INFINITY;
    while (rollout.active() > 0) {
      policy.act(rollout.states(), 1, actions);
      rollout.serve(actions);
      assertThat(rollout.pageItems()[0]).isEqualTo(2);
      for (int item = 0; item < 2; item++) {
        float score = rollout.pageScores()[item * K];
        // By one score alone, an episode is the pool in descending order, cut after its pages.
        assertThat(score).isLessThanOrEqualTo(worst);
        worst = score;
        assertThat(shown.add(rollout.pageResponses()[item * K + ExposureScores.WATCH])).isTrue();
      }
      pages++;
      if (rollout.last()[0]) {
        // 10 candidates: 10 / 4 pages.
        assertThat(pages).isEqualTo(2);
        pages = 0;
        worst = Float.POSITIVE_INFINITY;
      }
      rollout.advance();
    }
    assertThat(shown).hasSize(PublishedFiles.USERS * 4);
    UserTotals totals = rollout.totals();
    assertThat(totals.requests()).containsOnly(2);
    assertThat(totals.sessions()).containsOnly(1);
    double watched = shown.stream().mapToDouble(seconds -> seconds).sum();
    assertThat(Arrays.stream(totals.watchSeconds()).sum()).isCloseTo(watched, within(1e-3));
    assertThat(Arrays.stream(totals.validConsumptions()).sum())
        .isEqualTo((double) shown.stream().filter(seconds -> seconds > 10).count());
  }

  @Test
  void outcomesEnterRewardsAndTheNextState() throws IOException {
    KuaiRand world = KuaiRand.open(new PublishedFiles().write(folder));
    List<String> names = world.stateNames();
    assertThat(names).doesNotHaveDuplicates().hasSize(world.stateSize());
    Rollout rollout = world.rollout(1, new UserRange(0, 1), 1, 1);
    float[] states = rollout.states();
    assertThat(states[names.indexOf("pages_seen")]).isZero();
    assertThat(states[names.indexOf("pages_left")]).isEqualTo(0.2f);
    assertThat(states[names.indexOf("active_degree_high_active")]).isEqualTo(1);
    assertThat(states[names.indexOf("is_live_streamer")]).isZero(); // -124: unknown
    assertThat(states[names.indexOf("log_register_days")])
        .isCloseTo((float) (Math.log1p(799) / 10), within(1e-6f));
    assertThat(states[names.indexOf("earlier_exposures")])
        .isCloseTo((float) (Math.log1p(PublishedFiles.EARLY) / 10), within(1e-6f));
    float earlier = states[names.indexOf("earlier_valid_share")];
    assertThat(states[names.indexOf("episode_valid_consumption")])
        .isCloseTo(earlier, within(1e-6f));

    float[] actions = only(world, ExposureScores.VALID, 1).action();
    rollout.serve(actions);
    float[] seen = rollout.pageResponses().clone();
    float watchReward = 0;
    float behaviours = 0;
    float valid = 0;
    for (int item = 0; item < 2; item++) {
      watchReward += (float) Math.log1p(seen[item * K + ExposureScores.WATCH]);
      valid += seen[item * K];
      behaviours += seen[item * K] + seen[item * K + ExposureScores.LIKE];
    }
    assertThat(rollout.rewards()[0]).isCloseTo(watchReward, within(1e-5f));
    assertThat(rollout.rewards()[1]).isCloseTo(behaviours, within(1e-5f));
    assertThat(world.reward(seen, 0) + world.reward(seen, K))
        .isCloseTo(watchReward + behaviours, within(1e-5));
    assertThat(world.hasDays()).isFalse();
    assertThat(rollout.last()[0]).isFalse();
    rollout.advance();
    assertThat(states[names.indexOf("last_page_valid_consumption")]).isEqualTo(valid / 2);
    assertThat(states[names.indexOf("last_page_log_watch")])
        .isCloseTo(watchReward / 2, within(1e-5f));
    assertThat(states[names.indexOf("episode_valid_consumption")])
        .isCloseTo((valid + 4 * earlier) / 6, within(1e-6f));
    assertThat(states[names.indexOf("pages_seen")]).isEqualTo(0.1f);
    rollout.serve(actions);
    assertThat(rollout.last()[0]).isTrue();
    rollout.advance();
    assertThat(rollout.active()).isZero();
  }

  @Test
  void splitsUsersForGood() throws IOException {
    KuaiRand world = KuaiRand.open(new PublishedFiles().write(folder));
    UserRange train = world.trainUsers();
    UserRange judge = world.judgeUsers();
    assertThat(train.first()).isZero();
    assertThat(judge.first()).isEqualTo(train.count());
    assertThat(train.count() + judge.count()).isEqualTo(PublishedFiles.USERS);
    // Binomial(60, 0.6): four standard deviations are 15.
    assertThat(train.count()).isBetween(21, 51);
  }

  @Test
  void gzipPlainAndLanesMakeNoDifference(@TempDir Path gzip) throws IOException {
    PublishedFiles files = new PublishedFiles();
    KuaiRand plainWorld = KuaiRand.open(files.write(folder));
    KuaiRand gzipWorld = KuaiRand.open(files.writeGzip(gzip));
    UserRange users = plainWorld.judgeUsers();
    UserTotals one = serve(plainWorld, users, EqualWeights.of(plainWorld));
    assertThat(serve(gzipWorld, users, EqualWeights.of(gzipWorld)))
        .usingRecursiveComparison()
        .isEqualTo(one);
    for (int lanes : new int[] {1, 3, 1000}) {
      UserTotals other =
          AbTest.serve(
              plainWorld,
              () -> EqualWeights.of(plainWorld),
              new AbTest.Settings(9, users, 4, 2, lanes, 100),
              AbTest.Progress.NONE);
      assertThat(other).usingRecursiveComparison().isEqualTo(one);
    }
  }

  /** Pools have fewer candidates at every page: what is beyond them has no say. */
  @Test
  void oneActionOnAllCandidatesIsOneActionOnTheRequest() throws IOException {
    KuaiRand world = KuaiRand.open(new PublishedFiles().write(folder));
    PairwiseEnvironment pairs = new PairwiseEnvironment(world);
    ConstantPolicy policy = only(world, ExposureScores.LIKE, -0.4);
    UserTotals plain = serve(world, world.judgeUsers(), policy);
    AbTest.Settings settings = new AbTest.Settings(1, world.judgeUsers(), 1, 1, 7, 100);
    assertThat(AbTest.serve(pairs, () -> pairs.serving(policy), settings, AbTest.Progress.NONE))
        .usingRecursiveComparison()
        .isEqualTo(plain);
    assertThat(plain)
        .usingRecursiveComparison()
        .isNotEqualTo(serve(world, world.judgeUsers(), only(world, ExposureScores.LIKE, 1)));
  }

  @Test
  void dropsExactDuplicatesOnly() throws IOException {
    PublishedFiles files = new PublishedFiles();
    String row = files.lateLog.get(1);
    files.lateLog.add(row);
    files.lateLog.add(row.replace(",30000,", ",30001,"));
    files.write(folder);
    ExposureLog log = ExposureLog.read(KuaiRandFiles.find(folder).logs());
    assertThat(log.duplicates).isEqualTo(1);
    assertThat(log.rows)
        .isEqualTo(PublishedFiles.USERS * (PublishedFiles.EARLY + PublishedFiles.SERVED) + 1);
    for (int user = 0; user < log.users(); user++) {
      for (int r = log.userStart[user] + 1; r < log.userStart[user + 1]; r++) {
        assertThat(log.time[r]).isGreaterThanOrEqualTo(log.time[r - 1]);
      }
    }
  }

  @Test
  void fitsScoresOfTheLaterDaysWhereTheFolderHasNone() throws IOException {
    KuaiRand world = KuaiRand.open(new PublishedFiles().writeWithoutScores(folder));
    assertThat(world.scoreAuc())
        .containsOnlyKeys("valid_consumption", "finish", "like", "interaction");
    assertThat(world.limits()).anyMatch(limit -> limit.contains("regressions fitted on the days"));
    assertThat(world.judgeUsers().count()).isPositive();
    Rollout rollout = world.rollout(1, world.judgeUsers(), 1, 8);
    rollout.serve(new float[8 * world.actionSize()]);
    for (int lane = 0; lane < rollout.active(); lane++) {
      for (int i = 0; i < 2 * K; i++) {
        float score = rollout.pageScores()[lane * 2 * K + i];
        assertThat(score).isFinite().isNotNegative();
        if (i % K != ExposureScores.WATCH) {
          assertThat(score).isLessThan(1);
        }
      }
    }
  }

  @Test
  void fittedScoresFollowRealDifferencesBetweenUsers() throws IOException {
    // Every other user always watches 20 s, the rest 1 s: the users' own means tell them apart.
    PublishedFiles files = new PublishedFiles();
    for (List<String> log : List.of(files.earlyLog, files.lateLog)) {
      for (int i = 1; i < log.size(); i++) {
        String[] fields = log.get(i).split(",", -1);
        fields[12] = Integer.parseInt(fields[0]) / 10 % 2 == 0 ? "20000" : "1000";
        log.set(i, String.join(",", fields));
      }
    }
    KuaiRand world = KuaiRand.open(files.writeWithoutScores(folder));
    assertThat(world.scoreAuc().get("valid_consumption")).isGreaterThan(0.99);
  }

  /** What users do on the served days must reach neither scores, nor profiles, nor first states. */
  @Test
  void nothingOfTheServedDaysLeaksIntoWhatAPolicySees(@TempDir Path other) throws IOException {
    PublishedFiles files = new PublishedFiles();
    files.writeWithoutScores(folder);
    for (int i = 1; i < files.lateLog.size(); i++) {
      String[] fields = files.lateLog.get(i).split(",", -1);
      for (int action = 5; action <= 11; action++) {
        fields[action] = fields[action].equals("0") ? "1" : "0";
      }
      fields[12] = Integer.toString(50_000 - Integer.parseInt(fields[12]));
      files.lateLog.set(i, String.join(",", fields));
    }
    files.writeWithoutScores(other);
    ExposureScores[] scores = new ExposureScores[2];
    float[][] profiles = new float[2][PublishedFiles.USERS * UserProfiles.SIZE];
    float[][] states = new float[2][];
    double[] watched = new double[2];
    for (int i = 0; i < 2; i++) {
      KuaiRandFiles found = KuaiRandFiles.find(i == 0 ? folder : other);
      ExposureLog log = ExposureLog.read(found.logs());
      scores[i] = ScoreModels.fit(log, found.videoFeatures());
      UserProfiles known = UserProfiles.read(found, log, scores[i].firstDate());
      for (int user = 0; user < PublishedFiles.USERS; user++) {
        known.copy(user, profiles[i], user * UserProfiles.SIZE);
      }
      KuaiRand world = KuaiRand.open(i == 0 ? folder : other);
      UserRange all = new UserRange(0, PublishedFiles.USERS);
      states[i] = world.rollout(1, all, 1, PublishedFiles.USERS).states().clone();
      watched[i] = Arrays.stream(serve(world, all, EqualWeights.of(world)).watchSeconds()).sum();
    }
    assertThat(watched[0]).isNotEqualTo(watched[1]);
    assertThat(scores[0].values()).isEqualTo(scores[1].values());
    assertThat(profiles[0]).isEqualTo(profiles[1]);
    assertThat(states[0]).isEqualTo(states[1]);
  }

  @Test
  void namesFileLineAndColumnOfBrokenRows() throws IOException {
    breakLog(2, 12, "abc", "log_standard_4_22_to_5_08_pure.csv, line 3, column play_time_ms");
    breakLog(2, 12, "-5", "expected a whole number in [0, 2147483647], found '-5'");
    breakLog(4, 6, "2", "line 5, column is_like: expected a whole number in [0, 1], found '2'");
    breakLog(4, 4, "", "line 5, column time_ms: expected a whole number, found ''");
    breakLog(4, 2, "202", "line 5, column date");
    breakLog(0, 12, "play", "line 1: column play_time_ms is missing; found user_id,video_id");

    PublishedFiles files = new PublishedFiles();
    files.lateLog.set(7, "1,2,3");
    files.write(folder);
    refused("line 8: expected 19 columns, found 3 (is the file truncated?)");

    files = new PublishedFiles();
    files.scores.set(1, files.scores.get(1).replace(",0.1,", ",1.5,"));
    files.write(folder);
    refused("mtl_scores_20220503_20220504.csv, line 2, column p_finish");

    files = new PublishedFiles();
    files.users.set(3, files.users.get(3).replace(",799,", ",NaN,"));
    files.write(folder);
    refused("user_features_pure.csv, line 4, column register_days: expected a number in");
  }

  private void breakLog(int line, int field, String value, String message) throws IOException {
    PublishedFiles files = new PublishedFiles();
    String[] fields = files.lateLog.get(line).split(",", -1);
    fields[field] = value;
    files.lateLog.set(line, String.join(",", fields));
    files.write(folder);
    refused(message);
  }

  private void refused(String message) {
    assertThatThrownBy(() -> KuaiRand.open(folder))
        .isInstanceOf(KuaiRandException.class)
        .hasMessageContaining(message);
  }

  @Test
  void saysWhatIsMissing() throws IOException {
    assertThatThrownBy(() -> KuaiRand.open(folder.resolve("nowhere")))
        .hasMessageContaining("nowhere: no such folder");
    refused("log_standard_*.csv or .csv.gz is missing");
    PublishedFiles files = new PublishedFiles();
    PublishedFiles.plain(folder, "log_standard_x.csv", files.earlyLog);
    refused("user_features_*.csv or .csv.gz is missing");
    PublishedFiles.plain(folder, "user_features_a.csv", files.users);
    PublishedFiles.plain(folder, "user_features_b.csv", files.users);
    refused("expected one of these files");
    Files.delete(folder.resolve("user_features_b.csv"));
    PublishedFiles.plain(folder, "user_features_a.csv", files.users.subList(0, 5));
    refused("user_id 43 of the logs is missing");
    PublishedFiles.plain(folder, "user_features_a.csv", files.users);
    refused("0 users have at least 8 exposures");
    PublishedFiles.plain(folder, "mtl_scores.csv", files.scores);
    refused("no row has the user_id, video_id and time_ms of an exposure");
    Files.write(folder.resolve("log_standard_x.csv"), new byte[0]);
    refused("log_standard_x.csv: is empty");
    PublishedFiles.plain(folder, "log_standard_x.csv", files.earlyLog.subList(0, 1));
    refused("no exposures");
  }

  @Test
  void namesATruncatedOrForeignGzip() throws IOException {
    new PublishedFiles().writeGzip(folder);
    Path log = folder.resolve("log_standard_4_22_to_5_08_pure.csv.gz");
    byte[] bytes = Files.readAllBytes(log);
    Files.write(log, Arrays.copyOf(bytes, bytes.length / 2));
    refused("log_standard_4_22_to_5_08_pure.csv.gz: cannot be read after line");
    Files.write(log, new byte[] {1, 2, 3, 4});
    refused("log_standard_4_22_to_5_08_pure.csv.gz: cannot be read");
  }

  @Test
  void refusesUsersBeyondTheLast() throws IOException {
    KuaiRand world = KuaiRand.open(new PublishedFiles().write(folder));
    assertThatThrownBy(() -> world.rollout(1, new UserRange(0, 61), 1, 4))
        .hasMessageContaining("users 0 .. 60: this folder has users 0 .. 59");
    assertThatThrownBy(() -> world.rollout(1, new UserRange(0, 6), 1, 0))
        .hasMessageContaining("lanes=0");
  }

  @Test
  void servesTheRealFolder() {
    Path real = TestData.root().resolve("kuairand-pure-14d");
    assumeThat(real).as("skipped: no %s", real).exists();
    long start = System.nanoTime();
    KuaiRand world = KuaiRand.open(real);
    double seconds = (System.nanoTime() - start) / 1e9;
    assertThat(seconds).isLessThan(60);
    assertThat(world.trainUsers().count() + world.judgeUsers().count()).isEqualTo(5_528);
    assertThat(world.stateSize()).isEqualTo(47);

    ConstantPolicy equal = EqualWeights.of(world);
    UserTotals baseline = serve(world, world.judgeUsers(), equal);
    // Ranking matters: by predicted valid consumption against by predicted likes.
    UserTotals valid = serve(world, world.judgeUsers(), only(world, ExposureScores.VALID, 1));
    UserTotals like = serve(world, world.judgeUsers(), only(world, ExposureScores.LIKE, 1));
    double best = Arrays.stream(valid.validConsumptions()).sum();
    double middle = Arrays.stream(baseline.validConsumptions()).sum();
    double worst = Arrays.stream(like.validConsumptions()).sum();
    System.out.printf(
        "KuaiRand: %.1f s to open; valid consumptions of judged users: by p_valid %.0f, equal"
            + " weights %.0f, by p_like %.0f%n",
        seconds, best, middle, worst);
    assertThat(best).isGreaterThan(1.02 * middle);
    assertThat(middle).isGreaterThan(1.05 * worst);

    Rollout rollout = world.rollout(1, world.judgeUsers(), 1, 500);
    float[] actions = new float[500 * world.actionSize()];
    while (rollout.active() > 0) {
      for (int i = 0; i < rollout.active() * world.stateSize(); i++) {
        assertThat(Float.isFinite(rollout.states()[i])).isTrue();
        assertThat(Math.abs(rollout.states()[i])).isLessThan(20);
      }
      rollout.serve(actions);
      rollout.advance();
    }
  }
}
