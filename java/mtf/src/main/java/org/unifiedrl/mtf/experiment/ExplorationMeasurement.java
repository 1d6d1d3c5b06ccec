package org.unifiedrl.mtf.experiment;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.algorithm.CriticEnsemble;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.evaluation.DeviationReturns;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;
import org.unifiedrl.mtf.exploration.ExplorationEfficiency;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * What an exploration is worth, in three numbers that belong together: how many of its samples are
 * near the served policy, what critics that learned from its log know there, and what it costs its
 * users. Each exploration is measured beside a control of the other shape and equal variance: a
 * normal for what stays in a box, and a uniform box for what does not.
 *
 * <p>Critics learn the value of the served policy itself, since the actor hardly moves: {@code
 * training} with an actor's rate of {@value #ACTOR_RATE}. All critics have the same steps and the
 * same settings and are held against the same {@link DeviationReturns}, of users of the A/B test.
 */
public final class ExplorationMeasurement {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final double ACTOR_RATE = 1e-12;
  private static final long DEVIATIONS_KEY = 0x4445_5649L;

  private ExplorationMeasurement() {}

  /**
   * One exploration.
   *
   * @param kind how the baseline's actions were varied
   * @param halfWidth of the box, where there is one
   * @param standardDeviation of normal noise, where there is any
   * @param near samples near the served policy
   * @param uvcLift valid consumptions of the users that were explored on against the same users and
   *     draws without exploration, in percent; what is lost is negative
   * @param returnLift the same of their rewards
   * @param critics what critics that learned from the log say of deviations
   * @param excessError their error near the served policy, {@link
   *     DeviationReturns.Judgement#excessError}
   * @param correlation of their advantages with actual ones
   */
  public record Measured(
      ExperimentConfig.ExplorationKind kind,
      double halfWidth,
      double standardDeviation,
      ExplorationEfficiency.Result near,
      Interval uvcLift,
      Interval returnLift,
      DeviationReturns.Judgement critics,
      Interval excessError,
      Interval correlation) {}

  /**
   * An exploration and its control.
   *
   * @param explorer what was asked for
   * @param control the other shape at equal variance
   * @param excessErrorDifference excess error of the explorer's critics less that of the control's,
   *     on the same deviations: negative where the explorer's know more
   */
  public record Result(Measured explorer, Measured control, Interval excessErrorDifference) {}

  /**
   * Measures a configuration's exploration and its control.
   *
   * @param baseline what is served; one action for all requests
   * @param region half-width of what is near the served policy, in normalised action
   * @param folder receives logs and checkpoints
   * @throws IllegalArgumentException if the baseline is a network: critics could not learn its
   *     value by an actor that stays where it starts
   */
  public static Result run(
      ExperimentConfig config,
      Environment environment,
      Baseline baseline,
      double region,
      Learner.Factory learners,
      Path folder,
      RunListener listener) {
    if (baseline.hasNetwork()) {
      throw new IllegalArgumentException(
          "exploration is measured around one action for all requests; this baseline is a network");
    }
    Instance instance = new Instance(environment, baseline, region, learners, listener);
    DeviationReturns deviations = instance.deviations(config);
    Measured explorer = instance.measure(config, deviations, folder.resolve("explorer"));
    Measured control =
        instance.measure(
            controlOf(config, explorer.near().deviation()), deviations, folder.resolve("control"));
    return new Result(
        explorer,
        control,
        explorer.critics().excessErrorMinus(control.critics(), bootstrap(config)));
  }

  /** The other shape at the same variance, as the root mean square over dimensions. */
  static ExperimentConfig controlOf(ExperimentConfig config, double[] deviation) {
    double sigma = Math.sqrt(Arrays.stream(deviation).map(d -> d * d).average().orElseThrow());
    boolean bounded = config.exploration().kind().bounded();
    ObjectNode tree = JSON.valueToTree(config);
    ObjectNode exploration = (ObjectNode) tree.get("exploration");
    exploration.put(
        "kind",
        (bounded
                ? ExperimentConfig.ExplorationKind.GAUSSIAN
                : ExperimentConfig.ExplorationKind.UNIFORM)
            .name());
    exploration.put(
        bounded ? "standardDeviation" : "halfWidth", bounded ? sigma : sigma * Math.sqrt(3));
    exploration.putArray("lowerBounds");
    exploration.putArray("upperBounds");
    return config(tree);
  }

  private static ExperimentConfig withActorAtRest(ExperimentConfig config) {
    ObjectNode tree = JSON.valueToTree(config);
    ((ObjectNode) tree.get("training")).put("actorRate", ACTOR_RATE);
    return config(tree);
  }

  private static ExperimentConfig config(ObjectNode tree) {
    try {
      return JSON.treeToValue(tree, ExperimentConfig.class);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a changed configuration is none: " + tree, e);
    }
  }

  private static PairedBootstrap bootstrap(ExperimentConfig config) {
    return new PairedBootstrap(config.seed(), config.evaluation().resamples());
  }

  /** What all measurements of a run share. */
  private record Instance(
      Environment environment,
      Baseline baseline,
      double region,
      Learner.Factory learners,
      RunListener listener) {

    DeviationReturns deviations(ExperimentConfig config) {
      double[] weights =
          config.training().groupWeights().stream().mapToDouble(Double::doubleValue).toArray();
      return DeviationReturns.collect(
          environment,
          baseline.policy(),
          new DeviationReturns.Settings(
              config.seed() ^ DEVIATIONS_KEY,
              Populations.of(environment, config).test(),
              config.evaluation().days(),
              region,
              config.training().discount(),
              weights));
    }

    Measured measure(ExperimentConfig explored, DeviationReturns deviations, Path folder) {
      ExperimentConfig config = withActorAtRest(explored);
      Pipeline pipeline = new Pipeline(config, environment, learners, listener);
      Path log = folder.resolve("train");
      UserTotals with =
          pipeline.explore(baseline.policy(), log, folder.resolve("held-out")).learned();
      UserTotals without = pipeline.unexplored(baseline.policy());
      ExplorationEfficiency.Result near;
      try (Replay replay = Replay.open(log)) {
        near = ExplorationEfficiency.of(replay, environment.actionSize(), region);
      }
      Path checkpoints = folder.resolve("checkpoints");
      pipeline.train(
          Pipeline.start(baseline, List.of(log)),
          List.of(log),
          checkpoints,
          false,
          MetricsListener.NONE);
      DeviationReturns.Judgement critics = deviations.judge(CriticEnsemble.load(checkpoints));
      PairedBootstrap bootstrap = bootstrap(config);
      ExperimentConfig.Exploration settings = config.exploration();
      return new Measured(
          settings.kind(),
          settings.halfWidth(),
          settings.standardDeviation(),
          near,
          bootstrap.lift(without.validConsumptions(), with.validConsumptions()),
          bootstrap.lift(without.returns(), with.returns()),
          critics,
          critics.excessError(bootstrap),
          critics.correlation(bootstrap));
    }
  }
}
