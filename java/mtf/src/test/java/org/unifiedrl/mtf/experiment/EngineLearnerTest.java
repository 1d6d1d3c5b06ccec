package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.engine.Precision;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;
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

  private static ExperimentConfig config(UnaryOperator<ExperimentConfig.Training> change) {
    return config(change, "cpu");
  }

  private static ExperimentConfig config(
      UnaryOperator<ExperimentConfig.Training> change, String backend) {
    ExperimentConfig d = ExperimentConfig.defaults();
    ExperimentConfig.Training t = d.training();
    ExperimentConfig.Training small =
        new ExperimentConfig.Training(
            t.algorithm(),
            40,
            32,
            List.of(16),
            3,
            t.eta(),
            t.omega(),
            t.penaltyForm(),
            t.lambda(),
            t.beta(),
            t.theta(),
            t.discount(),
            t.groupWeights(),
            t.targetRate(),
            4,
            1e-3,
            1e-3,
            t.gradientClip(),
            t.normaliseReturns(),
            t.report(),
            t.checkpoint(),
            2);
    return new ExperimentConfig(
        d.environment(),
        9,
        backend,
        1,
        d.engine(),
        d.baseline(),
        d.exploration(),
        change.apply(small),
        d.algorithms(),
        d.evaluation(),
        d.simulator());
  }

  private static ExperimentConfig criticRate(double rate) {
    return config(
        t ->
            new ExperimentConfig.Training(
                t.algorithm(),
                t.steps(),
                t.batch(),
                t.hidden(),
                t.criticsPerGroup(),
                t.eta(),
                t.omega(),
                t.penaltyForm(),
                t.lambda(),
                t.beta(),
                t.theta(),
                t.discount(),
                t.groupWeights(),
                t.targetRate(),
                t.targetPeriod(),
                t.actorRate(),
                rate,
                0,
                t.normaliseReturns(),
                t.report(),
                t.checkpoint(),
                t.keep()));
  }

  private static Learner open(Replay replay, Path checkpoints, boolean resume) {
    return EngineLearner.factory()
        .open(config(UnaryOperator.identity()), replay, START, checkpoints, resume);
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
    ExperimentConfig wild = criticRate(1e30);
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
      EngineLearner.factory()
          .open(config(UnaryOperator.identity()), replay, START, checkpoints, true)
          .close();
      String state = new CheckpointStore(checkpoints, 2).latest().orElseThrow().stateJson();
      assertThat(state).contains("\"version\":", "\"abi_version\":", "\"backend\":\"cpu\"");
      Learner.Start other = Learner.Start.at(0.2f, -0.3f);
      ExperimentConfig same = config(UnaryOperator.identity());
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
    ExperimentConfig reference = config(UnaryOperator.identity(), "reference");
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
      ExperimentConfig bf16 = precision(Precision.BF16);
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

  private static ExperimentConfig precision(Precision precision) {
    ExperimentConfig c = config(UnaryOperator.identity());
    return new ExperimentConfig(
        c.environment(),
        c.seed(),
        c.backend(),
        c.threads(),
        new ExperimentConfig.Engine(0, precision, c.engine().replay()),
        c.baseline(),
        c.exploration(),
        c.training(),
        c.algorithms(),
        c.evaluation(),
        c.simulator());
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
