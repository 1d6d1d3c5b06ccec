package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.FolderLock;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.RunListener;
import org.unifiedrl.mtf.pendulum.PendulumBenchmark;
import org.unifiedrl.mtf.pendulum.PendulumData;
import org.unifiedrl.mtf.study.SeedSummary;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "pendulum",
    description = {
      "Trains the algorithms offline on logged transitions of Pendulum-v1 and scores their policies"
          + " on its dynamics, from 0 for random actions to 100 for a trained policy, so that they"
          + " can be compared with their reference implementations. What is done in --out is not"
          + " done again.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl bench pendulum --data pendulum-medium.npz",
      "  unifiedrl bench pendulum --data pendulum-medium.npz --algorithms td3_bc,iql --seeds 10",
      "  unifiedrl bench pendulum --data pendulum-medium.npz --jobs 8 --out runs/pendulum"
    })
final class BenchPendulumCommand implements Callable<Integer> {

  /** Folder of the trainings' results. */
  private static final String TRAININGS = "trainings";

  @Mixin RunOptions common;
  @Mixin ConfigOptions options;

  @Option(
      names = "--data",
      paramLabel = "FILE",
      required = true,
      description = "Transitions, as numpy.savez writes them.")
  Path data;

  @Option(
      names = "--algorithms",
      paramLabel = "NAME",
      split = ",",
      description = "Only these (default: all).")
  List<String> algorithms;

  @Option(
      names = "--seeds",
      paramLabel = "N",
      defaultValue = "5",
      description = "Trainings of each, from --seed on (default: 5).")
  int seeds;

  @Option(
      names = "--jobs",
      paramLabel = "N",
      description = "Trainings at a time, which share the processors (default: 1).")
  Integer jobs;

  /**
   * Settings over the defaults.
   *
   * @param settings of all algorithms
   * @param algorithms then of each
   */
  record Definition(
      Map<String, JsonNode> settings, Map<String, Map<String, JsonNode>> algorithms) {}

  /** One training to do. */
  private record Task(String algorithm, ExperimentConfig config, Path file) {}

  /**
   * What a training left, in a file of its own.
   *
   * @param settings that it was run with, without what does not change results
   * @param data SHA-256 of the transitions
   * @param returns mean over the episodes; NaN if the training diverged
   * @param score from 0, random actions, to 100, a trained policy
   * @param metrics of the algorithm, over the last tenth of its steps
   * @param failure why there is no policy; empty if there is one
   * @param program version that ran it
   */
  private record Trained(
      JsonNode settings,
      String data,
      double returns,
      double score,
      double seconds,
      Map<String, Double> metrics,
      String failure,
      String program) {}

  /** An algorithm's trainings. */
  private record Row(
      String algorithm, int diverged, SeedSummary score, SeedSummary returns, SeedSummary seconds) {

    static Row of(String algorithm, List<Trained> trained) {
      return new Row(
          algorithm,
          (int) trained.stream().filter(t -> !t.failure().isEmpty()).count(),
          SeedSummary.of(trained.stream().mapToDouble(Trained::score).toArray()),
          SeedSummary.of(trained.stream().mapToDouble(Trained::returns).toArray()),
          SeedSummary.of(trained.stream().mapToDouble(Trained::seconds).toArray()));
    }
  }

  @Override
  public Integer call() {
    common.checkJson();
    StudyOptions.amount("--seeds", seeds, 5, 1000);
    int parallel = StudyOptions.amount("--jobs", jobs, 1, StudyOptions.MOST_JOBS);
    if (!Files.isRegularFile(data)) {
      throw new UsageException("--data " + data + " is no file");
    }
    Definition definition = definition();
    List<String> names =
        algorithms == null ? List.copyOf(definition.algorithms().keySet()) : algorithms;
    Map<String, List<ExperimentConfig>> configs = new LinkedHashMap<>();
    for (String name : names) {
      configs.put(name, configs(definition, name, parallel));
    }
    ExperimentConfig first = configs.get(names.get(0)).get(0);
    EngineAccess.requireEngine(first.engineOptions());
    String hash;
    try {
      hash = DurableFiles.sha256(data);
    } catch (IOException e) {
      throw new UsageException("--data " + data + ": " + FileErrors.reason(e), e);
    }
    RunFolder folder =
        common.out != null && Files.isDirectory(common.out.resolve(TRAININGS))
            ? new RunFolder(common.out)
            : RunFolder.plan(common.out, "pendulum");
    List<Row> rows;
    createTrainings(folder.path());
    FolderLock lock = FolderLock.of(folder.path());
    try {
      rows = rows(folder, configs, hash, parallel);
    } finally {
      lock.close();
    }
    PrintWriter text = common.text();
    text.print(markdown(rows));
    text.flush();
    ObjectNode result = json(rows);
    Json.write(folder.result(), result);
    common.writeJson(result);
    return 0;
  }

