package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.experiment.ExperimentConfig.BoxSchedule;
import org.unifiedrl.mtf.experiment.ExperimentConfig.Progressive;
import org.unifiedrl.mtf.experiment.ExperimentConfig.RoundData;
import org.unifiedrl.mtf.experiment.ExperimentConfig.RoundStart;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Simulator;

/** Small runs of three rounds; canaries tolerate what their few users cannot tell apart. */
class ProgressiveTrainingTest {

  private static final Simulator WORLD = new Simulator();
  private static final int ROUNDS = 3;
  private static final double LARGEST = 0.26;
  private static final double CANARY_MARGIN = 20;

  @TempDir Path temporary;

  private static Progressive settings(
      int rounds, RoundData data, RoundStart start, BoxSchedule box, double gaucMargin) {
    return new Progressive(
        rounds, data, start, box, 90, 0.02, LARGEST, 0.01, 100, gaucMargin, 2e-4, CANARY_MARGIN);
  }

  private static ExperimentConfig config(Progressive progressive) {
    ExperimentConfig c =
        Settings.of(
            List.of(
                "seed=7",
                "backend=\"cpu\"",
                "threads=2",
                "exploration.users=900",
                "exploration.held_out_users=1500",
                "exploration.lanes=16",
                "training.steps=90",
                "training.batch=32",
                "training.hidden=[8]",
                "training.critics_per_group=2",
                "training.actor_rate=3e-3",
                "training.critic_rate=3e-3",
                "training.report=10",
                "training.checkpoint=10",
                "evaluation.users=100",
                "evaluation.lanes=16",
                "evaluation.resamples=100"));
    return new ExperimentConfig(
        c.environment(),
        c.seed(),
        c.backend(),
        c.threads(),
        c.engine(),
        c.baseline(),
        c.exploration(),
        c.training(),
        c.algorithms(),
        c.evaluation(),
        progressive,
        c.simulator());
  }

  private static final Progressive USUAL =
      settings(ROUNDS, RoundData.LATEST, RoundStart.WARM, BoxSchedule.MEASURED, 0.01);

  private static ProgressiveTraining.Result run(
      Progressive settings, Path folder, Learner.Factory learners, RunListener stages) {
    Pipeline pipeline = Pipeline.progressive(config(settings), WORLD, learners, stages);
    return new ProgressiveTraining(pipeline, folder)
        .run(
            new ProgressiveTraining.Listener() {
              @Override
              public void baseline(Baseline baseline) {}

              @Override
              public void begin(int number, int rounds) {}

              @Override
              public void end(Round round) {}
            });
  }

  private ProgressiveTraining.Result run(Progressive settings, String name) {
    return run(settings, temporary.resolve(name), EngineLearner.factory(), RunListener.NONE);
  }

  @Test
  void everyRoundExploresAroundTheServedPolicyInItsOwnBoxWithOtherUsers() {
    ProgressiveTraining.Result run = run(USUAL, "run");
    Path folder = temporary.resolve("run");
    assertThat(run.rounds()).extracting(Round::number).containsExactly(1, 2, 3);
    assertThat(run.rounds()).allMatch(round -> round.decision().served());
    assertThat(run.served()).isEqualTo(3);
    Set<Long> met = new HashSet<>();
    Supplier<Policy> served = run.baseline().policy();
    for (Round round : run.rounds()) {
      Path shards = ProgressiveTraining.folder(folder, round.number()).resolve("shards");
      Set<Long> users = requireBox(shards.resolve("train"), served.get(), round.bounds());
      users.addAll(requireBox(shards.resolve("held-out"), served.get(), round.bounds()));
      met.addAll(users);
      assertThat(met).as("none twice").hasSize(round.number() * (300 + 500));
      served =
          EngineLearner.factory()
              .policy(ProgressiveTraining.folder(folder, round.number()).resolve("checkpoints"));
    }
    UserRange judged = WORLD.judgeUsers();
    assertThat(met).allMatch(user -> user < judged.first());
  }

