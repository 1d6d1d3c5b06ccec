package org.unifiedrl.mtf.study;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
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

    Path train() {
      return folder.resolve("train");
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
   * @param seconds time that exploring took
   * @param explored what that meant for users and for the data
   */
  record Kept(Search search, long requests, double seconds, CellResult.Explored explored) {}

  /** Everything that decides a log. */
  static String key(ExperimentConfig config) {
    ObjectNode node = Cell.tree(config);
    node.retain(List.of("environment", "seed", "baseline", "exploration", "simulator"));
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
        Pipeline.Logged logged =
            pipeline.explore(
                search.baseline().policy(), at.resolve("train"), at.resolve("held-out"));
        double seconds = (System.nanoTime() - start) * 1e-9;
        UserTotals plain = pipeline.unexplored(search.baseline().policy());
        double lift =
            100 * (sum(logged.learned().validConsumptions()) / sum(plain.validConsumptions()) - 1);
        Kept kept =
            new Kept(
                search,
                logged.requests(),
                seconds,
                new CellResult.Explored(lift, near(at.resolve("train"))));
        CellStore.write(marker, Cell.JSON.valueToTree(kept));
        return new Log(at, kept);
      } catch (IOException e) {
        throw new UncheckedIOException("cannot use the log in " + at + ": " + e.getMessage(), e);
      }
    }
  }

  private static double near(Path shards) {
    try (Replay replay = Replay.open(shards)) {
      int actions = new Transitions(replay.schema()).actions();
      return ExplorationEfficiency.of(replay, actions, NEAR).share();
    }
  }

  private static double sum(double[] values) {
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
