package org.unifiedrl.mtf.study;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import java.util.function.Supplier;
import org.unifiedrl.engine.FolderLock;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.mtf.baseline.SearchBudgetException;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.evaluation.Headroom;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.Learner;
import org.unifiedrl.mtf.experiment.MetricsListener;
import org.unifiedrl.mtf.experiment.OfflineEvaluation;
import org.unifiedrl.mtf.experiment.Pipeline;
import org.unifiedrl.mtf.experiment.ProgressiveTraining;
import org.unifiedrl.mtf.experiment.Round;
import org.unifiedrl.mtf.experiment.RunListener;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * Runs cells by the stages of {@link Pipeline}. Cells that are done are not run again; logs are
 * shared, and deleted when no cell needs them any more. Outcomes depend neither on the order of
 * cells nor on how many run at once. From the first run until it is closed no other process may run
 * cells in the folder. One thread at a time.
 */
public final class CellRunner implements AutoCloseable {

  private final Path folder;

  private final CellStore cells;
  private final LogStore logs;
  private final Path work;
  private final Learner.Factory learners;
  private final Function<ExperimentConfig, Environment> opener;
  private final String program;
  private FolderLock lock; // null until something runs
  private final Map<List<Object>, Environment> environments = new ConcurrentHashMap<>();

  /**
   * Prepares a folder's cells; nothing is created yet.
   *
   * @param folder of the study: {@code cells}, and while it runs {@code logs} and {@code work}
   * @param opener opens a configuration's environment
   * @param program version of the program, kept with each result
   */
  public CellRunner(
      Path folder,
      Learner.Factory learners,
      Function<ExperimentConfig, Environment> opener,
      String program) {
    this.folder = folder;
    this.cells = new CellStore(folder.resolve("cells"));
    this.logs = new LogStore(folder.resolve("logs"));
    this.work = folder.resolve("work");
    this.learners = learners;
    this.opener = opener;
    this.program = program;
  }

