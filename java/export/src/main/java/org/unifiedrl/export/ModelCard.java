package org.unifiedrl.export;

import ai.onnxruntime.OrtEnvironment;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.serving.PolicyModel.Network;

/**
 * What a reader must know of an exported policy, as {@value #MARKDOWN} and, the same for programs,
 * as {@value #JSON_FILE}. It says what it was given and what was measured here; a section that
 * nothing is known of says so.
 */
final class ModelCard {

  static final String MARKDOWN = "model-card.md";
  static final String JSON_FILE = "model-card.json";

  /** Sections that the caller fills, with the headings that they have. */
  private static final List<String> SECTIONS =
      List.of("training", "data", "metrics", "limits", "software", "configuration");

  private static final String FORMAT = "unifiedrl-model-card-1";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final PolicyModel model;
  private final ObjectNode root = JSON.createObjectNode();

  /**
   * A card.
   *
   * @param facts the sections training, data, metrics, limits, software and configuration, as far
   *     as they are known
   */
  ModelCard(PolicyModel model, ObjectNode facts) {
    this.model = model;
    root.put("format", FORMAT);
    root.set("model", describe(model));
    for (String section : SECTIONS) {
      root.set(section, facts.has(section) ? facts.get(section) : JSON.createObjectNode());
    }
  }

  static ObjectNode describe(PolicyModel model) {
    ObjectNode node = JSON.createObjectNode();
    node.put("version", model.version());
    node.put("kind", model.kind().toString());
    node.put("sha256", model.sha256());
    node.put("state_features", model.stateSize());
    node.put("scores", model.scores());
    node.put("actions", model.actionSize());
    node.set("state_names", JSON.valueToTree(model.stateNames()));
    node.set("score_names", JSON.valueToTree(model.scoreNames()));
    ObjectNode networks = node.putObject("networks");
    long parameters = 0;
    for (Map.Entry<String, Network> entry : model.networks().entrySet()) {
      ArrayNode sizes = networks.putArray(entry.getKey()).add(entry.getValue().inputs());
      for (PolicyModel.Layer layer : entry.getValue().layers()) {
        sizes.add(layer.outputs());
        parameters += (layer.inputs() + 1L) * layer.outputs();
      }
    }
    node.put("parameters", parameters);
    ActionMap map = model.actionMap();
    ObjectNode ranges = node.putObject("ranges");
    for (int i = 0; i < model.scores(); i++) {
      ObjectNode score = ranges.putObject(model.scoreNames().get(i));
      score.putArray("power").add(map.powerLow()[i]).add(map.powerHigh()[i]);
      score.putArray("bias").add(map.biasLow()[i]).add(map.biasHigh()[i]);
    }
    model
        .box()
        .ifPresent(
            box -> {
              ObjectNode bounds = node.putObject("box");
              bounds.set("lower", JSON.valueToTree(box.lower()));
              bounds.set("upper", JSON.valueToTree(box.upper()));
            });
    return node;
  }

  /** Adds what the comparison with onnxruntime found: largest differences by graph and output. */
  ModelCard checked(int states, Map<String, Map<String, Double>> differences) {
    ObjectNode check = root.putObject("check");
    check.put(
        "onnxruntime", OrtEnvironment.getEnvironment().getVersion()); // on the CPU, in float32
    check.put("states", states);
    check.put("tolerance", OnnxCheck.TOLERANCE);
    check.set("largest_difference", JSON.valueToTree(differences));
    return this;
  }

  /** Writes both files beside those that are in the folder; returns what they say. */
  ObjectNode write(Path folder) throws IOException {
    ObjectNode files = root.putObject("files");
    for (String name : List.of(PolicyModel.FILE, PolicyExport.ACTOR, PolicyExport.RANKER)) {
      Path file = folder.resolve(name);
      files.putObject(name).put("bytes", Files.size(file)).put("sha256", DurableFiles.sha256(file));
    }
    DurableFiles.writeText(folder.resolve(JSON_FILE), pretty(root) + "\n");
    DurableFiles.writeText(folder.resolve(MARKDOWN), markdown());
    return root;
  }

  private static String pretty(JsonNode node) {
    try {
      return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(node);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a tree is always JSON", e);
    }
  }

