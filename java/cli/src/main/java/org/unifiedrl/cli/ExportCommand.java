package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.export.PolicyExport;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.TrainedPolicy;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "export",
    description = {
      "Writes a policy for other systems: policy.safetensors, actor.onnx (state to powers and"
          + " biases), ranker.onnx (state and scores to a ranking) and a model card. Both graphs are"
          + " run in onnxruntime and compared with the policy; a difference of more than 1e-5 leaves"
          + " nothing behind.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl export --policy runs/demo --out runs/export",
      "  unifiedrl export --policy runs/policy --data runs/log \\",
      "      --evaluation runs/evaluation --out runs/export"
    })
final class ExportCommand implements Callable<Integer> {

  /** Keys of a result that are no metrics: the model card has them elsewhere. */
  private static final Set<String> NO_METRICS =
      Set.of(
          "environment",
          "environment_folder",
          "seed",
          "backend",
          "engine",
          "steps",
          RunFolder.PARAMETER_HASH,
          "log",
          "rounds",
          "limits");

  @Option(
      names = "--policy",
      paramLabel = "DIR",
      required = true,
      description = "Run folder of train, demo or progressive.")
  Path policy;

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description =
          "Run folder with the log that it learned from (default: that of --policy where it holds"
              + " one): the model card describes it, and the check takes its states.")
  Path data;

  @Option(
      names = "--evaluation",
      paramLabel = "DIR",
      description =
          "Run folder of evaluate or compare that judged this policy: what it found goes onto the"
              + " model card. May be repeated.")
  List<Path> evaluations = new ArrayList<>();

  @Mixin RunOptions common;

  @Override
  public Integer call() {
    common.checkJson();
    RunFolder run = RunFolder.open(policy, "--policy");
    run.requirePolicy("--policy");
    RunFolder trained = run.trained();
    List<Path> logs = logs(run);
    List<RunFolder> judged = judged();
    RunFolder target = RunFolder.plan(common.out, "export");
    ExperimentConfig config = Configuration.read(trained.config());
    Environment environment = ConfigOptions.open(config);
    // One checkpoint for all that follows, though the run may still be training.
    Checkpoint checkpoint = CheckpointStore.newest(trained.checkpoints());
    PolicyModel model = TrainedPolicy.model(config, environment, checkpoint.folder());
    float[] states =
        logs.isEmpty() ? PolicyExport.drawStates(model, seed(config)) : states(model, logs);
    PolicyExport.Report report =
        PolicyExport.write(
            model,
            EngineAccess.learners().policy(checkpoint.folder()).get(),
            states,
            seed(config),
            facts(run, checkpoint, logs, judged, environment),
            target.path());
    print(report, logs.isEmpty());
    common.writeJson(report.card());
    return 0;
  }

  private long seed(ExperimentConfig config) {
    return common.seed != null ? common.seed : config.seed();
  }

  /** Folders of shards: those of --data, or of the run, or of the rounds so far. */
  private List<Path> logs(RunFolder run) {
    if (data != null) {
      RunFolder log = RunFolder.open(data, "--data");
      log.requireLog(log.train(), "--data");
      return List.of(log.train());
    }
    List<Path> logs = new ArrayList<>();
    if (Files.isDirectory(run.train())) {
      logs.add(run.train());
    }
    RunFolder trained = run.trained();
    for (int number = 1; Files.isDirectory(run.round(number).train()); number++) {
      logs.add(run.round(number).train());
      if (isSame(run.round(number).path(), trained.path())) {
        break; // later rounds explored around it: it did not learn from them
      }
    }
    return logs;
  }

  private static boolean isSame(Path a, Path b) {
    try {
      return Files.isSameFile(a, b);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + a + ": " + FileErrors.reason(e), e);
    }
  }

  /** States of rows spread over the newest log, as many as a check takes or there are. */
  private static float[] states(PolicyModel model, List<Path> logs) {
    Path newest = logs.get(logs.size() - 1);
    try (Replay replay = Replay.open(newest)) {
      int column = replay.schema().columnIndex(ReplaySchema.STATE);
      int width = replay.schema().columns().get(column).width();
      int own = model.shift().length; // of a pair, where the policy acts on pairs
      boolean fits = model.kind() == PolicyModel.Kind.PAIR_ACTOR ? width % own == 0 : width == own;
      if (!fits) {
        throw new UsageException(
            ("%s: its states have %d features, and the policy takes %d; give with --data the log"
                    + " that it learned from")
                .formatted(newest, width, own));
      }
      int rows = (int) Math.min(replay.rows(), PolicyExport.CHECKED_STATES);
      int s = model.stateSize();
      float[] row = new float[width];
      float[] states = new float[rows * s];
      for (int i = 0; i < rows; i++) {
        replay.get(i * replay.rows() / rows, column, row, 0);
        System.arraycopy(row, 0, states, i * s, s);
      }
      return states;
    }
  }

  private static ObjectNode facts(
      RunFolder run,
      Checkpoint checkpoint,
      List<Path> logs,
      List<RunFolder> judged,
      Environment environment) {
    ObjectNode facts = Json.object();
    JsonNode state = tree(checkpoint.stateJson(), checkpoint.folder().toString());
    facts.set("training", state);
    facts.set("data", data(run, logs, environment));
    ObjectNode metrics = facts.putObject("metrics");
    String parameterHash = RunFolder.parameterHash(checkpoint);
    if (Files.isRegularFile(run.result())) {
      JsonNode own = result(run);
      if (own.path(RunFolder.PARAMETER_HASH).asText().equals(parameterHash)) {
        putMetrics(metrics, own); // else of another checkpoint
      }
    }
    for (RunFolder evaluation : judged) {
      JsonNode result = result(evaluation);
      String other = result.path(RunFolder.PARAMETER_HASH).asText("none");
      if (!other.equals(parameterHash)) {
        throw new UsageException(
            ("--evaluation %s judged other parameters (hash %s) than those of --policy (%s); run"
                    + " evaluate or compare again")
                .formatted(evaluation.path(), other, parameterHash));
      }
      putMetrics(metrics.putObject(evaluation.path().toString()), result);
    }
    environment.limits().forEach(facts.putArray("limits")::add);
    ObjectNode software = facts.putObject("software");
    software.put("unifiedrl", Main.version());
    software.put("commit", Build.commit());
    facts.set("configuration", Configuration.tree(Configuration.read(run.config())));
    return facts;
  }

  private static ObjectNode data(RunFolder run, List<Path> logs, Environment environment) {
    ObjectNode node = Json.object();
    node.put("environment", environment.name());
    if (logs.isEmpty()) {
      node.put("log", "not at hand: give it with --data to have it described here");
    }
    ArrayNode all = Json.MAPPER.createArrayNode();
    for (Path log : logs) {
      try (Replay replay = Replay.open(log)) {
        ObjectNode one = all.addObject();
        one.put("folder", (log.startsWith(run.path()) ? run.path().relativize(log) : log) + "");
        one.put("rows", replay.rows());
        long sessions = 0;
        for (long row = 0; row < replay.rows(); row++) {
          sessions += replay.isLast(row) ? 1 : 0;
        }
        one.put("sessions", sessions);
        one.put("rows_outside_their_box", replay.outOfBoxRows());
        one.set("metadata", Json.MAPPER.valueToTree(replay.schema().metadata()));
      }
    }
    if (!all.isEmpty()) {
      node.set("logs", all);
    }
    return node;
  }

  /** Run folders that --evaluation names. */
  private List<RunFolder> judged() {
    List<RunFolder> folders = new ArrayList<>();
    for (Path path : evaluations) {
      RunFolder folder = RunFolder.open(path, "--evaluation");
      if (!Files.isRegularFile(folder.result())) {
        throw new UsageException(
            "--evaluation "
                + path
                + " holds no result.json; give a run folder of evaluate or compare");
      }
      folders.add(folder);
    }
    return folders;
  }

  private static JsonNode result(RunFolder folder) {
    try {
      return tree(Files.readString(folder.result()), folder.result().toString());
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot read " + folder.result() + ": " + FileErrors.reason(e), e);
    }
  }

  private static void putMetrics(ObjectNode metrics, JsonNode result) {
    result
        .properties()
        .forEach(
            entry -> {
              if (!NO_METRICS.contains(entry.getKey())) {
                metrics.set(entry.getKey(), entry.getValue());
              }
            });
  }

  private static JsonNode tree(String json, String where) {
    try {
      return Json.MAPPER.readTree(json);
    } catch (IOException e) {
      throw new UsageException(where + ": not JSON: " + e.getMessage(), e);
    }
  }

  private void print(PolicyExport.Report report, boolean drawn) {
    PrintWriter out = common.text();
    JsonNode check = report.card().path("check");
    out.printf(
        Locale.ROOT,
        "Compared with onnxruntime on %d states %s; largest difference, of at most %.0e:%n",
        check.path("states").asInt(),
        drawn ? "drawn as the policy's normalisation expects them" : "of the log",
        check.path("tolerance").asDouble());
    check
        .path("largest_difference")
        .properties()
        .forEach(
            graph ->
                graph
                    .getValue()
                    .properties()
                    .forEach(
                        output ->
                            out.printf(
                                Locale.ROOT,
                                "  %-12s %-8s %.1e%n",
                                graph.getKey(),
                                output.getKey(),
                                output.getValue().asDouble())));
    report
        .card()
        .path("files")
        .properties()
        .forEach(
            file ->
                out.printf(
                    Locale.ROOT,
                    "  %-20s %,12d bytes%n",
                    file.getKey(),
                    file.getValue().path("bytes").asLong()));
    out.println("Left in " + report.folder());
    out.flush();
  }
}
