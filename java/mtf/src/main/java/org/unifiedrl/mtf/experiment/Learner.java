package org.unifiedrl.mtf.experiment;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.policy.Policy;

/**
 * An algorithm that learns a policy from a replay, at some step of its training. One thread at a
 * time.
 */
public interface Learner extends AutoCloseable {

  /** Name of the back end that runs the steps. */
  String backend();

  /** One line: what sets the back end's results and speed, such as device and precision. */
  String description();

  /** Steps done since the start of training, those before a resume included. */
  long step();

  /**
   * Trains.
   *
   * @param steps steps to run, at least 1
   * @return metrics by name, averaged over these steps
   */
  Map<String, Double> run(long steps);

  /** Writes a checkpoint of the present state and drops old ones. */
  void save();

  /** SHA-256 of all parameters, in hexadecimal. */
  String parameterHash();

  /** Gives instances of the present policy, one for each thread, independent of the learner. */
  Supplier<Policy> policy();

  @Override
  void close();

  /**
   * Where training starts.
   *
   * @param action normalised action at which the policy starts, in every state
   * @param cloned logs whose served actions the policy then learns, before the first step of
   *     training: a start for personal policies
   * @param warm checkpoint, or folder of checkpoints, whose networks training goes on from; of its
   *     optimiser nothing is kept, and of its normalisation everything, since networks mean nothing
   *     without it. Networks of another shape start anew
   */
  record Start(float[] action, List<Path> cloned, Optional<Path> warm) {

    /** A cold start. */
    public static Start at(float... action) {
      return new Start(action, List.of(), Optional.empty());
    }

    /** A cold start at the actions that were served in some logs, whose mean is given. */
    public static Start cloning(float[] mean, List<Path> logs) {
      return new Start(mean, List.copyOf(logs), Optional.empty());
    }

    /** A warm start, from a checkpoint or a folder of them. */
    public Start from(Path checkpoints) {
      return new Start(action, cloned, Optional.of(checkpoints));
    }
  }

  /** Makes learners and reads what they left. */
  interface Factory {

    /**
     * Starts training, or continues it from the newest checkpoint.
     *
     * @param replay the log, which outlives the learner
     * @param start where it starts
     * @param checkpoints folder of checkpoints
     * @param resume whether to continue from the newest one
     */
    Learner open(
        ExperimentConfig config, Replay replay, Start start, Path checkpoints, boolean resume);

    /**
     * The policy of the newest checkpoint.
     *
     * @param checkpoints folder of checkpoints, or one of them
     */
    Supplier<Policy> policy(Path checkpoints);
  }
}
