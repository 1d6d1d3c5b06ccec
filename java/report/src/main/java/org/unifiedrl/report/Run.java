package org.unifiedrl.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What a run folder holds, as far as a report shows it. The configuration is text by key, so that
 * runs of other versions of this program can be shown beside those of this one.
 *
 * @param folder as it was given
 * @param settings values of {@code config.yaml} by their paths
 * @param metrics of training; the rounds of a progressive run follow one another
 * @param resources what it took, alike
 * @param rounds steps at which the rounds of a progressive run ended
 * @param result {@code result.json}, missing if there is none
 * @param remarks what a reader should know of the folder's state
 */
record Run(
    Path folder,
    Map<String, String> settings,
    List<Line> metrics,
    List<Line> resources,
    List<Long> rounds,
    JsonNode result,
    List<String> remarks) {

  private static final String REMEDY = "give what --out of train, demo or progressive was";
  private static final String SEED = "seed";
  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * Reads a run folder.
   *
   * @throws ReportException if it is none, or a file in it is broken
   */
  static Run read(Path folder) {
    if (!Files.isDirectory(folder)) {
      throw new ReportException(folder + ": there is no such folder; " + REMEDY);
    }
    if (!Files.isRegularFile(folder.resolve("config.yaml"))) {
      boolean study = Files.exists(folder.resolve("seeds.csv"));
      throw new ReportException(
          folder
              + (study
                  ? " is the folder of an experiment or a sweep, which keeps no learning curves: read"
                      + " its report.md, or "
                  : " is not a run folder: it has no config.yaml; ")
              + REMEDY);
    }
    List<String> remarks = new ArrayList<>();
    List<Line> metrics = new ArrayList<>();
    List<Line> resources = new ArrayList<>();
    List<Long> rounds = new ArrayList<>();
    Path round = folder.resolve("rounds");
    if (Files.isDirectory(round.resolve("1"))) {
      long offset = 0;
      for (int number = 1; Files.isDirectory(round.resolve("" + number)); number++) {
        Path own = round.resolve("" + number);
        List<Line> more = lines(own.resolve(JsonLines.METRICS), offset, remarks);
        metrics.addAll(more);
        resources.addAll(lines(own.resolve(JsonLines.RESOURCES), offset, remarks));
        offset = more.isEmpty() ? offset : more.get(more.size() - 1).step();
        rounds.add(offset);
      }
    } else {
      metrics.addAll(lines(folder.resolve(JsonLines.METRICS), 0, remarks));
      resources.addAll(lines(folder.resolve(JsonLines.RESOURCES), 0, remarks));
    }
    JsonNode result = result(folder.resolve("result.json"));
    if (result.isMissingNode()) {
      remarks.add("no result.json: the run has not ended, or was stopped");
    }
    return new Run(
        folder,
        settings(folder.resolve("config.yaml")),
        metrics,
        resources,
        rounds,
        result,
        remarks);
  }

  private static List<Line> lines(Path file, long offset, List<String> remarks) {
    if (!Files.exists(file)) {
      return List.of();
    }
    try {
      if (JsonLines.endsInHalfALine(file)) {
        remarks.add(
            file.getFileName()
                + " ends in half a line, which is left out: training was stopped, or goes on");
      }
      return JsonLines.read(file).stream().map(node -> Line.of(node, offset)).toList();
    } catch (UncheckedIOException e) {
      throw new ReportException(e.getCause().getMessage(), e);
    } catch (IOException e) {
      throw new ReportException(file + " cannot be read", e);
    }
  }

  private static JsonNode result(Path file) {
    if (!Files.exists(file)) {
      return MissingNode.getInstance();
    }
    try {
      JsonNode node = JSON.readTree(file.toFile());
      if (!node.isObject()) {
        throw new ReportException(file + ": expected a JSON object; run the command again");
      }
      return node;
    } catch (JsonProcessingException e) {
      throw new ReportException(
          file + " is not JSON (" + e.getOriginalMessage() + "); run the command again", e);
    } catch (IOException e) {
      throw new ReportException(file + " cannot be read", e);
    }
  }

  private static Map<String, String> settings(Path file) {
    try {
      Map<String, String> settings = new TreeMap<>();
      flatten("", new YAMLMapper().readTree(file.toFile()), settings);
      return new LinkedHashMap<>(settings);
    } catch (JsonProcessingException e) {
      throw new ReportException(
          file + " is not YAML (" + e.getOriginalMessage() + "); mend it, or leave the run out", e);
    } catch (IOException e) {
      throw new ReportException(file + " cannot be read", e);
    }
  }

  private static void flatten(String key, JsonNode node, Map<String, String> into) {
    if (node.isObject()) {
      node.properties()
          .forEach(
              field ->
                  flatten(
                      key.isEmpty() ? field.getKey() : key + "." + field.getKey(),
                      field.getValue(),
                      into));
    } else if (!key.isEmpty()) {
      into.put(key, node.isValueNode() ? node.asText() : node.toString());
    }
  }

  /** The folder's own name. */
  String name() {
    return folder.toAbsolutePath().normalize().getFileName().toString();
  }

  String seed() {
    return settings.getOrDefault(SEED, "");
  }

  String environment() {
    return settings.getOrDefault("environment", "");
  }

  /** What must agree for runs to differ by chance only. */
  Map<String, String> withoutSeed() {
    Map<String, String> others = new LinkedHashMap<>(settings);
    others.remove(SEED);
    return others;
  }

  /** Steps of its last line; 0 if there is none. */
  long lastStep() {
    return metrics.isEmpty() ? 0 : metrics.get(metrics.size() - 1).step();
  }
}
