package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.evaluation.FittedQEvaluation;
import org.unifiedrl.mtf.experiment.ExperimentConfig.ExplorationKind;
import org.unifiedrl.mtf.experiment.ExperimentConfig.Population;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.session.Simulator;

class PipelineTest {

  private static final Simulator WORLD = new Simulator();

  private static final List<ExperimentConfig.Estimator> ESTIMATORS =
      List.copyOf(EnumSet.complementOf(EnumSet.of(ExperimentConfig.Estimator.CFQE)));

  @TempDir Path folder;

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
            kind, 0.1, lower, List.of(), 0.3, 0.8, 100, 100, 1, lanes, candidates),
        d.training(),
        d.algorithms(),
        new ExperimentConfig.Evaluation(
            Population.JUDGE,
            bandwidth,
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
        d.simulator());
  }

  private OfflineEvaluation evaluated(ExperimentConfig config, String name) {
    Pipeline pipeline = new Pipeline(config, WORLD, EngineLearner.factory(), RunListener.NONE);
    ConstantPolicy middle = new ConstantPolicy(WORLD.stateSize(), new float[WORLD.actionSize()]);
    Path heldOut = folder.resolve(name + "-held-out");
    pipeline.explore(middle, folder.resolve(name), heldOut);
    return pipeline.evaluate(middle, () -> middle, heldOut);
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

  /** Every kind's log is one that training and evaluation take, and tells what wrote it. */
  @ParameterizedTest
  @EnumSource(ExplorationKind.class)
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
  @EnumSource(ExplorationKind.class)
  void lanesDoNotChangeALog(ExplorationKind kind) {
    List<float[]> logs = new ArrayList<>();
    for (int lanes : new int[] {16, 3}) {
      ExperimentConfig config = config(kind, List.of(), 0, false, lanes);
      Pipeline pipeline = new Pipeline(config, WORLD, EngineLearner.factory(), RunListener.NONE);
      ConstantPolicy middle = new ConstantPolicy(WORLD.stateSize(), new float[WORLD.actionSize()]);
      Path log = folder.resolve("log-" + lanes);
      pipeline.explore(middle, log, folder.resolve("held-out-" + lanes));
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