  /** The log's baseline is the policy, and its box lies around it; returns the users. */
  private static Set<Long> requireBox(Path log, Policy served, Bounds bounds) {
    Set<Long> users = new HashSet<>();
    try (Replay replay = Replay.open(log)) {
      int size = served.actionSize();
      float[] expected = new float[size];
      Set<String> actions = new HashSet<>();
      for (long row = 0; row < replay.rows(); row++) {
        users.add(replay.userId(row));
        served.act(column(replay, row, ReplaySchema.STATE), 1, expected);
        float[] baseline = column(replay, row, ReplaySchema.BASELINE_ACTION);
        float[] low = column(replay, row, ReplaySchema.BOX_LOW);
        float[] high = column(replay, row, ReplaySchema.BOX_HIGH);
        actions.add(Arrays.toString(baseline));
        for (int k = 0; k < size; k++) {
          assertThat(baseline[k]).isCloseTo(expected[k], within(1e-6f));
          assertThat((double) low[k])
              .isCloseTo(Math.max(-1, baseline[k] + bounds.lower().get(k)), within(1e-6));
          assertThat((double) high[k])
              .isCloseTo(Math.min(1, baseline[k] + bounds.upper().get(k)), within(1e-6));
        }
      }
      if (!(served instanceof ConstantPolicy)) {
        assertThat(actions).as("the box is personal").hasSizeGreaterThan(10);
      }
    }
    return users;
  }

  private static float[] column(Replay replay, long row, String name) {
    int column = replay.schema().columnIndex(name);
    float[] values = new float[replay.schema().columns().get(column).width()];
    replay.get(row, column, values, 0);
    return values;
  }

  @Test
  void theMeasuredBoxFollowsTheDriftAndAFixedOneStays() {
    ProgressiveTraining.Result measured = run(USUAL, "measured");
    List<Round> rounds = measured.rounds();
    for (int r = 1; r < ROUNDS; r++) {
      List<Double> moved = rounds.get(r - 1).offline().drift().moved();
      for (int k = 0; k < moved.size(); k++) {
        double half = Math.max(0.02, Math.min(LARGEST, moved.get(k)));
        assertThat(rounds.get(r).bounds().lower().get(k)).isEqualTo(-half);
        assertThat(rounds.get(r).bounds().upper().get(k)).isEqualTo(half);
      }
      assertThat(moved).anyMatch(distance -> distance > 0.02 && distance < LARGEST);
    }
    ProgressiveTraining.Result fixed =
        run(settings(ROUNDS, RoundData.POOLED, RoundStart.FRESH, BoxSchedule.FIXED, 0.01), "fixed");
    assertThat(fixed.rounds())
        .allMatch(round -> round.bounds().halfWidths().stream().allMatch(half -> half == 0.3));
    // The first round does not know of those to come; the others learn from other logs.
    assertThat(fixed.rounds().get(0).trained()).isEqualTo(rounds.get(0).trained());
    assertThat(fixed.rounds().get(2).trained()).isNotEqualTo(rounds.get(2).trained());
  }

  @Test
  void oneRoundIsThePlainRun() {
    Progressive one = settings(1, RoundData.POOLED, RoundStart.WARM, BoxSchedule.FIXED, 0.01);
    ProgressiveTraining.Result progressive = run(one, "one");
    Pipeline plain = new Pipeline(config(one), WORLD, EngineLearner.factory(), RunListener.NONE);
    Baseline baseline = plain.baseline();
    Path log = temporary.resolve("log");
    plain.explore(baseline.policy(), log, temporary.resolve("held-out"));
    Pipeline.Trained trained =
        plain.train(
            Learner.Start.at(baseline.action()),
            List.of(log),
            temporary.resolve("checkpoints"),
            false,
            MetricsListener.NONE);
    assertThat(progressive.rounds().get(0).trained().parameterHash())
        .isEqualTo(trained.parameterHash());
    assertThat(progressive.rounds().get(0).trained().steps()).isEqualTo(90);
  }

  /** All powers 0: no score counts, which costs three tenths of the valid consumptions. */
  private static final float[] BAD = {-1, -1, -1, -1, -1, 0, 0, 0, 0, 0};

  /** UnifiedRL, except that what it learns in the second round is bad. */
  private static Learner.Factory badInTheSecondRound() {
    Learner.Factory honest = EngineLearner.factory();
    return new Learner.Factory() {
      @Override
      public Learner open(
          ExperimentConfig config,
          Replay replay,
          Learner.Start start,
          Path checkpoints,
          boolean resume) {
        return honest.open(config, replay, start, checkpoints, resume);
      }

      @Override
      public Supplier<Policy> policy(Path checkpoints) {
        return checkpoints.getParent().endsWith("rounds/2")
            ? () -> new ConstantPolicy(WORLD.stateSize(), BAD)
            : honest.policy(checkpoints);
      }
    };
  }

