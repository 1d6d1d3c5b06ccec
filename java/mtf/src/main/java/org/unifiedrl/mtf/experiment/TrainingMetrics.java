package org.unifiedrl.mtf.experiment;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.session.Environment;

/**
 * What a training tells its listener: the algorithm's metrics, the policy's place in the box, and
 * time.
 */
final class TrainingMetrics {

  private final Environment environment;
  private final MetricsListener listener;
  private final int threads;
  private final Optional<BoxPositions> box;
  private long steps;
  private long nanoseconds;
  private long total;

  TrainingMetrics(
      ExperimentConfig config, Environment environment, Replay log, MetricsListener listener) {
    this.environment = environment;
    this.listener = listener;
    this.threads = config.effectiveThreads();
    this.box =
        listener == MetricsListener.NONE
            ? Optional.empty()
            : BoxPositions.of(log, actionNames(environment));
  }

  private static List<String> actionNames(Environment environment) {
    List<String> names = new ArrayList<>();
    environment.scoreNames().forEach(name -> names.add("power." + name));
    environment.scoreNames().forEach(name -> names.add("bias." + name));
    return names;
  }

  /** Trains, by the clock. */
  Map<String, Double> run(Learner learner, long more) {
    long start = System.nanoTime();
    Map<String, Double> means = learner.run(more);
    nanoseconds += System.nanoTime() - start;
    steps += more;
    return means;
  }

  /** Tells what was learned since the last call, and how fast. */
  void tell(Learner learner, Map<String, Double> means) {
    if (listener == MetricsListener.NONE) {
      return;
    }
    Map<String, Double> values = new LinkedHashMap<>();
    means.forEach((name, value) -> values.put(withGroup(name), value));
    box.ifPresent(positions -> values.putAll(positions.of(learner.policy().get())));
    listener.metrics(learner.step(), values);
    total += nanoseconds;
    Map<String, Double> resources = new LinkedHashMap<>();
    resources.put("steps_per_second", steps / Math.max(1e-9, nanoseconds * 1e-9));
    resources.put("training_seconds", total * 1e-9);
    resources.put("threads", (double) threads);
    ProcessMemory.peakMebibytes().ifPresent(peak -> resources.put("peak_memory_mebibytes", peak));
    listener.resources(learner.step(), resources);
    steps = 0;
    nanoseconds = 0;
  }

  /** {@code q_mean/0} by its name: {@code q_mean/watch_time}. */
  private String withGroup(String name) {
    int slash = name.lastIndexOf('/');
    return slash < 0
        ? name
        : name.substring(0, slash + 1)
            + environment.rewardGroups().get(Integer.parseInt(name.substring(slash + 1)));
  }
}
