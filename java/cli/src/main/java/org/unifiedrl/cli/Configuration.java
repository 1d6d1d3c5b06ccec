package org.unifiedrl.cli;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.cfg.EnumFeature;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.DoubleNode;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.unifiedrl.mtf.experiment.ExperimentConfig;

/**
 * Configuration from three sources, each over the one before: defaults, a YAML file, and {@code
 * key.path=value} settings of the command line. Only keys that the defaults have are accepted.
 */
final class Configuration {

  static final YAMLMapper YAML =
      YAMLMapper.builder()
          .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
          .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .enable(EnumFeature.WRITE_ENUMS_TO_LOWERCASE)
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .build();
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .enable(EnumFeature.WRITE_ENUMS_TO_LOWERCASE)
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .build();
  private static final Pattern EXPONENT =
      Pattern.compile("[-+]?([0-9]+|[0-9]*[.][0-9]+|[0-9]+[.])[eE][-+]?[0-9]+");
  private static final Pattern FIELD = Pattern.compile("\\b[a-z]+([A-Z][a-z]+)+\\b");
  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9_]*");

  /** Keys that no result depends on, beyond the rounding of a back end. */
  private static final Set<String> FREE =
      Set.of("backend", "threads", "engine.device", "engine.replay");

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
    } catch (MismatchedInputException e) {
      throw new UsageException(file + ": expected one YAML document, found more", e);
    } catch (JacksonException e) {
      throw new UsageException(file + ": not valid YAML: " + firstLine(e) + at(e), e);
    } catch (IOException e) {
      throw new UsageException(file + ": cannot be read: " + FileErrors.reason(e), e);
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
    try {
      JsonNode value = YAML.readTree(setting.substring(equals + 1));
      set(setting.substring(0, equals), value, "--set " + setting);
    } catch (JsonProcessingException e) {
      throw new UsageException("--set " + setting + ": not a YAML value: " + firstLine(e), e);
    }
  }

  /**
   * Sets values by their paths.
   *
   * @param source where they come from, for messages
   * @throws UsageException if a key does not exist
   */
  void set(Map<String, JsonNode> settings, String source) {
    settings.forEach((path, value) -> set(path, value, source));
  }

  private void set(String key, JsonNode value, String source) {
    String[] path = key.split("\\.", -1);
    JsonNode node = value;
    for (int i = path.length - 1; i >= 0; i--) {
      ObjectNode parent = JSON.createObjectNode();
      parent.set(path[i], node);
      node = parent;
    }
    merge(tree, (ObjectNode) node, "", source);
  }

  /** The value of a path such as {@code training.steps}; missing if there is none. */
  JsonNode value(String path) {
    return tree.at("/" + path.replace('.', '/'));
  }

  /** A configuration of its own with the same values. */
  Configuration copy() {
    return new Configuration(tree.deepCopy());
  }

  /** Sets one value at the top level. */
  void put(String key, Object value) {
    tree.set(key, JSON.valueToTree(value));
  }

  /** Sets one value of a group. */
  void put(String group, String key, Object value) {
    ((ObjectNode) tree.get(group)).set(key, JSON.valueToTree(value));
  }

  /**
   * The configuration as a checked object.
   *
   * @throws UsageException if a value is of the wrong type or out of its range
   */
  ExperimentConfig get() {
    checkTypes(tree, "", ExperimentConfig.class);
    try {
      return JSON.treeToValue(tree, ExperimentConfig.class);
    } catch (JsonProcessingException e) {
      Throwable reason = e;
      while (reason.getCause() != null) {
        reason = reason.getCause();
      }
      throw new UsageException("configuration: " + firstLine(reason), e);
    }
  }

  /** Makes the folder in {@code environment} absolute: a run may be resumed from elsewhere. */
  void absoluteFolder(String scheme) {
    String environment = tree.path("environment").asText();
    if (environment.startsWith(scheme)) {
      Path folder = Path.of(environment.substring(scheme.length()));
      tree.put("environment", scheme + folder.toAbsolutePath().normalize());
    }
  }

  /** A message with names of Java's fields as keys of the configuration. */
  static String keys(String message) {
    return message == null
        ? ""
        : FIELD.matcher(message).replaceAll(m -> snakeCase(m.group())).replaceAll("\\.0\\b", "");
  }

  private static void checkTypes(ObjectNode node, String prefix, Class<?> type) {
    for (RecordComponent component : type.getRecordComponents()) {
      String name = snakeCase(component.getName());
      String key = prefix + name;
      if (component.getAccessor().isAnnotationPresent(JsonUnwrapped.class)) {
        checkTypes(node, prefix, component.getType());
      } else if (component.getType().isRecord()) {
        checkTypes((ObjectNode) node.get(name), key + ".", component.getType());
      } else {
        node.set(name, checked(key, node.get(name), component.getGenericType()));
      }
    }
  }

  /** The value as one of the type, or an error that says what was expected. */
  private static JsonNode checked(String key, JsonNode value, Type type) {
    if (type instanceof ParameterizedType list) {
      if (!value.isArray()) {
        throw unexpected(key, "a list, as [1, 2]", value);
      }
      ArrayNode elements = JSON.createArrayNode();
      value.forEach(e -> elements.add(checked(key, e, list.getActualTypeArguments()[0])));
      return elements;
    }
    Class<?> scalar = (Class<?>) type;
    if (scalar.isEnum()) {
      List<String> names =
          Stream.of(scalar.getEnumConstants())
              .map(c -> ((Enum<?>) c).name().toLowerCase(Locale.ROOT))
              .toList();
      String name = value.asText().toLowerCase(Locale.ROOT).replace('-', '_'); // cma-es is usual
      if (!value.isTextual() || !names.contains(name)) {
        throw unexpected(
            key,
            "one of " + String.join(", ", names),
            value,
            Suggestion.nearest(value.asText(), names));
      }
      return TextNode.valueOf(name);
    }
    if (scalar == String.class) {
      if (!value.isTextual() || value.asText().isEmpty()) {
        throw unexpected(key, "text", value);
      }
      return value;
    }
    if (scalar == boolean.class || scalar == Boolean.class) {
      if (!value.isBoolean()) {
        throw unexpected(key, "true or false", value);
      }
      return value;
    }
    boolean whole = scalar != double.class && scalar != Double.class;
    JsonNode number = number(value);
    if (!number.isNumber()) {
      throw unexpected(key, whole ? "a whole number" : "a number", value);
    }
    if (!whole) {
      return number;
    }
    double size = number.doubleValue();
    long largest =
        scalar == long.class || scalar == Long.class ? Long.MAX_VALUE : Integer.MAX_VALUE;
    boolean fits = number.canConvertToLong() && Math.abs(number.longValue()) <= largest;
    if (size != Math.rint(size)) {
      throw unexpected(key, "a whole number", value);
    }
    if (!fits) {
      throw unexpected(key, "a whole number of at most " + largest, value);
    }
    return LongNode.valueOf(number.longValue());
  }

  /** YAML takes 1e3 for text, since it has no point; people do not. */
  private static JsonNode number(JsonNode value) {
    return value.isTextual() && EXPONENT.matcher(value.asText()).matches()
        ? DoubleNode.valueOf(Double.parseDouble(value.asText()))
        : value;
  }

  private static UsageException unexpected(String key, String expected, JsonNode value) {
    return unexpected(key, expected, value, Optional.empty());
  }

  private static UsageException unexpected(
      String key, String expected, JsonNode value, Optional<String> suggestion) {
    String found =
        value.isNull() || value.isMissingNode() || (value.isTextual() && value.asText().isEmpty())
            ? "nothing"
            : value.isTextual() ? "'" + value.asText() + "'" : value.toString();
    return new UsageException(
        "configuration '"
            + key
            + "': expected "
            + expected
            + ", found "
            + found
            + suggestion.map(name -> "; did you mean '" + name + "'?").orElse(""));
  }

  private static String snakeCase(String name) {
    return PropertyNamingStrategies.SnakeCaseStrategy.INSTANCE.translate(name);
  }

  /** The configuration as YAML with a line about each key. */
  static String commented(ExperimentConfig config) {
    StringBuilder text = new StringBuilder();
    append(text, JSON.valueToTree(config), "", "");
    return text.toString();
  }

  private static void append(StringBuilder text, ObjectNode node, String prefix, String indent) {
    for (Map.Entry<String, JsonNode> entry : node.properties()) {
      String key = prefix + entry.getKey();
      String head = indent + entry.getKey() + ":";
      if (entry.getValue().isObject()) {
        text.append(head).append('\n');
        append(text, (ObjectNode) entry.getValue(), key + ".", indent + "  ");
        continue;
      }
      // Text of JSON is text of YAML, within quotes; names need none.
      String value = entry.getValue().toString();
      if (entry.getValue().isTextual() && NAME.matcher(entry.getValue().asText()).matches()) {
        value = entry.getValue().asText();
      }
      String about = ConfigKeys.describe(key);
      String line = head + " " + value;
      text.append(about.isEmpty() ? line : String.format("%-36s # %s", line, about)).append('\n');
    }
  }

  /** The configuration with every default filled in, as YAML. */
  static String yaml(ExperimentConfig config) {
    return yaml((Object) config);
  }

  /** The configuration with every default filled in, as JSON. */
  static ObjectNode tree(ExperimentConfig config) {
    return JSON.valueToTree(config);
  }

  /** Anything as YAML. */
  static String yaml(Object value) {
    try {
      return YAML.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("configuration cannot be written as YAML", e);
    }
  }

  /**
   * Returns if two configurations give the same result: device, back end and threads may differ.
   *
   * @throws UsageException naming the first key that does not allow it
   */
  static void requireSameResult(ExperimentConfig saved, ExperimentConfig now, Path run) {
    requireSame(JSON.valueToTree(saved), JSON.valueToTree(now), "", run);
  }

  private static void requireSame(JsonNode saved, JsonNode now, String prefix, Path run) {
    for (Map.Entry<String, JsonNode> entry : saved.properties()) {
      String key = prefix + entry.getKey();
      JsonNode other = now.get(entry.getKey());
      if (entry.getValue().isObject()) {
        requireSame(entry.getValue(), other, key + ".", run);
      } else if (!entry.getValue().equals(other) && !FREE.contains(key)) {
        throw new UsageException(
            run
                + " was begun with "
                + key
                + " = "
                + entry.getValue()
                + ", and it is now "
                + other
                + ": resume with the run's own configuration, or begin a new run");
      }
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
