package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplaySchema.Column;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.mtf.algorithm.CriticEnsemble;
import org.unifiedrl.mtf.experiment.ExperimentConfig.AlgorithmKind;
import org.unifiedrl.mtf.policy.PairPolicy;
import org.unifiedrl.mtf.policy.Policy;

class EngineLearnerTest {

  private static final int STATES = 4;
  private static final int ACTIONS = 2;
  private static final Learner.Start START = Learner.Start.at(0.2f, -0.4f);

  /** Sessions of five requests whose reward is the first action: upwards is better. */
  private static Path log(Path folder, int sessions) {
    return log(folder, sessions, 3, 0.3f);
  }

  private static Path log(Path folder, int sessions, long seed, float explored) {
    ReplaySchema schema = ReplaySchema.standard(STATES, ACTIONS, 2, Map.of());
    Random random = new Random(seed);
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      float[] row = new float[schema.rowWidth()];
      for (int session = 0; session < sessions; session++) {
        for (int i = 0; i < 5; i++) {
          for (int s = 0; s < STATES; s++) {
            row[s] = (float) (random.nextGaussian() * (s + 1) + s);
          }
          for (int a = 0; a < ACTIONS; a++) {
            row[STATES + a] =
                START.action()[a] + (a == 0 ? 0.3f : explored) * (random.nextFloat() - 0.5f);
            row[STATES + ACTIONS + a] = START.action()[a];
            row[STATES + 2 * ACTIONS + a] = START.action()[a] - 0.15f;
            row[STATES + 3 * ACTIONS + a] = START.action()[a] + 0.15f;
          }
          row[STATES + 4 * ACTIONS] = 1 + 3 * row[STATES];
          row[STATES + 4 * ACTIONS + 1] = 2 + row[STATES];
          row[STATES + 4 * ACTIONS + 2] = 0;
          writer.append(session, session, i, i == 4, row);
        }
      }
    }
    return folder;
  }

  /** Lists of three pairs, the last of which is not always shown; it is then worth nothing. */
  private static Path pairLog(Path folder, int lists) {
    int pairs = 3;
    ReplaySchema schema =
        ReplaySchema.standard(pairs * STATES, pairs * ACTIONS, 2, Map.of())
            .with(new Column("shown", pairs));
    Random random = new Random(3);
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      for (int list = 0; list < lists; list++) {
        float[] row = new float[schema.rowWidth()];
        int rewards = pairs * (STATES + 4 * ACTIONS);
        for (int pair = 0; pair < pairs; pair++) {
          for (int s = 0; s < STATES; s++) {
            row[pair * STATES + s] = (float) (random.nextGaussian() * (s + 1) + s);
          }
          int at = pairs * STATES + pair * ACTIONS;
          for (int a = 0; a < ACTIONS; a++) {
            row[at + a] = START.action()[a] + 0.3f * (random.nextFloat() - 0.5f);
            row[at + pairs * ACTIONS + a] = START.action()[a];
            row[at + 2 * pairs * ACTIONS + a] = START.action()[a] - 0.15f;
            row[at + 3 * pairs * ACTIONS + a] = START.action()[a] + 0.15f;
          }
          boolean shown = pair < 2 || list % 3 > 0;
          row[rewards + 3 + pair] = shown ? 1 : 0;
          row[rewards] += shown ? 1 + 3 * row[at] : 0;
          row[rewards + 1] += shown ? 2 + row[at] : 0;
        }
        writer.append(list / 5, list / 5, list % 5, list % 5 == 4, row);
      }
    }
    return folder;
  }

  private static final List<String> SMALL =
      List.of(
          "seed=9",
          "backend=\"cpu\"",
          "threads=1",
          "training.steps=40",
          "training.batch=32",
          "training.hidden=[16]",
          "training.critics_per_group=3",
          "training.target_period=4",
          "training.actor_rate=1e-3",
          "training.critic_rate=1e-3",
          "training.keep=2");

  private static ExperimentConfig config(String... settings) {
    return Settings.of(SMALL, settings);
  }

  private static Learner open(Replay replay, Path checkpoints, boolean resume) {
    return EngineLearner.factory().open(config(), replay, START, checkpoints, resume);
  }

  @Test
  void resumesBitExactly(@TempDir Path folder) {
    try (Replay replay = Replay.open(log(folder.resolve("log"), 60))) {
      String whole;
      try (Learner learner = open(replay, folder.resolve("a"), false)) {
        learner.run(40);
        whole = learner.parameterHash();
      }
      try (Learner learner = open(replay, folder.resolve("b"), false)) {
        learner.run(17);
        learner.save();
        learner.run(5); // lost
      }
      try (Learner learner = open(replay, folder.resolve("b"), true)) {
        assertThat(learner.step()).isEqualTo(17);
        learner.run(23);
        assertThat(learner.step()).isEqualTo(40);
        assertThat(learner.parameterHash()).isEqualTo(whole);
      }
    }
  }

  @Test
  void startsAtTheServedActionAndLearnsWithinItsBox(@TempDir Path folder) {
    try (Replay replay = Replay.open(log(folder.resolve("log"), 400));
        Learner learner = open(replay, folder.resolve("checkpoints"), false)) {
      float[] states = new float[STATES];
      float[] action = new float[ACTIONS];
      learner.policy().get().act(states, 1, action);
      // The last layer starts at 1 % of its size: it adds at most 0.01 * 16 / 4 * |hidden|.
      assertThat(action[0]).isCloseTo(START.action()[0], within(0.05f));
      assertThat(action[1]).isCloseTo(START.action()[1], within(0.05f));
      Map<String, Double> metrics = learner.run(2_000);
      assertThat(metrics).containsKeys("critic_loss", "q_mean", "inside_share");
      assertThat(metrics.values()).allSatisfy(value -> assertThat(value).isFinite());
      learner.policy().get().act(states, 1, action);
      // Both rewards grow with the first action only; the box ends at 0.35.
      assertThat(action[0]).isGreaterThan(START.action()[0] + 0.05f).isLessThan(0.5f);

      learner.save();
      Policy saved = EngineLearner.factory().policy(folder.resolve("checkpoints")).get();
      float[] again = new float[ACTIONS];
      saved.act(states, 1, again);
      assertThat(again).isEqualTo(action);
    }
  }

  @Test
  void keepsTheLastGoodCheckpointWhenTheLossStopsBeingFinite(@TempDir Path folder) {
    ExperimentConfig wild = config("training.critic_rate=1e30", "training.gradient_clip=0");
    try (Replay replay = Replay.open(log(folder.resolve("log"), 60));
        Learner learner =
            EngineLearner.factory()
                .open(wild, replay, START, folder.resolve("checkpoints"), false)) {
      learner.save();
      String good = learner.parameterHash();
      assertThatThrownBy(() -> learner.run(20))
          .isInstanceOf(NotFiniteException.class)
          .hasMessageContaining("adam")
          .hasMessageContaining("step ");
      CheckpointStore store = new CheckpointStore(folder.resolve("checkpoints"), 2);
      assertThat(store.latest()).isPresent();
      assertThat(store.latest().orElseThrow().stateJson()).contains(good);
    }
  }

  @Test
  void refusesToResumeOnOtherDataOrWithoutACheckpoint(@TempDir Path folder) {
    Path checkpoints = folder.resolve("checkpoints");
    try (Replay replay = Replay.open(log(folder.resolve("log"), 60))) {
      assertThatThrownBy(() -> open(replay, checkpoints, true))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("no checkpoint");
      try (Learner learner = open(replay, checkpoints, false)) {
        learner.save();
      }
    }
    try (Replay other = Replay.open(log(folder.resolve("other"), 61))) {
      assertThatThrownBy(() -> open(other, checkpoints, true))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("rows was 300 and is now 305");
    }
  }

  @Test
  void refusesToResumeOnOtherDataOfTheSameSizeOrStart(@TempDir Path folder) {
    Path checkpoints = folder.resolve("checkpoints");
    try (Replay replay = Replay.open(log(folder.resolve("log"), 60))) {
      try (Learner learner = open(replay, checkpoints, false)) {
        learner.run(3);
        learner.save();
      }
      EngineLearner.factory().open(config(), replay, START, checkpoints, true).close();
      String state = new CheckpointStore(checkpoints, 2).latest().orElseThrow().stateJson();
      assertThat(state).contains("\"version\":", "\"abi_version\":", "\"backend\":\"cpu\"");
      Learner.Start other = Learner.Start.at(0.2f, -0.3f);
      ExperimentConfig same = config();
      assertThatThrownBy(() -> EngineLearner.factory().open(same, replay, other, checkpoints, true))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("start was [0.2,-0.4] and is now [0.2,-0.3]");
    }
    try (Replay other = Replay.open(log(folder.resolve("other"), 60, 4, 0.3f))) {
      assertThatThrownBy(() -> open(other, checkpoints, true))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("was trained with other settings");
    }
    // The same states and rewards, so the same statistics: only the fingerprint tells.
    try (Replay other = Replay.open(log(folder.resolve("actions"), 60, 3, 0.2f))) {
      assertThatThrownBy(() -> open(other, checkpoints, true))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("log_fingerprint was");
    }
  }

  @Test
  void resumesOnAnotherBackEnd(@TempDir Path folder) {
    Path checkpoints = folder.resolve("checkpoints");
    ExperimentConfig reference = config("backend=\"reference\"");
    try (Replay replay = Replay.open(log(folder.resolve("log"), 60))) {
      String saved;
      try (Learner learner = open(replay, checkpoints, false)) {
        learner.run(3);
        learner.save();
        saved = learner.parameterHash();
      }
      try (Learner learner =
          EngineLearner.factory().open(reference, replay, START, checkpoints, true)) {
        assertThat(learner.backend()).isEqualTo("reference");
        assertThat(learner.step()).isEqualTo(3);
        assertThat(learner.parameterHash()).isEqualTo(saved);
        learner.run(2);
      }
    }
  }

  @Test
  void refusesToResumeInAnotherPrecision(@TempDir Path folder) {
    Path checkpoints = folder.resolve("checkpoints");
    try (Replay replay = Replay.open(log(folder.resolve("log"), 60))) {
      try (Learner learner = open(replay, checkpoints, false)) {
        learner.save();
      }
      CheckpointStore store = new CheckpointStore(checkpoints, 2);
      Checkpoint saved = store.latest().orElseThrow();
      String state = saved.stateJson();
      assertThat(state).contains("\"precision\":\"fp32\"");
      ExperimentConfig bf16 = config("engine.precision=\"bf16\"");
      assertThatThrownBy(() -> EngineLearner.factory().open(bf16, replay, START, checkpoints, true))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("was trained in precision fp32, and bf16 is asked for");
      // One from before there was a choice, and one of another choice.
      store.save(1, saved.tensors(), state.replace("\"precision\":\"fp32\",", ""));
      open(replay, checkpoints, true).close();
      assertThatThrownBy(() -> EngineLearner.factory().open(bf16, replay, START, checkpoints, true))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("precision fp32, and bf16");
      store.save(2, saved.tensors(), state.replace("\"fp32\"", "\"tf32\""));
      assertThatThrownBy(() -> open(replay, checkpoints, true))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("was trained in precision tf32, and fp32 is asked for")
          .hasMessageContaining("resume in tf32");
    }
  }

  /**
   * Of every algorithm: it moves to what is rewarded, and what it saved goes on as it would have.
   */
  @ParameterizedTest
  @EnumSource(AlgorithmKind.class)
  void everyAlgorithmLearnsSavesAndResumes(AlgorithmKind kind, @TempDir Path folder) {
    ExperimentConfig config =
        config(
            "training.algorithm=\"" + kind.name() + "\"",
            "training.discount=0.5",
            "awac.lambda=0.25", // advantages are small here, and 1 moves it less far
            "cql.weight=0.1"); // at 10 it ended at 0.193 here, below its start of 0.2
    Path checkpoints = folder.resolve("checkpoints");
    float[] states = new float[STATES];
    float[] action = new float[ACTIONS];
    float[] again = new float[ACTIONS];
    Path log = folder.resolve("log");
    boolean pairs = kind == AlgorithmKind.ENHANCEDRL;
    try (Replay replay = Replay.open(pairs ? pairLog(log, 2_000) : log(log, 400))) {
      String whole;
      try (Learner learner =
          EngineLearner.factory().open(config, replay, START, checkpoints, false)) {
        learner.policy().get().act(states, 1, action);
        assertThat(action[0]).isCloseTo(START.action()[0], within(0.05f));
        Map<String, Double> metrics = learner.run(1_000);
        assertThat(metrics).containsKeys("critic_loss", "q_mean", "reward");
        assertThat(metrics.values()).allSatisfy(value -> assertThat(value).isFinite());
        learner.save();
        learner.policy().get().act(states, 1, action);
        assertThat(action[0]).isGreaterThan(START.action()[0] + 0.02f);
        EngineLearner.factory().policy(checkpoints).get().act(states, 1, again);
        assertThat(again).isEqualTo(action);
        learner.run(7);
        whole = learner.parameterHash();
      }
      try (Learner learner =
          EngineLearner.factory().open(config, replay, START, checkpoints, true)) {
        learner.run(7);
        assertThat(learner.parameterHash()).isEqualTo(whole);
      }
    }
  }

  /** Statistics are of pairs, whatever their place, and there is one for each feature of a pair. */
  @Test
  void pairsAreNormalisedAlikeAtAllPlaces(@TempDir Path folder) {
    ExperimentConfig config = config("training.algorithm=\"enhancedrl\"");
    try (Replay replay = Replay.open(pairLog(folder.resolve("log"), 2_000));
        Learner learner =
            EngineLearner.factory().open(config, replay, START, folder.resolve("c"), false)) {
      learner.save();
      assertThat(learner.policy().get()).isInstanceOf(PairPolicy.class);
      assertThat(learner.policy().get().stateSize()).isEqualTo(STATES);
    }
    Checkpoint saved = CheckpointStore.newest(folder.resolve("c"));
    float[] shift = saved.tensor("state.shift").toFloats();
    float[] scale = saved.tensor("state.scale").toFloats();
    assertThat(shift).hasSize(STATES);
    for (int s = 0; s < STATES; s++) { // 6,000 pairs of mean s and deviation s + 1
      assertThat(shift[s]).isCloseTo(s, within(0.07f * (s + 1)));
      assertThat(1 / scale[s]).isCloseTo(s + 1f, within(0.05f * (s + 1)));
    }
    // EnhancedRL's own number of critics, 10, in each of two groups.
    assertThat(saved.tensor("critic.layer0.weight").shape()[0]).isEqualTo(20);
    assertThatThrownBy(() -> CriticEnsemble.load(folder.resolve("c")))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("critics of (user, candidate) pairs");
  }

  @Test
  void algorithmsRefuseLogsOfTheOtherGranularity(@TempDir Path folder) {
    ExperimentConfig enhanced = config("training.algorithm=\"enhancedrl\"");
    Learner.Factory factory = EngineLearner.factory();
    try (Replay lists = Replay.open(pairLog(folder.resolve("lists"), 50));
        Replay requests = Replay.open(log(folder.resolve("requests"), 10))) {
      assertThatThrownBy(() -> factory.open(enhanced, requests, START, folder, false))
          .hasMessageContaining("enhancedrl learns from a log of exploration.granularity pair")
          .hasMessageContaining("not from one of user");
      assertThatThrownBy(() -> factory.open(config(), lists, START, folder, false))
          .hasMessageContaining("unifiedrl learns from a log of exploration.granularity user");
    }
  }

  /** A data set that is no log: rows in any order, and ends of episodes that are not terminal. */
  @Test
  void learnsFromTransitionsWhoseNextStatesAreColumns(@TempDir Path folder) {
    ReplaySchema schema =
        new ReplaySchema(
            List.of(
                new Column("state", 1),
                new Column("action", 1),
                new Column("reward", 1),
                new Column("next_state", 1),
                new Column("done", 1)),
            Map.of());
    Random random = new Random(5);
    try (ReplayWriter writer = new ReplayWriter(folder.resolve("data"), schema)) {
      for (int i = 0; i < 500; i++) {
        float action = 2 * random.nextFloat() - 1;
        float done = i % 50 == 49 ? 1 : 0;
        float[] row = {random.nextFloat(), action, 1, random.nextFloat(), done};
        writer.append(i / 10, 0, i, i % 10 == 9, row); // an episode ends where it ran out of time
      }
    }
    ExperimentConfig config =
        config(
            "training.algorithm=\"td3_bc\"",
            "training.group_weights=[1]",
            "training.normalise_returns=false",
            "training.discount=0.8",
            "training.target_rate=0.5",
            "training.target_period=1",
            "training.critic_rate=1e-2");
    Learner.Start start = Learner.Start.at(0);
    try (Replay replay = Replay.open(folder.resolve("data"));
        Learner learner =
            EngineLearner.factory().open(config, replay, start, folder.resolve("c"), false)) {
      learner.run(500);
      // Every step is rewarded by 1 and one of 50 is the last: v = 1 + 0.8 * 0.98 v. With time-outs
      // for ends, one of 10 would be, and v = 1 / (1 - 0.8 * 0.9) = 3.6.
      assertThat(learner.run(50).get("q_mean")).isCloseTo(1 / (1 - 0.8 * 0.98), within(0.4));
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = AlgorithmKind.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"BCQ", "ENHANCEDRL"}) // has no actor; learns from pairs
  void trainingStartsAtAPersonalPolicyThatItClones(AlgorithmKind kind, @TempDir Path folder) {
    ExperimentConfig config = config("training.algorithm=\"" + kind + "\"");
    try (Replay replay = Replay.open(personalLog(folder.resolve("log"), 1));
        Learner mean = EngineLearner.factory().open(config, replay, START, folder, false);
        Learner cloned =
            EngineLearner.factory().open(config, replay, cloning(folder), folder, false)) {
      assertThat(cloned.step()).isZero();
      assertThat(distance(mean.policy().get(), 1)).isGreaterThan(0.1);
      assertThat(distance(cloned.policy().get(), 1)).isLessThan(0.03);
    }
  }

  /** A start at the served actions of the log in a folder. */
  private static Learner.Start cloning(Path folder) {
    return Learner.Start.cloning(START.action(), List.of(folder.resolve("log")));
  }

  /** What other rounds' logs were explored around is not what is served. */
  @Test
  void aCloneIsOfTheLogThatItIsGivenAndNotOfAllThatIsLearnedFrom(@TempDir Path folder) {
    Path own = personalLog(folder.resolve("own"), 1);
    Learner.Start start = Learner.Start.cloning(START.action(), List.of(own));
    try (Replay replay = Replay.open(log(folder.resolve("log"), 60));
        Learner cloned = EngineLearner.factory().open(config(), replay, start, folder, false)) {
      assertThat(distance(cloned.policy().get(), 1)).isLessThan(0.06);
    }
  }

  @Test
  void pairsStartAtTheServedActionOfEachOne(@TempDir Path folder) {
    ExperimentConfig config = config("training.algorithm=\"enhancedrl\"");
    try (Replay replay = Replay.open(personalLog(folder.resolve("log"), 3));
        Learner mean = EngineLearner.factory().open(config, replay, START, folder, false);
        Learner cloned =
            EngineLearner.factory().open(config, replay, cloning(folder), folder, false)) {
      assertThat(distance(mean.policy().get(), 3)).isGreaterThan(0.1);
      assertThat(distance(cloned.policy().get(), 3)).isLessThan(0.03);
    }
  }

  @Test
  void aClonedStartIsResumedAndIsNoOtherStart(@TempDir Path folder) {
    Learner.Start start = cloning(folder);
    try (Replay replay = Replay.open(personalLog(folder.resolve("log"), 1))) {
      String whole;
      try (Learner learner = EngineLearner.factory().open(config(), replay, start, folder, false)) {
        learner.run(5);
        learner.save();
        learner.run(5);
        whole = learner.parameterHash();
      }
      try (Learner learner = EngineLearner.factory().open(config(), replay, start, folder, true)) {
        learner.run(5);
        assertThat(learner.parameterHash()).isEqualTo(whole);
      }
      assertThatThrownBy(() -> open(replay, folder, true))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("cloning_steps was");
    }
  }

  /** A log around a policy that depends on the state, with {@code pairs} pairs a row. */
  private static Path personalLog(Path folder, int pairs) {
    ReplaySchema schema = ReplaySchema.standard(pairs * STATES, pairs * ACTIONS, 2, Map.of());
    if (pairs > 1) {
      schema = schema.with(new Column("shown", pairs));
    }
    Random random = new Random(8);
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      for (int i = 0; i < 1000; i++) {
        float[] row = new float[schema.rowWidth()];
        for (int pair = 0; pair < pairs; pair++) {
          for (int s = 0; s < STATES; s++) {
            row[pair * STATES + s] = (float) random.nextGaussian();
          }
          for (int a = 0; a < ACTIONS; a++) {
            float served = served(row[pair * STATES], a);
            int at = pairs * STATES + pair * ACTIONS + a;
            row[at] = served + 0.2f * (random.nextFloat() - 0.5f);
            row[at + pairs * ACTIONS] = served;
            row[at + 2 * pairs * ACTIONS] = served - 0.1f;
            row[at + 3 * pairs * ACTIONS] = served + 0.1f;
          }
          if (pairs > 1) {
            row[schema.rowWidth() - pairs + pair] = 1;
          }
        }
        row[pairs * (STATES + 4 * ACTIONS)] = random.nextFloat();
        writer.append(i / 5, i / 5, i % 5, i % 5 == 4, row);
      }
    }
    return folder;
  }

  private static float served(float state, int dimension) {
    return START.action()[dimension] + 0.4f * (float) Math.tanh(state);
  }

  /** Mean distance of a policy's actions from those of {@link #personalLog}. */
  private static double distance(Policy policy, int pairs) {
    Random random = new Random(9);
    float[] states = new float[100 * pairs * STATES];
    for (int i = 0; i < states.length; i++) {
      states[i] = (float) random.nextGaussian();
    }
    float[] actions = new float[100 * pairs * ACTIONS];
    policy.act(states, 100 * pairs, actions);
    double sum = 0;
    for (int i = 0; i < actions.length; i++) {
      sum += Math.abs(actions[i] - served(states[i / ACTIONS * STATES], i % ACTIONS));
    }
    return sum / actions.length;
  }

  @Test
  void warmStartKeepsNetworksAndNormalisationAndNothingElse(@TempDir Path folder) {
    Path first = folder.resolve("first");
    Path second = folder.resolve("second");
    String learned;
    try (Replay replay = Replay.open(log(folder.resolve("log"), 60));
        Learner learner = open(replay, first, false)) {
      learner.run(20);
      learner.save();
      learned = learner.parameterHash();
    }
    Learner.Start warm = START.from(first);
    try (Replay other = Replay.open(log(folder.resolve("other"), 50, 4, 0.3f))) {
      String whole;
      try (Learner learner = EngineLearner.factory().open(config(), other, warm, second, false)) {
        assertThat(learner.step()).isZero();
        assertThat(learner.parameterHash()).isEqualTo(learned);
        learner.run(5);
        learner.save();
        learner.run(5);
        whole = learner.parameterHash();
      }
      Checkpoint of = new CheckpointStore(first, 2).latest().orElseThrow();
      Checkpoint to = new CheckpointStore(second, 2).latest().orElseThrow();
      for (String name : List.of("state.shift", "state.scale")) {
        assertThat(to.tensor(name).toFloats()).isEqualTo(of.tensor(name).toFloats());
      }
      assertThat(Settings.json(to.stateJson()).get("reward_scale"))
          .isEqualTo(Settings.json(of.stateJson()).get("reward_scale"));
      try (Learner learner = EngineLearner.factory().open(config(), other, warm, second, true)) {
        learner.run(5);
        assertThat(learner.parameterHash()).isEqualTo(whole);
      }
      // A cold run is another run.
      assertThatThrownBy(() -> open(other, second, true))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("warm_start was");
      // Other critics start anew, the actor goes on; with nothing alike there is nothing to keep.
      ExperimentConfig critics = config("training.critics_per_group=2");
      try (Learner learner =
          EngineLearner.factory().open(critics, other, warm, folder.resolve("third"), false)) {
        float[] states = new float[STATES];
        float[] action = new float[ACTIONS];
        float[] expected = new float[ACTIONS];
        learner.policy().get().act(states, 1, action);
        EngineLearner.factory().policy(first).get().act(states, 1, expected);
        assertThat(action).isEqualTo(expected);
      }
      ExperimentConfig wide = config("training.hidden=[8]");
      assertThatThrownBy(
              () ->
                  EngineLearner.factory().open(wide, other, warm, folder.resolve("fourth"), false))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("no network of a shape that unifiedrl trains here");
    }
  }

  @Test
  void aMetricThatIsNotFiniteEndsTheRunAndIsNamed() {
    List<String> names = List.of("critic_loss", "q_mean");
    FloatBuffer rows = FloatBuffer.wrap(new float[] {1, 2, 3, 4, 5, Float.POSITIVE_INFINITY});
    double[] sums = new double[2];
    EngineLearner.addMetrics(names, rows, 2, 11, sums);
    assertThat(sums).containsExactly(4, 6);
    assertThatThrownBy(() -> EngineLearner.addMetrics(names, rows, 3, 11, sums))
        .isInstanceOf(NotFiniteException.class)
        .hasMessageContaining("metric 'q_mean' is Infinity at step 13");
  }
}
