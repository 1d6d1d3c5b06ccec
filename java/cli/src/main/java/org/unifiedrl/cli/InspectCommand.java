package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.export.PolicyExport;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.serving.PolicyModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "inspect",
    description = "Checks a run, a log, a checkpoint or an export and says what is in it.%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl inspect runs/log",
      "  unifiedrl inspect runs/log/shards/train --stats --chart log.png",
      "  unifiedrl inspect runs/log/shards/train/shard-00000.arrow --json -",
      "  unifiedrl inspect runs/policy/checkpoints",
      "  unifiedrl inspect runs/export"
    })
final class InspectCommand implements Callable<Integer> {

  @Parameters(
      paramLabel = "PATH",
      description =
          "Run folder, shard, folder of shards, checkpoint, folder of checkpoints, export, or"
              + " policy.safetensors.")
  Path path;

  @Option(
      names = "--stats",
      description =
          "Also print how each value of a log is distributed, where actions lie in their boxes, and"
              + " how long sessions are.")
  boolean statistics;

  @Option(
      names = "--chart",
      paramLabel = "FILE",
      description = "With --stats, of shards: also draw that there, as PNG.")
  Path chart;

  @Mixin ReportOptions common;

  @Option(names = "--seed", paramLabel = "N", description = "Of no effect: nothing is drawn here.")
  Long seed;

  @Override
  public Integer call() {
    if (!Files.exists(path)) {
      throw new UsageException(path + ": there is no such file or folder");
    }
    common.check();
    checkChart();
    common.write(describe(path, common.text()));
    return 0;
  }

  private void checkChart() {
    if (chart == null) {
      return;
    }
    if (!statistics || isRun(path) || EngineAccess.isCheckpoint(path)) {
      throw new UsageException(
          "--chart draws what --stats finds in shards: give both, and a folder of shards, as"
              + " runs/log/shards/train");
    }
    try {
      FileErrors.probe(chart.toAbsolutePath().getParent());
    } catch (IOException e) {
      throw new UsageException(
          "--chart " + chart + " cannot be written: " + FileErrors.reason(e), e);
    }
  }

  private static boolean isRun(Path path) {
    return Files.isRegularFile(new RunFolder(path).config());
  }

  private ObjectNode describe(Path path, PrintWriter out) {
    if (isRun(path)) {
      return run(new RunFolder(path), out);
    }
    if (isPolicy(path)) {
      return policy(path, out);
    }
    return EngineAccess.isCheckpoint(path) ? EngineAccess.describe(path, out) : replay(path, out);
  }

  /** Everything that a run has left so far. */
  private ObjectNode run(RunFolder folder, PrintWriter out) {
    ExperimentConfig config = Configuration.read(folder.config());
    ObjectNode result = Json.object();
    result.put("kind", "run");
    result.put("environment", config.environment());
    result.put("seed", config.seed());
    out.printf(
        "Run folder %s: environment %s, seed %d%n",
        folder.path(), config.environment(), config.seed());
    Map<String, Path> parts = new LinkedHashMap<>();
    parts.put("train", folder.train());
    parts.put("held_out", folder.heldOut());
    parts.put("checkpoints", folder.checkpoints());
    parts.forEach(
        (name, part) -> {
          if (Files.isDirectory(part)) {
            out.printf("%n%s%n", part);
            result.set(name, describe(part, out));
          }
        });
    return result;
  }

  /** Whether a path is an export, or its policy. */
  private static boolean isPolicy(Path path) {
    return path.toString().endsWith(".safetensors")
        || Files.isRegularFile(path.resolve(PolicyModel.FILE));
  }

  private static ObjectNode policy(Path path, PrintWriter out) {
    PolicyModel model = PolicyModel.read(path);
    ObjectNode result = Json.object();
    result.put("kind", "policy");
    result.set("policy", PolicyExport.describe(model));
    result.set("metadata", Json.MAPPER.valueToTree(model.metadata()));
    out.printf("Policy %s%n", model.version());
    for (String part : new String[] {"policy", "metadata"}) {
      result
          .path(part)
          .properties()
          .forEach(e -> out.printf("  %s = %s%n", e.getKey(), e.getValue()));
    }
    return result;
  }

  private ObjectNode replay(Path path, PrintWriter out) {
    try (Replay replay = Replay.open(path)) {
      ReplaySchema schema = replay.schema();
      long sessions = 0;
      for (long row = 0; row < replay.rows(); row++) {
        sessions += replay.isLast(row) ? 1 : 0;
      }
      ObjectNode result = Json.object();
      result.put("kind", "replay");
      result.put("rows", replay.rows());
      result.put("sessions", sessions);
      result.put("out_of_box_rows", replay.outOfBoxRows());
      result.putPOJO("metadata", schema.metadata());
      out.printf(
          "Replay: %,d requests in %,d sessions, %d segments; actions outside their box: %,d%n",
          replay.rows(), sessions, replay.segmentCount(), replay.outOfBoxRows());
      schema.metadata().forEach((key, value) -> out.printf("  %s = %s%n", key, value));
      out.printf("  %-18s %6s %12s %12s %12s%n", "column", "width", "mean", "least", "largest");
      ArrayNode columns = result.putArray("columns");
      for (int c = 0; c < schema.columns().size(); c++) {
        ReplaySchema.Column column = schema.columns().get(c);
        double[] summary = summary(replay, c, column.width());
        out.printf(
            Locale.ROOT,
            "  %-18s %6d %12.5g %12.5g %12.5g%n",
            column.name(),
            column.width(),
            summary[0],
            summary[1],
            summary[2]);
        ObjectNode node = columns.addObject();
        node.put("name", column.name());
        node.put("width", column.width());
        Json.put(node, "mean", summary[0]);
        Json.put(node, "least", summary[1]);
        Json.put(node, "largest", summary[2]);
      }
      if (statistics) {
        LogDistributions distributions = new LogDistributions(replay);
        distributions.print(out);
        distributions.put(result);
        if (chart != null) {
          distributions.draw(chart);
        }
      }
      return result;
    }
  }

  /** Mean, least and largest value of a column. */
  private static double[] summary(Replay replay, int column, int width) {
    float[] values = new float[width];
    double sum = 0;
    double[] result = {0, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY};
    for (long row = 0; row < replay.rows(); row++) {
      replay.get(row, column, values, 0);
      for (float value : values) {
        sum += value;
        result[1] = Math.min(result[1], value);
        result[2] = Math.max(result[2], value);
      }
    }
    result[0] = sum / ((double) replay.rows() * width);
    return Arrays.copyOf(result, 3);
  }
}
