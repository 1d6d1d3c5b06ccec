package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.baseline.PolicySearch;
import org.unifiedrl.mtf.evaluation.FittedQEvaluation;
import org.unifiedrl.mtf.experiment.ExperimentConfig.ExplorationKind;
import org.unifiedrl.mtf.experiment.ExperimentConfig.Granularity;
import org.unifiedrl.mtf.experiment.ExperimentConfig.NcisKernel;
import org.unifiedrl.mtf.experiment.ExperimentConfig.Population;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.session.Simulator;

class PipelineTest {

  private static final Simulator WORLD = new Simulator();
  private static final ObjectMapper JSON = new ObjectMapper();

  private static final List<ExperimentConfig.Estimator> ESTIMATORS =
      List.of(ExperimentConfig.Estimator.values());

  @TempDir Path folder;
  @TempDir static Path guideRun;

  private static ExperimentConfig config(
      ExplorationKind kind, List<Double> lower, double bandwidth, boolean candidates) {
    return config(kind, lower, bandwidth, candidates, 16);
  }

  private static ExperimentConfig config(
      ExplorationKind kind, List<Double> lower, double bandwidth, boolean candidates, int lanes) {
    ExperimentConfig d = ExperimentConfig.defaults();
    return new ExperimentConfig(
        d.environment(),
        3,
        d.backend(),
        2,
        d.engine(),
        d.baseline(),
        new ExperimentConfig.Exploration(
            kind,
            Granularity.USER,
            0.1,
            lower,
            List.of(),
            0.3,
            0.8,
            100,
            100,
            1,
            lanes,
            candidates,
            guide(kind)),
        d.training(),
        d.algorithms(),
        new ExperimentConfig.Evaluation(
            Population.JUDGE,
            bandwidth,
            kind == ExplorationKind.SOBOL ? NcisKernel.IN_BOX : NcisKernel.PLAIN,
            10,
            0,
            ESTIMATORS,
            10,
            3,
            1e-2,
            new FittedQEvaluation.Settings(3, 20, 32, List.of(8), 1e-3, 0.01, 0.1, 4),
            1,
            100,
            1,
            16,
            100,
            false),
        d.progressive(),
        d.simulator());
  }

  private static ExperimentConfig.Guide guide(ExplorationKind kind) {
    String run = kind.guided() ? guideRun.toString() : "none";
    return new ExperimentConfig.Guide(run, 4, 0.2, 1.5, 100, 0);
  }

  private OfflineEvaluation evaluated(ExperimentConfig config, String name) {
    Pipeline pipeline = new Pipeline(config, WORLD, EngineLearner.factory(), RunListener.NONE);
    ConstantPolicy middle = new ConstantPolicy(WORLD.stateSize(), new float[WORLD.actionSize()]);
    Path heldOut = folder.resolve(name + "-held-out");
    pipeline.explore(() -> middle, folder.resolve(name), heldOut);
    return pipeline.evaluate(() -> middle, () -> middle, heldOut);
  }

  @Test
  void bandwidthFollowsTheLogUnlessItIsGiven() {
    List<Double> lower = List.of(-0.2, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.4);
    OfflineEvaluation box = evaluated(config(ExplorationKind.UNIFORM, lower, 0, false), "box");
    // Two thirds of half of (0.2 + 0.1), (0.1 + 0.1), (0.4 + 0.1); edges are floats.
    assertThat(box.bandwidth()[0]).isCloseTo(0.1, within(1e-6));
    assertThat(box.bandwidth()[1]).isCloseTo(0.2 / 3, within(1e-6));
    assertThat(box.bandwidth()[9]).isCloseTo(0.5 / 3, within(1e-6));
    OfflineEvaluation wide =
        evaluated(config(ExplorationKind.GAUSSIAN, List.of(), 0, false), "gaussian");
    // Half of 0.3, from some thousand actions: 5 standard errors are 10 %.
    assertThat(wide.bandwidth()[4]).isCloseTo(0.15, within(0.015));
    OfflineEvaluation given =
        evaluated(config(ExplorationKind.UNIFORM, lower, 0.07, false), "given");
    assertThat(Arrays.stream(given.bandwidth())).containsOnly(0.07);
    // A policy differs from itself by nothing.
    assertThat(given.gaucDifference().high()).isZero();
    assertThat(box.ncisDifference().mean()).isZero();
    List<OfflineEvaluation.Comparison> all = box.estimators();
    assertThat(all)
        .extracting(OfflineEvaluation.Comparison::estimator)
        .containsExactlyElementsOf(ESTIMATORS);
    for (OfflineEvaluation.Comparison one : all.subList(0, 4)) {
      // Of the logging policy itself they say what was logged, as NCIS does.
      assertThat(one.policy().refused()).isFalse();
      assertThat(one.policy().samples()).isEqualTo(box.ncisPolicy().samples());
      assertThat(one.policy().value())
          .isCloseTo(box.ncisPolicy().value(), within(0.1 * box.ncisPolicy().value()));
      assertThat(one.difference().high()).isZero();
    }
    assertThat(all.get(5).policy().samples()).isLessThan(box.ncisPolicy().samples());
  }