  /**
   * Runs what is missing.
   *
   * @param all cells, each file name once
   * @param jobs cells at a time, at least 1
   * @param keepLogs whether logs stay on the disk
   * @return one result for each cell, in order
   * @throws IllegalStateException if another process runs cells in the folder
   * @throws CellStore.OtherSettingsException before anything runs, if a file is of other settings
   * @throws NotFiniteException after all others, if the training of a cell diverged that is no
   *     trial
   */
  public List<CellResult> run(List<Cell> all, int jobs, boolean keepLogs, RunListener listener) {
    if (lock == null) {
      lock = FolderLock.of(folder);
    }
    List<Cell> missing = missing(all);
    try (RunListener.Stage stage = listener.begin("cells", "cells", all.size())) {
      Map<String, Integer> readers = new HashMap<>();
      missing.forEach(
          cell -> needed(cell).keySet().forEach(k -> readers.merge(k, 1, Integer::sum)));
      ExecutorService executor = Executors.newFixedThreadPool(jobs);
      try {
        ExecutorCompletionService<Cell> done = new ExecutorCompletionService<>(executor);
        missing.forEach(cell -> done.submit(() -> runOne(cell), cell));
        stage.at(all.size() - missing.size(), "");
        NotFiniteException diverged = null;
        for (int i = 0; i < missing.size(); i++) {
          Cell cell;
          try {
            cell = done.take().get();
          } catch (ExecutionException e) {
            if (!(e.getCause() instanceof NotFiniteException cause)) {
              throw e;
            }
            // It would diverge again: the others are done first, so that nothing waits for it.
            diverged = diverged == null ? cause : diverged;
            continue;
          }
          needed(cell)
              .forEach(
                  (key, config) -> {
                    if (readers.merge(key, -1, Integer::sum) == 0 && !keepLogs) {
                      logs.delete(config);
                    }
                  });
          stage.at(all.size() - missing.size() + i + 1L, cell.fileName());
        }
        if (diverged != null) {
          throw diverged;
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException("interrupted while cells were run", e);
      } catch (ExecutionException e) {
        if (e.getCause() instanceof RuntimeException cause) {
          throw cause;
        }
        throw new IllegalStateException("a cell failed", e.getCause());
      } finally {
        executor.shutdownNow();
      }
    }
    return all.stream().map(cell -> cells.read(cell).orElseThrow()).toList();
  }

  /**
   * The cells that are not done.
   *
   * @throws CellStore.OtherSettingsException if the file of one is of other settings
   */
  public List<Cell> missing(List<Cell> all) {
    Map<String, Cell> names = new HashMap<>();
    List<Cell> missing = new ArrayList<>();
    for (Cell cell : all) {
      Cell other = names.put(cell.fileName(), cell);
      if (other != null) {
        throw new IllegalArgumentException(
            "two cells have the name " + cell.fileName() + ": name their methods or data apart");
      }
      if (cells.read(cell).isEmpty()) {
        missing.add(cell);
      }
    }
    return missing;
  }

  /** The logs that a cell reads, by key. */
  private static Map<String, ExperimentConfig> needed(Cell cell) {
    Map<String, ExperimentConfig> needed = new LinkedHashMap<>();
    if (cell.making() == Making.TRAIN) {
      needed.put(LogStore.key(cell.config()), cell.config());
    }
    if (cell.ruler() != null) {
      needed.put(LogStore.key(cell.ruler()), cell.ruler());
    }
    return needed;
  }

  private void runOne(Cell cell) {
    try {
      cells.write(cell, outcome(cell));
    } catch (NotFiniteException e) {
      if (!cell.isTrial()) {
        throw new NotFiniteException("cell " + cell.fileName() + ": " + e.getMessage());
      }
      cells.write(cell, CellResult.diverged(cell.identity(), e.getMessage(), program));
    } catch (SearchBudgetException e) {
      throw new SearchBudgetException("cell " + cell.fileName() + ": " + e.getMessage(), e.least());
    } catch (RuntimeException e) {
      throw new IllegalStateException("cell " + cell.fileName() + ": " + e.getMessage(), e);
    }
  }

  /** A policy and what it took to make it. */
  private record Made(
      Supplier<? extends Policy> policy,
      long requests,
      long steps,
      CellResult.Explored explored,
      String backend,
      String parameterHash,
      List<CellResult.Round> rounds) {}

  private CellResult outcome(Cell cell) {
    Stopwatch watch = new Stopwatch();
    Pipeline pipeline =
        cell.making() == Making.PROGRESSIVE
            ? Pipeline.progressive(cell.config(), environment(cell.config()), learners, watch)
            : pipeline(cell.config());
    Map<String, Double> seconds = new LinkedHashMap<>();
    Made made =
        switch (cell.making()) {
          case BASELINE -> {
            LogStore.Search found = logs.search(cell.config(), pipeline);
            seconds.put("baseline", found.seconds());
            yield new Made(
                found.baseline().policy(),
                found.baseline().requests(),
                0,
                CellResult.Explored.NONE,
                "",
                "",
                List.of());
          }
          case TRAIN -> train(cell, pipeline, seconds);
          case PROGRESSIVE -> progressive(cell, pipeline, watch, seconds);
        };

    long start = System.nanoTime();
    UserTotals totals = pipeline.serve(made.policy());
    lap(seconds, "serve", start);
    CellResult.Offline offline = judged(cell, made, seconds);
    AbTest.Summary summary = AbTest.Summary.of(totals);
    return new CellResult(
        cell.identity(),
        new CellResult.Served(
            floats(totals.validConsumptions()),
            floats(totals.watchSeconds()),
            summary.returns(),
            summary.sessionLength()),
        offline,
        made.explored(),
        new CellResult.Cost(seconds, made.requests(), made.steps()),
        made.backend(),
        made.parameterHash(),
        made.rounds(),
        "",
        program);
  }

  private CellResult.Offline judged(Cell cell, Made made, Map<String, Double> seconds) {
    if (cell.ruler() == null) {
      return new CellResult.Offline(Double.NaN, 0, Double.NaN);
    }
    Pipeline ruler = pipeline(cell.ruler());
    LogStore.Log log = logs.log(cell.ruler(), ruler);
    long start = System.nanoTime(); // the log's own time is not this cell's
    OfflineEvaluation offline =
        ruler.evaluate(log.search().baseline().policy(), made.policy()::get, log.heldOut());
    lap(seconds, "evaluate", start);
    return new CellResult.Offline(
        offline.ncisPolicy().refused() ? Double.NaN : offline.ncisPolicy().value(),
        offline.ncisPolicy().ess(),
        offline.gaucPolicy().value());
  }

  private Made train(Cell cell, Pipeline pipeline, Map<String, Double> seconds) {
    LogStore.Log log = logs.log(cell.config(), pipeline);
    seconds.put("baseline", log.search().seconds());
    seconds.put("explore", log.about().seconds());
    Path folder = work.resolve(cell.fileName());
    LogStore.delete(folder); // what a killed run left
    long start = System.nanoTime();
    Pipeline.Trained trained =
        pipeline.train(
            Pipeline.start(log.search().baseline(), log.train()),
            log.train(),
            folder,
            false,
            MetricsListener.NONE);
    lap(seconds, "train", start);
    LogStore.delete(folder);
    return new Made(
        trained.policy(),
        log.search().baseline().requests() + log.about().requests(),
        log.about().steps() + trained.steps(),
        log.about().explored(),
        trained.backend(),
        trained.parameterHash(),
        List.of());
  }

  /** Runs all rounds in the cell's own folder; a killed cell begins again, as its training does. */
  private Made progressive(
      Cell cell, Pipeline pipeline, Stopwatch watch, Map<String, Double> seconds) {
    LogStore.Search found = logs.search(cell.config(), pipeline);
    Supplier<Policy> baseline = found.baseline().policy();
    pipeline.checkExploration(baseline);
    Path folder = work.resolve(cell.fileName());
    LogStore.delete(folder);
    long start = System.nanoTime();
    ProgressiveTraining.Result result =
        new ProgressiveTraining(pipeline, folder)
            .run(found::baseline, new ProgressiveTraining.Listener() {});
    double whole = (System.nanoTime() - start) * 1e-9;
    double explore = watch.seconds("explore");
    double gate = watch.seconds("evaluate") + watch.seconds("canary");
    seconds.put("baseline", found.seconds());
    seconds.put("explore", explore);
    seconds.put("train", whole - explore - gate);
    seconds.put("gate", gate);

    List<Round> rounds = result.rounds();
    List<String> failures =
        rounds.stream().map(r -> r.trained().failure()).filter(f -> !f.isEmpty()).toList();
    if (!failures.isEmpty() && (cell.isTrial() || failures.size() == rounds.size())) {
      throw new NotFiniteException(failures.get(0));
    }
    double near =
        LogStore.near(
            rounds.stream()
                .map(r -> ProgressiveTraining.folder(folder, r.number()).resolve("shards/train"))
                .toList());
    LogStore.delete(folder);
    double valid = rounds.stream().mapToDouble(r -> r.logged().validConsumptions()).sum();
    double plain = LogStore.sum(pipeline.unexplored(baseline).validConsumptions());
    return new Made(
        result.policy(),
        found.baseline().requests() + rounds.stream().mapToLong(CellRunner::requests).sum(),
        rounds.stream().mapToLong(r -> r.trained().steps()).sum(),
        new CellResult.Explored(100 * (valid / plain - 1), near),
        rounds.stream()
            .map(r -> r.trained().backend())
            .filter(name -> !name.isEmpty())
            .reduce("", (first, last) -> last),
        result.served() == 0 ? "" : rounds.get(result.served() - 1).trained().parameterHash(),
        rounds.stream()
            .map(
                r ->
                    new CellResult.Round(
                        r.decision().served(), r.decision().reason(), r.bounds().halfWidths()))
            .toList());
  }

  /** Requests of a round: to learn from, and to decide by. */
  private static long requests(Round round) {
    double canary =
        round
            .canary()
            .map(test -> test.users() * (test.baseline().requests() + test.policy().requests()))
            .orElse(0.0);
    return round.logged().requests() + round.logged().heldOutRequests() + Math.round(canary);
  }

  /** Keeps the time since {@code start} under a name. */
  private static void lap(Map<String, Double> seconds, String name, long start) {
    seconds.put(name, (System.nanoTime() - start) * 1e-9);
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  private Pipeline pipeline(ExperimentConfig config) {
    return new Pipeline(config, environment(config), learners, RunListener.NONE);
  }

  /** Environments are immutable: cells of one world share theirs. */
  private Environment environment(ExperimentConfig config) {
    return environments.computeIfAbsent(
        List.of(config.environment(), config.simulator()), any -> opener.apply(config));
  }

  /**
   * What there is to gain in the world of a configuration; empty where that cannot be known.
   * Nothing of it is kept.
   */
  public Optional<Headroom> headroom(ExperimentConfig config) {
    return pipeline(config).headroom();
  }

  /** Removes what only running cells need. */
  public void clean(boolean keepLogs) {
    LogStore.delete(work);
    if (!keepLogs) {
      logs.clear();
    }
  }

  @Override
  public void close() {
    if (lock != null) {
      lock.close();
    }
  }
}