  @Test
  void aBadRoundIsRefusedByTheOfflineGateAndRolledBack() {
    Path folder = temporary.resolve("bad");
    ProgressiveTraining.Result run = run(USUAL, folder, badInTheSecondRound(), RunListener.NONE);
    Round bad = run.rounds().get(1);
    assertThat(bad.decision().served()).isFalse();
    assertThat(bad.decision().reason()).contains("MTF-GAUC", "tolerated");
    assertThat(bad.canary()).as("no user meets it").isEmpty();
    requireRolledBack(run, folder);
  }

  @Test
  void aBadRoundThatNothingOfflineSpeaksAgainstIsRefusedByTheCanaryAndRolledBack() {
    Path folder = temporary.resolve("bad");
    ProgressiveTraining.Result run =
        run(
            settings(ROUNDS, RoundData.LATEST, RoundStart.WARM, BoxSchedule.MEASURED, 1),
            folder,
            badInTheSecondRound(),
            RunListener.NONE);
    Round bad = run.rounds().get(1);
    assertThat(bad.offline().ncisDifference().mean()).as("far from the log").isNaN();
    assertThat(bad.decision().served()).isFalse();
    assertThat(bad.decision().reason()).contains("canary", "tolerated -20.00");
    assertThat(bad.canary().orElseThrow().uvcLift().low()).isLessThan(-CANARY_MARGIN);
    requireRolledBack(run, folder);
  }

  /** Tells where each training started: the round it went on from, or whose log it cloned. */
  private static class Watched implements Learner.Factory {
    private final Learner.Factory learners;
    private final List<String> starts = new ArrayList<>();

    Watched(Learner.Factory learners) {
      this.learners = learners;
    }

    @Override
    public Learner open(
        ExperimentConfig config, Replay replay, Learner.Start from, Path to, boolean resume) {
      String cloned =
          from.cloned().stream()
              .map(log -> " " + log.getName(log.getNameCount() - 3))
              .collect(Collectors.joining());
      starts.add(
          from.warm().map(f -> f.getParent().getFileName().toString()).orElse("cold" + cloned));
      return learners.open(config, replay, from, to, resume);
    }

    @Override
    public Supplier<Policy> policy(Path checkpoints) {
      return learners.policy(checkpoints);
    }
  }

  private List<String> starts(RoundStart start) {
    Watched watched = new Watched(badInTheSecondRound());
    Progressive settings = settings(ROUNDS, RoundData.POOLED, start, BoxSchedule.FIXED, 0.01);
    Path folder = temporary.resolve(start.name());
    ProgressiveTraining.Result run = run(settings, folder, watched, RunListener.NONE);
    assertThat(run.rounds().get(1).decision().served()).isFalse();
    requireRolledBack(run, folder);
    return watched.starts;
  }

  @Test
  void aRoundAfterARefusedOneStartsAtWhatIsServedAtTheLastRoundOrAnew() {
    assertThat(starts(RoundStart.WARM)).containsExactly("cold", "1", "1");
    assertThat(starts(RoundStart.CONTINUED)).containsExactly("cold", "1", "2");
    assertThat(starts(RoundStart.FRESH)).containsExactly("cold", "cold 2", "cold 3");
  }

  @Test
  void aRoundWhoseTrainingDivergesIsRefusedAndTheOthersGoOn() {
    Watched diverging =
        new Watched(EngineLearner.factory()) {
          @Override
          public Learner open(
              ExperimentConfig config, Replay replay, Learner.Start from, Path to, boolean resume) {
            Learner learner = super.open(config, replay, from, to, resume);
            if (to.getParent().endsWith("rounds/2")) {
              learner.run(1);
              learner.save();
              learner.close();
              throw new NotFiniteException("NOT_FINITE: metric 'q_loss'");
            }
            return learner;
          }
        };
    Progressive settings =
        settings(ROUNDS, RoundData.LATEST, RoundStart.CONTINUED, BoxSchedule.MEASURED, 1);
    Path folder = temporary.resolve("diverging");
    ProgressiveTraining.Result run = run(settings, folder, diverging, RunListener.NONE);
    Round bad = run.rounds().get(1);
    assertThat(bad.decision().served()).isFalse();
    assertThat(bad.decision().reason()).contains("training diverged", "q_loss");
    assertThat(bad.canary()).isEmpty();
    requireRolledBackTo(run.rounds().get(2), bad, folder);
    assertThat(ProgressiveTraining.folder(folder, 2).resolve("checkpoints")).doesNotExist();
    // The third went on from the first, which has networks.
    assertThat(diverging.starts).containsExactly("cold", "1", "1");
    // Started again, it has the same rounds and trains nothing.
    diverging.starts.clear();
    ProgressiveTraining.Result again = run(settings, folder, diverging, RunListener.NONE);
    assertThat(again.rounds()).isEqualTo(run.rounds());
    assertThat(diverging.starts).isEmpty();
  }