  /** Far from all that was logged: what needs no weights is refused too, in boxes and without. */
  @ParameterizedTest
  @EnumSource(names = {"SOBOL", "GAUSSIAN"})
  void noEstimatorJudgesAPolicyThatTheLogDoesNotReach(ExplorationKind kind) {
    ExperimentConfig config = config(kind, List.of(), 0, false);
    Pipeline pipeline = new Pipeline(config, WORLD, EngineLearner.factory(), RunListener.NONE);
    ConstantPolicy middle = new ConstantPolicy(WORLD.stateSize(), new float[WORLD.actionSize()]);
    float[] away = new float[WORLD.actionSize()];
    if (kind == ExplorationKind.SOBOL) {
      away[3] = 0.2f; // half a width beyond one edge, which weights in the box do not tell
    } else {
      Arrays.fill(away, 0.9f); // three standard deviations in all dimensions
    }
    ConstantPolicy far = new ConstantPolicy(WORLD.stateSize(), away);
    Path heldOut = folder.resolve("held-out");
    pipeline.explore(() -> middle, folder.resolve("log"), heldOut);
    OfflineEvaluation offline = pipeline.evaluate(() -> middle, () -> far, heldOut);
    assertThat(offline.ncisBaseline().refused()).isFalse();
    assertThat(offline.ncisPolicy().refused()).isTrue();
    assertThat(offline.ncisDifference().mean()).isNaN();
    for (OfflineEvaluation.Comparison one : offline.estimators()) {
      assertThat(one.policy().refused()).as("%s", one.estimator()).isTrue();
      assertThat(one.difference().mean()).isNaN();
    }
    OfflineEvaluation.Comparison fitted =
        offline.estimators().stream()
            .filter(one -> one.estimator() == ExperimentConfig.Estimator.FQE)
            .findFirst()
            .orElseThrow();
    assertThat(fitted.baseline().refused()).isFalse();
    assertThat(fitted.policy().refusal().orElseThrow()).contains("explore nearer to it");
  }

  /** Every kind's log is one that training and evaluation take, and tells what wrote it. */
  @ParameterizedTest
  @EnumSource(
      names = {"THOMPSON", "UCB", "RND", "PARAMETER_NOISE"},
      mode = Mode.EXCLUDE)
  void everyKindLeavesALogThatCanBeEvaluated(ExplorationKind kind) {
    OfflineEvaluation offline = evaluated(config(kind, List.of(), 0, false), "log");
    assertThat(offline.ncisBaseline().samples()).isGreaterThan(100);
    assertThat(offline.ncisBaseline().maxWeight()).isPositive();
    // Two thirds of 0.1, or half of 0.3 from some thousand actions; edges are floats.
    assertThat(offline.bandwidth()[4])
        .isCloseTo(kind.bounded() ? 0.2 / 3 : 0.15, within(kind.bounded() ? 1e-6 : 0.03));
    try (Replay replay = Replay.open(folder.resolve("log"))) {
      assertThat(replay.schema().metadata()).containsEntry("exploration", kind.name());
      assertThat(replay.schema().boxCheck()).isEqualTo(kind.bounded());
      if (kind.bounded()) {
        assertThat(replay.outOfBoxRows()).isZero();
      }
    }
  }