  private static void createTrainings(Path folder) {
    try {
      DurableFiles.createFolders(folder.resolve(TRAININGS));
    } catch (IOException e) {
      throw new UsageException("--out " + folder + ": " + FileErrors.reason(e), e);
    }
  }

  /** Trains what is missing; a row for each algorithm. */
  private List<Row> rows(
      RunFolder folder, Map<String, List<ExperimentConfig>> configs, String hash, int parallel) {
    Map<String, List<Task>> tasks = new LinkedHashMap<>();
    configs.forEach(
        (name, each) ->
            tasks.put(
                name, each.stream().map(config -> task(folder.path(), name, config)).toList()));
    List<Task> missing =
        tasks.values().stream()
            .flatMap(List::stream)
            .filter(task -> read(task, hash).isEmpty())
            .toList();
    try {
      train(folder, missing, hash, parallel);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot write the transitions to " + folder.train() + ": " + FileErrors.reason(e), e);
    }
    List<Row> rows = new ArrayList<>();
    tasks.forEach(
        (name, each) ->
            rows.add(
                Row.of(name, each.stream().map(task -> read(task, hash).orElseThrow()).toList())));
    return rows;
  }

  private static Task task(Path folder, String name, ExperimentConfig config) {
    return new Task(
        name, config, folder.resolve(TRAININGS).resolve(name + "-" + config.seed() + ".json"));
  }

