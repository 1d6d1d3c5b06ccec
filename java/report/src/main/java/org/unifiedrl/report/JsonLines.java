package org.unifiedrl.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.mtf.experiment.MetricsListener;

/**
 * Metrics as JSON lines, an object with its step in each: {@code metrics.jsonl} holds what is the
 * same in every run of a configuration, {@code resources.jsonl} what was measured. A training that
 * goes on from a checkpoint drops the lines beyond it, and writes them again.
 */
public final class JsonLines implements MetricsListener {

  /** Name of the file of metrics in a run folder. */
  public static final String METRICS = "metrics.jsonl";

  /** Name of the file of resources in a run folder. */
  public static final String RESOURCES = "resources.jsonl";

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path metrics;
  private final Path resources;

  /**
   * Writes into a run folder; nothing happens before training begins.
   *
   * @param folder exists by then
   */
  public JsonLines(Path folder) {
    metrics = folder.resolve(METRICS);
    resources = folder.resolve(RESOURCES);
  }

  @Override
  public void begin(long step, long steps) {
    keep(metrics, step);
    keep(resources, step);
  }

  @Override
  public void metrics(long step, Map<String, Double> values) {
    append(metrics, step, values);
  }

  @Override
  public void resources(long step, Map<String, Double> values) {
    append(resources, step, values);
  }

  @Override
  public String toString() {
    return metrics.toString();
  }

  private static void append(Path file, long step, Map<String, Double> values) {
    ObjectNode node = JSON.createObjectNode();
    node.put("step", step);
    values.forEach(
        (name, value) -> {
          if (Double.isFinite(value)) {
            node.put(name, value);
          } else {
            node.putNull(name); // JSON has no other word for it
          }
        });
    try (Writer writer =
        Files.newBufferedWriter(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      writer.write(node + "\n");
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + file, e);
    }
  }

  /** Drops lines beyond a step. */
  private static void keep(Path file, long lastStep) {
    if (!Files.exists(file)) {
      return;
    }
    StringBuilder kept = new StringBuilder();
    for (JsonNode line : read(file)) {
      if (line.path("step").asLong() <= lastStep) {
        kept.append(line).append('\n');
      }
    }
    try {
      DurableFiles.writeText(file, kept.toString());
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + file, e);
    }
  }

  /** Whether the file ends in half a line, as that of a run that was killed may. */
  static boolean endsInHalfALine(Path file) throws IOException {
    String text = Files.readString(file);
    return !text.isEmpty() && text.charAt(text.length() - 1) != '\n';
  }

  /**
   * All whole lines of a file; half a line at its end is left out.
   *
   * @throws UncheckedIOException if it cannot be read, or a whole line is not JSON: the message
   *     names the line
   */
  public static List<JsonNode> read(Path file) {
    List<JsonNode> lines = new ArrayList<>();
    try {
      String text = Files.readString(file);
      for (String line : text.substring(0, text.lastIndexOf('\n') + 1).lines().toList()) {
        lines.add(parsed(line, file, lines.size() + 1));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + file, e);
    }
    return lines;
  }

  private static JsonNode parsed(String line, Path file, int number) {
    String found;
    JsonProcessingException cause = null;
    try {
      JsonNode node = JSON.readTree(line);
      if (node.isObject() && node.path("step").canConvertToLong()) {
        return node;
      }
      found =
          line.isBlank() ? "nothing" : line.length() > 40 ? line.substring(0, 40) + " .." : line;
    } catch (JsonProcessingException e) {
      cause = e;
      found = e.getOriginalMessage();
    }
    throw new UncheckedIOException(
        new IOException(
            "%s, line %d: expected a JSON object with a step, found %s; remove the line, or train again"
                .formatted(file, number, found),
            cause));
  }
}