  /** Explorers with memory included: neither threads nor lanes are in a log. */
  @ParameterizedTest
  @EnumSource(
      names = {"THOMPSON", "UCB", "RND", "PARAMETER_NOISE"},
      mode = Mode.EXCLUDE)
  void lanesDoNotChangeALog(ExplorationKind kind) {
    List<float[]> logs = new ArrayList<>();
    for (int lanes : new int[] {16, 3}) {
      ExperimentConfig config = config(kind, List.of(), 0, false, lanes);
      Pipeline pipeline = new Pipeline(config, WORLD, EngineLearner.factory(), RunListener.NONE);
      ConstantPolicy middle = new ConstantPolicy(WORLD.stateSize(), new float[WORLD.actionSize()]);
      Path log = folder.resolve("log-" + lanes);
      pipeline.explore(() -> middle, log, folder.resolve("held-out-" + lanes));
      try (Replay replay = Replay.open(log)) {
        Map<String, float[]> rows = new TreeMap<>();
        for (long row = 0; row < replay.rows(); row++) {
          float[] action = column(replay, row, ReplaySchema.ACTION);
          float[] values = Arrays.copyOf(action, action.length + 1);
          values[action.length] = column(replay, row, ReplaySchema.LOG_DENSITY)[0];
          rows.put(replay.userId(row) + " " + replay.timestamp(row), values);
        }
        float[] all = new float[rows.size() * (WORLD.actionSize() + 1)];
        int at = 0;
        for (float[] values : rows.values()) {
          System.arraycopy(values, 0, all, at, values.length);
          at += values.length;
        }
        logs.add(all);
      }
    }
    assertThat(logs.get(1)).isEqualTo(logs.get(0));
  }