  private void train(RunFolder folder, List<Task> missing, String hash, int parallel)
      throws IOException {
    if (missing.isEmpty()) {
      return;
    }
    DurableFiles.deleteTree(folder.train()); // what a killed run may have left half-written
    PendulumData.write(data, folder.train());
    try (RunListener.Stage stage =
        common.listener().begin("pendulum", "trainings", missing.size())) {
      ExecutorService executor = Executors.newFixedThreadPool(parallel);
      try {
        ExecutorCompletionService<Task> done = new ExecutorCompletionService<>(executor);
        missing.forEach(task -> done.submit(() -> train(task, folder, hash), task));
        for (int i = 1; i <= missing.size(); i++) {
          Task task = done.take().get();
          stage.at(i, task.algorithm() + ", seed " + task.config().seed());
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException("interrupted while algorithms were trained", e);
      } catch (ExecutionException e) {
        throw e.getCause() instanceof RuntimeException cause
            ? cause
            : new IllegalStateException("a training failed", e.getCause());
      } finally {
        executor.shutdownNow();
      }
    }
    DurableFiles.deleteTree(folder.train());
  }

  private static void train(Task task, RunFolder folder, String hash) {
    Path checkpoints = folder.checkpoints().resolve(task.algorithm() + "-" + task.config().seed());
    Trained trained;
    try (Replay replay = Replay.open(folder.train())) {
      DurableFiles.deleteTree(checkpoints); // a training that was stopped begins again
      PendulumBenchmark.Result found =
          PendulumBenchmark.run(task.config(), EngineAccess.learners(), replay, checkpoints);
      trained = trained(task, hash, found, "");
    } catch (NotFiniteException e) {
      PendulumBenchmark.Result none =
          new PendulumBenchmark.Result(Double.NaN, Double.NaN, Map.of());
      trained = trained(task, hash, none, e.getMessage());
    } catch (IOException e) {
      throw new UncheckedIOException("cannot clear " + checkpoints, e);
    }
    Json.write(task.file(), Json.MAPPER.valueToTree(trained));
  }

  private static Trained trained(
      Task task, String hash, PendulumBenchmark.Result found, String failure) {
    return new Trained(
        settings(task),
        hash,
        found.meanReturn(),
        found.score(),
        found.seconds(),
        found.metrics(),
        failure,
        Machine.program());
  }

  /** A training that is done already. */
  private static Optional<Trained> read(Task task, String hash) {
    if (!Files.exists(task.file())) {
      return Optional.empty();
    }
    Trained trained;
    try {
      trained = Json.MAPPER.readValue(task.file().toFile(), Trained.class);
    } catch (IOException e) {
      throw new UsageException(
          task.file() + " is not the result of a training; remove it: " + FileErrors.reason(e), e);
    }
    if (!trained.data().equals(hash) || !trained.settings().equals(settings(task))) {
      throw new UsageException(
          task.file()
              + " is of other data or settings: give another folder, or remove the file to train"
              + " again");
    }
    return Optional.of(trained);
  }

  private static JsonNode settings(Task task) {
    ObjectNode settings = Json.MAPPER.valueToTree(task.config());
    settings.remove("threads");
    try { // as a file would have it
      return Json.MAPPER.readTree(Json.line(settings));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** One configuration a seed. */
  private List<ExperimentConfig> configs(Definition definition, String name, int parallel) {
    Map<String, JsonNode> own = definition.algorithms().get(name);
    if (own == null) {
      throw new UsageException(
          "--algorithms "
              + name
              + ": expected some of "
              + String.join(", ", definition.algorithms().keySet()));
    }
    Configuration configuration = Configuration.of(ExperimentConfig.defaults());
    configuration.set(definition.settings(), "pendulum.yaml");
    configuration.put("training", "algorithm", name);
    configuration.set(own, "pendulum.yaml");
    options.apply(configuration);
    if (common.seed != null) {
      configuration.put("seed", common.seed);
    }
    StudyPlan.threads(
        configuration, Math.max(1, Runtime.getRuntime().availableProcessors() / parallel));
    ExperimentConfig first = configuration.get();
    ConfigOptions.check(first);
    List<ExperimentConfig> configs = new ArrayList<>();
    for (int s = 0; s < seeds; s++) {
      configuration.put("seed", first.seed() + s);
      configs.add(configuration.get());
    }
    return configs;
  }

  private static Definition definition() {
    try (InputStream stream = BenchPendulumCommand.class.getResourceAsStream("pendulum.yaml")) {
      return Configuration.YAML
          .readerFor(Definition.class)
          .with(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .readValue(stream);
    } catch (IOException e) {
      throw new UncheckedIOException("pendulum.yaml cannot be read", e);
    }
  }

  private static String markdown(List<Row> rows) {
    StringBuilder text = new StringBuilder();
    text.append("| algorithm | seeds | score, mean ± sd | 95 % interval | return | seconds |\n");
    text.append("| --- | --- | --- | --- | --- | --- |\n");
    for (Row row : rows) {
      SeedSummary score = row.score();
      text.append(
          String.format(
              Locale.ROOT,
              "| %s | %d%s | %.1f ± %.1f | [%.1f, %.1f] | %.1f | %.1f |%n",
              row.algorithm(),
              score.seeds(),
              row.diverged() > 0 ? " (" + row.diverged() + " more diverged)" : "",
              score.mean(),
              score.deviation(),
              score.low(),
              score.high(),
              row.returns().mean(),
              row.seconds().mean()));
    }
    return text.toString();
  }

  private static ObjectNode json(List<Row> rows) {
    ObjectNode result = Json.object();
    result.put("episodes", PendulumBenchmark.EPISODES);
    ArrayNode array = result.putArray("algorithms");
    for (Row row : rows) {
      ObjectNode node = array.addObject();
      node.put("algorithm", row.algorithm());
      node.put("seeds", row.score().seeds());
      node.put("diverged", row.diverged());
      Json.put(node, "score", row.score().mean());
      Json.put(node, "deviation", row.score().deviation());
      Json.put(node, "low", row.score().low());
      Json.put(node, "high", row.score().high());
      Json.put(node, "return", row.returns().mean());
      Json.put(node, "seconds", row.seconds().mean());
    }
    return result;
  }
}