  /** What a round explores around, and its box, after one that was refused. */
  private static void requireRolledBackTo(Round after, Round bad, Path folder) {
    assertThat(after.bounds()).isEqualTo(bad.bounds());
    Path first = ProgressiveTraining.folder(folder, 1).resolve("checkpoints");
    Path log = ProgressiveTraining.folder(folder, 3).resolve("shards/train");
    requireBox(log, EngineLearner.factory().policy(first).get(), bad.bounds());
  }

  @Test
  void explorationThatTheBaselineDoesNotAllowIsRefusedBeforeARound() {
    ExperimentConfig config =
        Settings.over(config(USUAL), List.of("exploration.kind=\"parameter_noise\""));
    Path folder = temporary.resolve("noise");
    ProgressiveTraining training =
        new ProgressiveTraining(
            Pipeline.progressive(config, WORLD, EngineLearner.factory(), RunListener.NONE), folder);
    assertThatThrownBy(() -> training.run(new ProgressiveTraining.Listener() {}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("needs a policy that is a network");
    assertThat(folder.resolve("rounds")).doesNotExist();
    ExperimentConfig bcq = Settings.over(config, List.of("training.algorithm=\"bcq\""));
    assertThatThrownBy(
            () -> Pipeline.progressive(bcq, WORLD, EngineLearner.factory(), RunListener.NONE))
        .hasMessageContaining("training.algorithm bcq");
  }

  private static void requireRolledBack(ProgressiveTraining.Result run, Path folder) {
    Round before = run.rounds().get(0);
    Round bad = run.rounds().get(1);
    Round after = run.rounds().get(2);
    assertThat(before.decision().served()).isTrue();
    assertThat(bad.decision().next()).isEqualTo(bad.bounds());
    requireRolledBackTo(after, bad, folder);
    assertThat(ProgressiveTraining.folder(folder, 2).resolve("checkpoints")).exists();
    assertThat(run.served()).isEqualTo(after.decision().served() ? 3 : 1);
  }

  /** Ends the run at the n-th moment at which it reports something. */
  private static final class Interruption implements RunListener {
    private int left;

    Interruption(int moments) {
      this.left = moments;
    }

    private void moment() {
      if (--left == 0) {
        throw new IllegalStateException("interrupted");
      }
    }

    @Override
    public Stage begin(String name, String unit, long total) {
      moment();
      return new Stage() {
        @Override
        public void at(long done, String note) {
          moment();
        }
      };
    }
  }

  @Test
  void aRunThatIsInterruptedAnywhereGoesOnToTheSameResult() {
    ProgressiveTraining.Result whole = run(USUAL, "whole");
    Path folder = temporary.resolve("parts");
    int interruptions = 0;
    SplittableRandom random = new SplittableRandom(4);
    while (true) {
      try {
        ProgressiveTraining.Result result =
            run(USUAL, folder, EngineLearner.factory(), new Interruption(random.nextInt(1, 90)));
        assertThat(result.rounds()).isEqualTo(whole.rounds());
        assertThat(result.baseline().action()).isEqualTo(whole.baseline().action());
        assertThat(result.served()).isEqualTo(whole.served());
        break;
      } catch (IllegalStateException e) {
        assertThat(e).hasMessage("interrupted");
        interruptions++;
        assertThat(interruptions).as("it gets on").isLessThan(200);
      }
    }
    assertThat(interruptions).isGreaterThan(5);
  }

  @Test
  void moreRoundsThanStepsAreRefusedBeforeAnythingRuns() {
    Progressive many = settings(91, RoundData.LATEST, RoundStart.WARM, BoxSchedule.FIXED, 0);
    assertThatThrownBy(() -> run(many, "none"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("training.steps is 90, and progressive.rounds 91");
    assertThat(temporary.resolve("none")).doesNotExist();
  }
}