  private String markdown() {
    StringBuilder text = new StringBuilder();
    text.append("# Model card: ").append(cell(model.version())).append("\n\n");
    text.append(purpose());
    text.append("\n## Files\n\n| file | bytes | SHA-256 |\n| --- | --- | --- |\n");
    root.path("files")
        .properties()
        .forEach(
            e ->
                text.append(
                    String.format(
                        Locale.ROOT,
                        "| `%s` | %d | `%s` |%n",
                        e.getKey(),
                        e.getValue().path("bytes").asLong(),
                        e.getValue().path("sha256").asText())));
    text.append('\n').append(usage());
    section(text, "Model", root.path("model"));
    section(text, "Training", root.path("training"));
    section(text, "Data", root.path("data"));
    section(text, "Metrics", root.path("metrics"));
    if (!root.path("metrics").isEmpty()) {
      text.append(
          "\nLifts are percent over the baseline, or over the trained policy whose parameter hash"
              + " 'against' gives; low and high end a 95 % interval.\n");
    }
    section(text, "Check", root.path("check"));
    text.append("\n## Limits\n\n").append(limits());
    section(text, "Software", root.path("software"));
    text.append("\n## Configuration\n\n```\n");
    lines(text, root.path("configuration"), "", (key, value) -> key + " = " + value + "\n");
    return text.append("```\n").toString();
  }

  private String purpose() {
    return """
        A fusion policy: for each %s it gives %d powers and %d biases, by which the %d predicted scores of a candidate
        become one, `PROD_i (score_i + bias_i) ^ power_i`, and candidates are ranked by it (in log space). Its inputs
        are raw features, in this order: %s. Its scores, in this order: %s. Actions in [-1, 1] set the powers, then
        the biases, within the ranges below.
        """
        .formatted(
            switch (model.kind()) {
              case PAIR_ACTOR -> "candidate of a request, from the user's state and its scores,";
              case ACTOR, BEST_OF_DECODED -> "request, from its state,";
            },
            model.scores(),
            model.scores(),
            model.scores(),
            code(model.stateNames()),
            code(model.scoreNames()));
  }

  private static String code(List<String> names) {
    return names.stream().map(name -> "`" + cell(name) + "`").collect(Collectors.joining(", "));
  }

  private String usage() {
    return """
        In the JVM `FusionPolicy.open(folder)` serves it. In Python:

        ```python
        import numpy, onnxruntime
        from safetensors.numpy import load_file

        ranker = onnxruntime.InferenceSession("ranker.onnx")
        score, top = ranker.run(None, {
            "state": state,                                   # float32 [requests, %d], raw features
            "scores": scores,                                 # float32 [requests, %d, candidates]
            "count": numpy.array([10], dtype=numpy.int64)})   # how many of the best to give
        tensors = load_file("policy.safetensors")             # weights, normalisation, ranges
        ```
        """
        .formatted(model.stateSize(), model.scores());
  }

  private String limits() {
    StringBuilder text = new StringBuilder();
    text.append(
        "- For ranking by the features and scores named above, as they were in training.\n");
    text.append(
        "- Learned offline from the log below. What it gives far from logged states, or outside the"
            + " explored box, was not tried on users.\n");
    text.append(
        "- Metrics are those of the environment named below, and promise nothing elsewhere.\n");
    for (JsonNode limit : root.path("limits")) {
      text.append("- ").append(cell(limit.asText())).append('\n');
    }
    return text.toString();
  }

  private static void section(StringBuilder text, String heading, JsonNode node) {
    text.append("\n## ").append(heading).append("\n\n");
    if (node.isEmpty()) {
      text.append("Not known.\n");
      return;
    }
    text.append("| what | value |\n| --- | --- |\n");
    lines(text, node, "", (key, value) -> "| " + cell(key) + " | " + cell(value) + " |\n");
  }

  /** How a leaf is written. */
  private interface Line {
    String of(String key, String value);
  }

  /** One line for each leaf; lists of numbers and names are leaves. */
  private static void lines(StringBuilder text, JsonNode node, String prefix, Line line) {
    for (Map.Entry<String, JsonNode> entry : node.properties()) {
      String key = prefix + entry.getKey();
      JsonNode value = entry.getValue();
      if (value.isObject()) {
        lines(text, value, key + ".", line);
      } else if (value.isArray() && holdsObjects(value)) {
        for (int i = 0; i < value.size(); i++) {
          lines(text, value.get(i), key + "[" + i + "].", line);
        }
      } else {
        text.append(line.of(key, value.isTextual() ? value.asText() : value.toString()));
      }
    }
  }

  private static boolean holdsObjects(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).anyMatch(JsonNode::isObject);
  }

  /** Text that stays in its cell. */
  private static String cell(String text) {
    return text.replace("|", "\\|").replaceAll("\\s+", " ");
  }
}
