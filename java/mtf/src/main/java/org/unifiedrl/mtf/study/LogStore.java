package org.unifiedrl.mtf.study;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.Pipeline;
import org.unifiedrl.mtf.exploration.ExplorationEfficiency;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * Logs of exploration, each collected once and read by every cell that learns from it or is judged
 * by it. Any number of threads.
 */
final class LogStore {

  private static final String MARKER = "log.json";

  private static final String TRAIN = "train";

  /** Folder of the run that guided a log, if the study made it. */
  private static final String GUIDE = "guide";

  /** Half-width of what counts as near the served policy: the paper's box. */
  private static final double NEAR = 0.15;

  private final Path folder;
  private final Map<String, Object> locks = new ConcurrentHashMap<>();
  private final Map<String, Search> searches = new ConcurrentHashMap<>();

  LogStore(Path folder) {
    this.folder = folder;
  }

  /**
   * A baseline and the time that finding it took.
   *
   * @param seconds that time
   */
  record Search(Baseline baseline, double seconds) {}

  /**
   * A log and what it took.
   *
   * @param folder holds the shards
   * @param about what is kept beside the shards
   */
  record Log(Path folder, Kept about) {
    Search search() {
      return about.search();
    }

    /** Folders of the shards to learn from. */
    List<Path> train() {
      return LogStore.train(folder);
    }

    Path heldOut() {
      return folder.resolve("held-out");
    }
  }

  /**
   * What is kept beside the shards, once they are complete.
   *
   * @param search the baseline that was explored around
   * @param requests requests to learn from
   * @param steps gradient steps of a guide that the study made
   * @param seconds time that exploring took, and making the guide
   * @param explored what that meant for users and for the data
   */
  record Kept(
      Search search, long requests, long steps, double seconds, CellResult.Explored explored) {}

  /** Everything that decides a log. */
  static String key(ExperimentConfig config) {
    ObjectNode node = Cell.tree(config);
    node.retain(List.of("environment", "seed", "baseline", "exploration", "simulator"));
    if (MadeGuide.isFor(config)) {
      ObjectNode guide = Cell.tree(MadeGuide.settings(config));
      node.set("guide", guide.retain(List.of("backend", "engine", "training")));
    }
    return Cell.hash(node);
  }

  /** The baseline of a configuration, searched once. */
  Search search(ExperimentConfig config, Pipeline pipeline) {
    ObjectNode node = Cell.tree(config);
    node.retain(List.of("environment", "seed", "baseline", "simulator"));
    // How many users are set aside for learning and judging decides whom the search may meet.
    node.put("users", config.exploration().users());
    node.put("held_out", config.exploration().heldOutUsers());
    String key = Cell.hash(node);
    synchronized (lock("search " + key)) {
      Search found = searches.get(key);
      if (found == null) {
        long start = System.nanoTime();
        found = new Search(pipeline.baseline(), (System.nanoTime() - start) * 1e-9);
        searches.put(key, found);
      }
      return found;
    }
  }

  /** The log of a configuration, collected if it is not there. */
  Log log(ExperimentConfig config, Pipeline pipeline) {
    String key = key(config);
    Path at = folder.resolve(key);
    synchronized (lock(key)) {
      try {
        Path marker = at.resolve(MARKER);
        if (Files.exists(marker)) {
          return new Log(at, Cell.JSON.readValue(marker.toFile(), Kept.class));
        }
        delete(at); // what a killed run left
        Search search = search(config, pipeline);
        long start = System.nanoTime();
        List<Pipeline.Logged> parts = explore(config, pipeline, search.baseline(), at);
        double seconds = (System.nanoTime() - start) * 1e-9;
        UserTotals plain = pipeline.unexplored(search.baseline().policy());
        double valid = parts.stream().mapToDouble(p -> sum(p.learned().validConsumptions())).sum();
        double lift = 100 * (valid / sum(plain.validConsumptions()) - 1);
        Kept kept =
            new Kept(
                search,
                parts.stream().mapToLong(Pipeline.Logged::requests).sum(),
                MadeGuide.isFor(config) ? config.exploration().guide().steps() : 0,
                seconds,
                new CellResult.Explored(lift, near(train(at))));
        CellStore.write(marker, Cell.JSON.valueToTree(kept));
        return new Log(at, kept);
      } catch (IOException e) {
        throw new UncheckedIOException("cannot use the log in " + at + ": " + e.getMessage(), e);
      }
    }
  }

  /** Explores, after making the guide if the settings ask for that: what each part logged. */
  private static List<Pipeline.Logged> explore(
      ExperimentConfig config, Pipeline pipeline, Baseline baseline, Path at) {
    List<Pipeline.Logged> parts = new ArrayList<>();
    Pipeline stages = pipeline;
    if (MadeGuide.isFor(config)) {
      Path run = at.resolve(GUIDE);
      parts.add(MadeGuide.make(config, pipeline, baseline, run));
      stages = pipeline.guided(MadeGuide.guided(config, run));
    }
    stages.checkExploration(baseline.policy());
    parts.add(stages.explore(baseline.policy(), at.resolve(TRAIN), at.resolve("held-out")));
    return parts;
  }

  /** Shards of a log, and those of the guide that was made for it. */
  private static List<Path> train(Path log) {
    return Stream.of(log.resolve(TRAIN), MadeGuide.shards(log.resolve(GUIDE)))
        .filter(Files::exists)
        .toList();
  }

  /** Share of the actions of some shards that lie near the served one. */
  static double near(List<Path> shards) {
    try (Replay replay = Replay.open(shards, Replay.Options.DEFAULT)) {
      int actions = new Transitions(replay.schema()).actions();
      return ExplorationEfficiency.of(replay, actions, NEAR).share();
    }
  }

  static double sum(double[] values) {
    return Arrays.stream(values).sum();
  }

  /** Frees the disk of a log that nobody needs any more. */
  void delete(ExperimentConfig config) {
    String key = key(config);
    synchronized (lock(key)) {
      delete(folder.resolve(key));
    }
  }

  /** Frees the disk of all logs. */
  void clear() {
    delete(folder);
  }

  private Object lock(String key) {
    return locks.computeIfAbsent(key, any -> new Object());
  }

  /** Deletes a folder, its marker of completeness first. */
  static void delete(Path folder) {
    if (!Files.exists(folder)) {
      return;
    }
    try {
      Files.deleteIfExists(folder.resolve(MARKER));
      List<Path> all;
      try (Stream<Path> walk = Files.walk(folder)) {
        all = walk.sorted(Comparator.reverseOrder()).toList();
      }
      for (Path path : all) {
        Files.delete(path);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot delete " + folder + ": " + e.getMessage(), e);
    }
  }
}
