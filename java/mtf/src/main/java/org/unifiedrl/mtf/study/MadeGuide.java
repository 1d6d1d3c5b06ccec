package org.unifiedrl.mtf.study;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.List;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.ExperimentConfig.ExplorationKind;
import org.unifiedrl.mtf.experiment.MetricsListener;
import org.unifiedrl.mtf.experiment.Pipeline;

/**
 * The guide of an exploration that a study makes itself ({@code exploration.guide.share}): a
 * uniform log of a share of the users, and for kinds that go by critics the usual UnifiedRL
 * training on it. Which method learns from the guided log does not matter, so that methods share
 * it.
 */
final class MadeGuide {

  private MadeGuide() {}

  /** Whether a configuration asks for one. */
  static boolean isFor(ExperimentConfig config) {
    ExperimentConfig.Exploration exploration = config.exploration();
    return exploration.kind().guided() && exploration.guide().share() > 0;
  }

  /** Settings of the run that makes it: of training, the methods' sizes and what they maximise. */
  static ExperimentConfig settings(ExperimentConfig config) {
    ObjectNode tree = Cell.JSON.valueToTree(config);
    ObjectNode own = tree.withObject("/training");
    ObjectNode training = Cell.JSON.valueToTree(ExperimentConfig.defaults().training());
    for (String size :
        List.of("batch", "hidden", "critics_per_group", "group_weights", "discount")) {
      training.set(size, own.get(size));
    }
    training.put("steps", config.exploration().guide().steps());
    tree.set("training", training);
    ObjectNode exploration = tree.withObject("/exploration");
    exploration.put("kind", ExplorationKind.UNIFORM.name());
    exploration.withObject("/guide").put("share", 0);
    return read(tree);
  }

  /**
   * Makes the guide.
   *
   * @param pipeline stages of the whole exploration
   * @param run receives {@code shards/train}, and {@code checkpoints} if they are needed
   */
  static Pipeline.Logged make(
      ExperimentConfig config, Pipeline pipeline, Baseline baseline, Path run) {
    Pipeline stages = pipeline.guide(settings(config));
    Path shards = shards(run);
    Pipeline.Logged logged =
        stages.explore(baseline.policy(), shards, shards.resolveSibling("held-out"));
    if (config.exploration().kind() != ExplorationKind.RND) {
      stages.train(
          Pipeline.start(baseline, List.of(shards)),
          List.of(shards),
          run.resolve("checkpoints"),
          false,
          MetricsListener.NONE);
    }
    return logged;
  }

  /** The shards of a guide's run. */
  static Path shards(Path run) {
    return run.resolve("shards").resolve("train");
  }

  /** Settings of the exploration that a guide's run guides. */
  static ExperimentConfig guided(ExperimentConfig config, Path run) {
    ObjectNode tree = Cell.JSON.valueToTree(config);
    tree.withObject("/exploration/guide").put("run", run.toString()).put("share", 0);
    return read(tree);
  }

  private static ExperimentConfig read(ObjectNode tree) {
    try {
      return Cell.JSON.treeToValue(tree, ExperimentConfig.class);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a configuration reads what it wrote", e);
    }
  }
}
