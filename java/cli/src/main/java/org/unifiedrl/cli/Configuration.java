package org.unifiedrl.cli;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.unifiedrl.mtf.experiment.ExperimentConfig;

/**
 * Configuration from three sources, each over the one before: defaults, a YAML file, and {@code
 * key.path=value} settings of the command line. Only keys that the defaults have are accepted.
 */
final class Configuration {

  private static final YAMLMapper YAML =
      YAMLMapper.builder()
          .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
          .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .build();
  private static final JsonMapper JSON = Json.MAPPER;

  private final ObjectNode tree;

  private Configuration(ObjectNode tree) {
    this.tree = tree;
  }

  /** All defaults. */
  static Configuration of(ExperimentConfig defaults) {
    return new Configuration(JSON.valueToTree(defaults));
  }

  /**
   * Reads a YAML file over the present values.
   *
   * @throws UsageException if the file cannot be read or has a key that does not exist
   */
  void readFile(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new UsageException("configuration file '" + file + "' does not exist");
    }
    JsonNode read;
    try {
      read = YAML.readTree(Files.readString(file));
    } catch (JacksonException e) {
      throw new UsageException(file + ": not valid YAML: " + firstLine(e) + at(e), e);
    } catch (IOException e) {
      throw new UsageException(file + ": cannot be read: " + e.getMessage(), e);
    }
    if (read.isMissingNode() || read.isNull()) {
      return;
    }
    if (!read.isObject()) {
      throw new UsageException(file + ": expected 'key: value' lines, found " + read.getNodeType());
    }
    merge(tree, (ObjectNode) read, "", file.toString());
  }

  /**
   * Sets one value by its path, such as {@code training.steps=2000}; the value is YAML.
   *
   * @throws UsageException if the setting has no '=' or the key does not exist
   */
  void set(String setting) {
    int equals = setting.indexOf('=');
    if (equals < 1) {
      throw new UsageException("--set " + setting + ": expected KEY=VALUE, as training.steps=2000");
    }
    String[] path = setting.substring(0, equals).split("\\.", -1);
    try {
      JsonNode value = YAML.readTree(setting.substring(equals + 1));
      for (int i = path.length - 1; i >= 0; i--) {
        ObjectNode parent = JSON.createObjectNode();
        parent.set(path[i], value);
        value = parent;
      }
      merge(tree, (ObjectNode) value, "", "--set " + setting);
    } catch (JsonProcessingException e) {
      throw new UsageException("--set " + setting + ": not a YAML value: " + firstLine(e), e);
    }
  }

  /** Sets one value at the top level. */
  void put(String key, Object value) {
    tree.set(key, JSON.valueToTree(value));
  }

  /**
   * The configuration as a checked object.
   *
   * @throws UsageException if a value is of the wrong type or out of its range
   */
  ExperimentConfig get() {
    try {
      return YAML.treeToValue(tree, ExperimentConfig.class);
    } catch (JsonMappingException e) {
      StringBuilder path = new StringBuilder();
      for (JsonMappingException.Reference reference : e.getPath()) {
        path.append(path.isEmpty() || reference.getFieldName() == null ? "" : ".")
            .append(
                reference.getFieldName() == null
                    ? "[" + reference.getIndex() + "]"
                    : reference.getFieldName());
      }
      Throwable reason = e;
      while (reason.getCause() != null) {
        reason = reason.getCause();
      }
      String where = path.isEmpty() ? "" : " '" + path + "'";
      throw new UsageException("configuration" + where + ": " + firstLine(reason), e);
    } catch (JsonProcessingException e) {
      throw new UsageException("configuration: " + firstLine(e), e);
    }
  }

  /** The configuration with every default filled in, as YAML. */
  static String yaml(ExperimentConfig config) {
    try {
      return YAML.writeValueAsString(config);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("configuration cannot be written as YAML", e);
    }
  }

  /** Reads a configuration that {@link #yaml} wrote; it must be complete. */
  static ExperimentConfig read(Path file) {
    Configuration configuration = of(ExperimentConfig.defaults());
    configuration.readFile(file);
    return configuration.get();
  }

  private static void merge(ObjectNode into, ObjectNode from, String prefix, String source) {
    for (Map.Entry<String, JsonNode> entry : from.properties()) {
      String key = entry.getKey();
      JsonNode present = into.get(key);
      if (present == null) {
        throw unknown(into, prefix + key, key, prefix, source);
      }
      if (present.isObject()) {
        if (!entry.getValue().isObject()) {
          throw new UsageException(
              source
                  + ": '"
                  + prefix
                  + key
                  + "' is a group of keys ("
                  + String.join(", ", names((ObjectNode) present))
                  + "), found "
                  + entry.getValue());
        }
        merge((ObjectNode) present, (ObjectNode) entry.getValue(), prefix + key + ".", source);
      } else {
        into.set(key, entry.getValue());
      }
    }
  }

  private static UsageException unknown(
      ObjectNode siblings, String path, String key, String prefix, String source) {
    List<String> near = names(siblings);
    Optional<String> suggestion = Suggestion.nearest(key, near).map(name -> prefix + name);
    return new UsageException(
        source
            + ": unknown key '"
            + path
            + "'"
            + suggestion
                .map(name -> "; did you mean '" + name + "'?")
                .orElse("; known keys here: " + String.join(", ", near)));
  }

  private static List<String> names(ObjectNode node) {
    List<String> names = new ArrayList<>();
    node.fieldNames().forEachRemaining(names::add);
    return names;
  }

  private static String firstLine(Throwable e) {
    String message = e instanceof JacksonException j ? j.getOriginalMessage() : e.getMessage();
    return message == null ? e.toString() : message.lines().findFirst().orElse("");
  }

  private static String at(JacksonException e) {
    return e.getLocation() == null
        ? ""
        : " (line "
            + e.getLocation().getLineNr()
            + ", column "
            + e.getLocation().getColumnNr()
            + ")";
  }
}