  /** A log and critics to be guided by, of a few steps. */
  @BeforeAll
  static void guide() {
    ExperimentConfig config = config(ExplorationKind.UNIFORM, List.of(), 0, false);
    ObjectNode tree = JSON.valueToTree(config);
    ((ObjectNode) tree.get("training")).put("steps", 20).put("batch", 16).put("criticsPerGroup", 3);
    try {
      config = JSON.treeToValue(tree, ExperimentConfig.class);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
    Pipeline pipeline = new Pipeline(config, WORLD, EngineLearner.factory(), RunListener.NONE);
    ConstantPolicy middle = new ConstantPolicy(WORLD.stateSize(), new float[WORLD.actionSize()]);
    Path log = guideRun.resolve("shards/train");
    pipeline.explore(() -> middle, log, guideRun.resolve("shards/held-out"));
    pipeline.train(
        Learner.Start.at(middle.action()),
        List.of(log),
        guideRun.resolve("checkpoints"),
        false,
        MetricsListener.NONE);
  }

  /** Kinds that look at the state: in their box, evaluable, and one log whatever the lanes. */
  @ParameterizedTest
  @EnumSource(names = {"THOMPSON", "UCB", "RND", "PARAMETER_NOISE"})
  void kindsWithAGuideLeaveALogThatCanBeEvaluated(ExplorationKind kind) {
    int[] sizes = PolicySearch.sizes(WORLD, List.of(8));
    float[] parameters = PolicySearch.start(sizes, new float[WORLD.actionSize()], 1);
    MlpPolicy.Weights weights = PolicySearch.weights(sizes, parameters);
    List<double[]> sums = new ArrayList<>();
    for (int lanes : new int[] {16, 3}) {
      ExperimentConfig config = config(kind, List.of(), 0, false, lanes);
      Pipeline pipeline = new Pipeline(config, WORLD, EngineLearner.factory(), RunListener.NONE);
      pipeline.checkExploration(() -> new MlpPolicy(weights));
      Path log = folder.resolve("log-" + lanes);
      Path heldOut = folder.resolve("held-out-" + lanes);
      pipeline.explore(() -> new MlpPolicy(weights), log, heldOut);
      OfflineEvaluation offline =
          pipeline.evaluate(() -> new MlpPolicy(weights), () -> new MlpPolicy(weights), heldOut);
      assertThat(offline.ncisBaseline().maxWeight()).isPositive();
      try (Replay replay = Replay.open(log)) {
        assertThat(replay.schema().boxCheck()).isTrue();
        assertThat(replay.outOfBoxRows()).isZero();
        double[] sum = new double[WORLD.actionSize() + 1];
        double largest = Double.NEGATIVE_INFINITY;
        double smallest = Double.POSITIVE_INFINITY;
        for (long row = 0; row < replay.rows(); row++) {
          float[] action = column(replay, row, ReplaySchema.ACTION);
          double density = column(replay, row, ReplaySchema.LOG_DENSITY)[0];
          for (int k = 0; k < action.length; k++) {
            sum[k] += action[k];
          }
          sum[action.length] += density;
          largest = Math.max(largest, density);
          smallest = Math.min(smallest, density);
        }
        // Uniform with probability 0.2, in a box of 0.2^10: the other rows are denser by (p + (1 -
        // p) M) / p, M the candidates, or the volume of the whole in smaller boxes.
        double more = kind == ExplorationKind.PARAMETER_NOISE ? 1024 : 4;
        assertThat(smallest).isCloseTo(Math.log(0.2) - 10 * Math.log(0.2), within(1e-3));
        assertThat(largest - smallest).isCloseTo(Math.log((0.2 + 0.8 * more) / 0.2), within(1e-3));
        sums.add(sum);
      }
    }
    assertThat(sums.get(1)).containsExactly(sums.get(0), within(1e-3));
  }

  @Test
  void aGuideThatIsMissingIsNamedBeforeAnythingRuns() {
    ConstantPolicy middle = new ConstantPolicy(WORLD.stateSize(), new float[WORLD.actionSize()]);
    ExperimentConfig noise = config(ExplorationKind.PARAMETER_NOISE, List.of(), 0, false);
    assertThatThrownBy(
            () ->
                new Pipeline(noise, WORLD, EngineLearner.factory(), RunListener.NONE)
                    .checkExploration(() -> middle))
        .hasMessageContaining("parameter_noise needs a policy that is a network");
    ObjectNode tree = JSON.valueToTree(config(ExplorationKind.UCB, List.of(), 0, false));
    ObjectNode guide = (ObjectNode) tree.get("exploration").get("guide");
    guide.put("run", folder.resolve("nowhere").toString());
    assertThatThrownBy(
            () ->
                new Pipeline(
                        JSON.treeToValue(tree, ExperimentConfig.class),
                        WORLD,
                        EngineLearner.factory(),
                        RunListener.NONE)
                    .checkExploration(() -> middle))
        .hasMessageContaining("exploration.guide.run: there is no folder")
        .hasMessageContaining("nowhere/checkpoints");
    guide.put("run", "none");
    assertThatThrownBy(() -> JSON.treeToValue(tree, ExperimentConfig.class))
        .hasMessageContaining("exploration.kind ucb needs exploration.guide.run");
    guide.put("share", 0.25);
    assertThatThrownBy(
            () ->
                new Pipeline(
                        JSON.treeToValue(tree, ExperimentConfig.class),
                        WORLD,
                        EngineLearner.factory(),
                        RunListener.NONE)
                    .checkExploration(() -> middle))
        .hasMessageContaining("exploration.guide.share is for the logs of experiments")
        .hasMessageContaining("set exploration.guide.run");
  }

  /** A request that logs its candidates can be ranked again: by its own action, the same page. */
  @Test
  void loggedCandidatesGiveTheShownPage() {
    ExperimentConfig config = config(ExplorationKind.UNIFORM, List.of(), 0, true);
    evaluated(config, "log");
    Fusion fusion = new Fusion(WORLD.actionMap());
    int k = WORLD.scoreNames().size();
    int l = WORLD.pageSize();
    float[] fused = new float[40];
    int[] page = new int[l];
    try (Replay replay = Replay.open(folder.resolve("log"))) {
      assertThat(replay.rows()).isGreaterThan(100);
      for (long row = 0; row < replay.rows(); row++) {
        float[] scores = column(replay, row, RequestLog.CANDIDATE_SCORES);
        float[] action = column(replay, row, ReplaySchema.ACTION);
        float[] shown = column(replay, row, RequestLog.PAGE_SCORES);
        float[] places = column(replay, row, RequestLog.PAGE_CANDIDATES);
        fusion.fuse(scores, 0, 40, 40, action, 0, fused);
        assertThat(Fusion.top(fused, 40, l, page)).isEqualTo(l);
        for (int item = 0; item < l; item++) {
          assertThat(places[item]).isEqualTo(page[item]);
          for (int i = 0; i < k; i++) {
            assertThat(shown[item * k + i]).isEqualTo(scores[i * 40 + page[item]]);
          }
        }
      }
    }
    evaluated(config(ExplorationKind.UNIFORM, List.of(), 0, false), "small");
    try (Replay replay = Replay.open(folder.resolve("small"))) {
      assertThat(replay.schema().columns().toString()).doesNotContain("candidate");
    }
  }

  private static float[] column(Replay replay, long row, String name) {
    int column = replay.schema().columnIndex(name);
    float[] values = new float[replay.schema().columns().get(column).width()];
    replay.get(row, column, values, 0);
    return values;
  }

  @Test
  void boundsThatDoNotFitTheActionsAreRefusedBeforeAnythingRuns() {
    List<Double> four = Collections.nCopies(4, -0.1);
    assertThatThrownBy(
            () ->
                new Pipeline(
                    config(ExplorationKind.UNIFORM, four, 0, false),
                    WORLD,
                    EngineLearner.factory(),
                    RunListener.NONE))
        .hasMessageContaining("exploration.lower_bounds has 4 values")
        .hasMessageContaining("10 action dimensions");
  }
}
