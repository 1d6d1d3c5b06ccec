package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.mtf.algorithm.CriticEnsemble;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.baseline.PolicySearch;
import org.unifiedrl.mtf.evaluation.DeviationReturns;
import org.unifiedrl.mtf.experiment.ExperimentConfig.ExplorationKind;
import org.unifiedrl.mtf.exploration.ExplorationEfficiency;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Simulator;

class ExplorationMeasurementTest {

  private static final Simulator WORLD = new Simulator();
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final float[] MIDDLE = new float[WORLD.actionSize()];

  @TempDir Path folder;

  private static ExperimentConfig config(ExplorationKind kind, double halfWidth, double sigma)
      throws JsonProcessingException {
    ObjectNode tree = JSON.valueToTree(ExperimentConfig.defaults());
    ((ObjectNode) tree.get("exploration"))
        .put("kind", kind.name())
        .put("halfWidth", halfWidth)
        .put("standardDeviation", sigma)
        .put("users", 400)
        .put("heldOutUsers", 20);
    ((ObjectNode) tree.get("training")).put("steps", 60).put("batch", 64).put("criticsPerGroup", 2);
    ((ObjectNode) tree.get("evaluation")).put("users", 600).put("resamples", 100);
    return JSON.treeToValue(tree, ExperimentConfig.class);
  }

  private static Baseline middle() {
    return Baseline.constant(new ConstantPolicy(WORLD.stateSize(), MIDDLE), 0);
  }

  private ExplorationMeasurement.Result measure(ExperimentConfig config, String name) {
    return ExplorationMeasurement.run(
        config,
        WORLD,
        middle(),
        0.15,
        EngineLearner.factory(),
        folder.resolve(name),
        RunListener.NONE);
  }

  @Test
  void aBoxIsMeasuredBesideANormalOfEqualVariance() throws JsonProcessingException {
    ExperimentConfig config = config(ExplorationKind.UNIFORM, 0.15, 0.2);
    ExplorationMeasurement.Result result = measure(config, "one");
    ExplorationMeasurement.Measured box = result.explorer();
    ExplorationMeasurement.Measured normal = result.control();
    assertThat(box.near().share()).isEqualTo(1);
    assertThat(normal.kind()).isEqualTo(ExplorationKind.GAUSSIAN);
    assertThat(normal.standardDeviation()).isCloseTo(0.15 / Math.sqrt(3), within(1e-3));
    double share = ExplorationEfficiency.gaussianShare(normal.standardDeviation(), 0.15, 10);
    assertThat(normal.near().share()).isCloseTo(share, within(5 * normal.near().standardError()));
    assertThat(box.critics().samples()).isEqualTo(normal.critics().samples()).isGreaterThan(300);
    assertThat(box.critics().actualReturn()).containsExactly(normal.critics().actualReturn());
    assertThat(box.critics().advantage()).isNotEqualTo(normal.critics().advantage());
    assertThat(box.uvcLift().low()).isLessThan(box.uvcLift().high());
    assertThat(box.excessError().mean() - normal.excessError().mean())
        .isCloseTo(result.excessErrorDifference().mean(), within(1e-9));

    ExplorationMeasurement.Result again = measure(config, "again");
    assertThat(again.explorer().critics().advantage()).containsExactly(box.critics().advantage());
    assertThat(again.explorer().uvcLift()).isEqualTo(box.uvcLift());
  }

  /** Exploring widely costs, and it is the exploring: no exploration costs nothing. */
  @Test
  void noiseIsMeasuredBesideABoxOfEqualVarianceAndCosts() throws JsonProcessingException {
    ExplorationMeasurement.Result result =
        measure(config(ExplorationKind.GAUSSIAN, 0.3, 0.3), "wide");
    assertThat(result.control().kind()).isEqualTo(ExplorationKind.UNIFORM);
    // Clipping takes less than a thousandth of N(0, 0.3^2).
    assertThat(result.control().halfWidth()).isCloseTo(0.3 * Math.sqrt(3), within(0.01));
    assertThat(result.explorer().near().share()).isLessThan(0.01);
    ExplorationMeasurement.Result narrow =
        measure(config(ExplorationKind.UNIFORM, 1e-6, 0.3), "narrow");
    assertThat(Math.abs(narrow.explorer().uvcLift().mean())).isLessThan(0.5);
  }

  /** The same users and draws: a deviation of nothing changes nothing. */
  @Test
  void returnsDifferByTheDeviationOnly() throws JsonProcessingException {
    UserRange users = WORLD.judgeUsers().slice(0, 300);
    double[] weights = {1, 1};
    DeviationReturns.Settings tiny = new DeviationReturns.Settings(3, users, 1, 1e-9, 0.9, weights);
    DeviationReturns none = DeviationReturns.collect(WORLD, middle().policy(), tiny);
    measure(config(ExplorationKind.UNIFORM, 0.15, 0.2), "critics");
    var critics = CriticEnsemble.load(folder.resolve("critics/explorer/checkpoints"));
    assertThat(none.judge(critics).actualAdvantage()).containsOnly(0);
    DeviationReturns.Settings wide = new DeviationReturns.Settings(3, users, 1, 1, 0.9, weights);
    DeviationReturns.Judgement judged =
        DeviationReturns.collect(WORLD, middle().policy(), wide).judge(critics);
    assertThat(judged.samples()).isEqualTo(none.size()).isGreaterThan(100);
    assertThat(Arrays.stream(judged.actualAdvantage()).anyMatch(d -> d != 0)).isTrue();
    assertThat(Arrays.stream(judged.actualReturn()).min().orElseThrow()).isNotNegative();
  }

  @Test
  void aNetworkForABaselineIsRefused() throws JsonProcessingException {
    int[] sizes = PolicySearch.sizes(WORLD, List.of(4));
    float[] parameters = PolicySearch.start(sizes, MIDDLE, 1);
    Baseline network = Baseline.personal(PolicySearch.weights(sizes, parameters), 0);
    ExperimentConfig config = config(ExplorationKind.UNIFORM, 0.15, 0.2);
    assertThatThrownBy(
            () ->
                ExplorationMeasurement.run(
                    config,
                    WORLD,
                    network,
                    0.15,
                    EngineLearner.factory(),
                    folder,
                    RunListener.NONE))
        .hasMessageContaining("this baseline is a network");
  }
}
