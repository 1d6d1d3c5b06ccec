package org.unifiedrl.mtf.experiment;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.mtf.exploration.Box;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.session.Environment;

/** From what training leaves to what a service needs. */
public final class TrainedPolicy {

  /** Hexadecimal digits of the parameters' hash that tell versions of one step apart. */
  private static final int HASH_DIGITS = 8;

  private TrainedPolicy() {}

  /**
   * The policy of the newest sound checkpoint, with the names and bounds of its environment and the
   * box that its log was explored in.
   *
   * @param config configuration of the run
   * @param environment that it names
   * @param checkpoints the run's folder of checkpoints, or one checkpoint
   * @throws CheckpointException if there is none, or it does not fit the environment
   */
  public static PolicyModel model(
      ExperimentConfig config, Environment environment, Path checkpoints) {
    EngineLearner.Saved saved = EngineLearner.saved(checkpoints);
    JsonNode state = saved.state();
    Map<String, String> metadata = new TreeMap<>();
    metadata.put("environment", environment.name());
    for (String key : List.of("algorithm", "seed", "step", "parameter_hash", "precision")) {
      if (state.hasNonNull(key)) {
        metadata.put(key, state.get(key).asText());
      }
    }
    metadata.put("written_by", "unifiedrl " + state.path("version").asText("unreleased"));
    String hash = state.path("parameter_hash").asText("");
    Bounds bounds = Bounds.of(config.exploration(), environment.actionSize());
    try {
      return PolicyModel.of(
          saved.served(),
          saved.networks(),
          environment.stateNames(),
          environment.scoreNames(),
          environment.actionMap(),
          Optional.of(new Box(floats(bounds.lower()), floats(bounds.upper()))),
          "step-"
              + saved.checkpoint().step()
              + (hash.isEmpty()
                  ? ""
                  : "-" + hash.substring(0, Math.min(HASH_DIGITS, hash.length()))),
          metadata);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(
          saved.checkpoint().folder()
              + " does not fit environment "
              + environment.name()
              + ": "
              + e.getMessage(),
          e);
    }
  }

  private static float[] floats(List<Double> values) {
    float[] floats = new float[values.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = values.get(i).floatValue();
    }
    return floats;
  }
}
