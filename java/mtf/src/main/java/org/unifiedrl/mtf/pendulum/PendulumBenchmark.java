package org.unifiedrl.mtf.pendulum;

import java.nio.file.Path;
import java.util.Map;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.Learner;

/** One training on the pendulum's data, and what its policy is worth. */
public final class PendulumBenchmark {

  /** Episodes that every policy is judged by. */
  public static final int EPISODES = 20;

  /** Key of the episodes' beginnings; with the seed, so that seeds meet other ones. */
  private static final long BEGINNINGS = 0x5045_4e44L;

  private PendulumBenchmark() {}

  /**
   * The outcome.
   *
   * @param meanReturn over the episodes
   * @param seconds of training
   * @param metrics the algorithm's, averaged over the last tenth of its steps
   */
  public record Result(double meanReturn, double seconds, Map<String, Double> metrics) {

    /** From 0, random actions, to 100, a trained policy. */
    public double score() {
      return Pendulum.score(meanReturn);
    }
  }

  /**
   * Trains by the configuration's algorithm, seed and steps, and judges the last policy.
   *
   * @param replay what {@link PendulumData} wrote
   * @param checkpoints folder for the last state
   */
  public static Result run(
      ExperimentConfig config, Learner.Factory learners, Replay replay, Path checkpoints) {
    Learner.Start start = Learner.Start.at(0);
    try (Learner learner = learners.open(config, replay, start, checkpoints, false)) {
      long began = System.nanoTime();
      long steps = config.training().steps();
      long last = Math.max(1, steps / 10);
      if (steps > last) {
        learner.run(steps - last);
      }
      Map<String, Double> metrics = learner.run(last);
      double seconds = (System.nanoTime() - began) / 1e9;
      learner.save();
      double mean = Pendulum.meanReturn(learner.policy(), EPISODES, BEGINNINGS + config.seed());
      return new Result(mean, seconds, metrics);
    }
  }
}
