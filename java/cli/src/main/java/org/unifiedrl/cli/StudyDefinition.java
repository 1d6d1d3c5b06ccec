package org.unifiedrl.cli;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.study.Cell;
import org.unifiedrl.mtf.study.Making;

/**
 * An experiment as its YAML file declares it: worlds, kinds of data and methods, each a set of
 * settings over the configuration; its cells are all combinations with all seeds.
 *
 * @param title what is compared
 * @param question what it answers
 * @param cost what it takes, in words, on two processors
 * @param seeds how many seeds
 * @param needs environment without which it cannot be run, such as {@code kuairand}; null for none
 * @param settings of all cells
 * @param quick over them, with {@code --quick}
 * @param worlds settings of environments, by name
 * @param quickWorlds names of the worlds with {@code --quick}; null for all
 * @param data settings of logs, by name
 * @param ruler name of the data whose held-out log judges all methods offline
 * @param methods by name; null takes all of it from the library
 * @param vary one setting after the other is varied; null for none
 * @param tuned whether methods take the settings that tuning found
 * @param reference method that lifts are relative to
 * @param charts curves to draw beside the lifts
 */
record StudyDefinition(
    String title,
    String question,
    Amounts<String> cost,
    Amounts<Integer> seeds,
    String needs,
    Map<String, JsonNode> settings,
    Map<String, JsonNode> quick,
    Map<String, Map<String, JsonNode>> worlds,
    List<String> quickWorlds,
    Map<String, Map<String, JsonNode>> data,
    String ruler,
    Map<String, Method> methods,
    Vary vary,
    boolean tuned,
    String reference,
    List<Chart> charts) {

  /** Seeds of results; those of tuning are others ({@link #TUNING_SEED}), and so are its users. */
  static final long REPORTED_SEED = 1001;

  /** The first seed that settings are chosen on. */
  static final long TUNING_SEED = 9001;

  private static final List<String> NAMES =
      List.of(
          "paper",
          "ablation-ptm",
          "ablation-bounds",
          "ablation-critics",
          "exploration",
          "sensitivity",
          "tuning",
          "transfer",
          "kuairand");

  /** An amount with {@code --quick} and without. */
  record Amounts<T>(T quick, T full) {
    T of(boolean isQuick) {
      return isQuick ? quick : full;
    }
  }

  /**
   * A method.
   *
   * @param of library method that it is a variant of; null for the one of its own name
   * @param making how its policy is made; null as the library says
   * @param settings over the library's
   * @param data names of the data that it learns from; null for all
   */
  record Method(String of, Making making, Map<String, JsonNode> settings, List<String> data) {
    Method {
      settings = settings == null ? Map.of() : settings;
    }

    Method over(Method base) {
      Map<String, JsonNode> joined = new LinkedHashMap<>(base.settings);
      joined.putAll(settings);
      return new Method(
          null, making == null ? base.making : making, joined, data == null ? base.data : data);
    }
  }

  /**
   * Variants of a library method, each with one other value of one setting.
   *
   * @param of the method
   * @param values values by key
   */
  record Vary(String of, Map<String, List<JsonNode>> values) {}

  /**
   * A curve of the lifts over a setting.
   *
   * @param x key of the setting
   * @param by what tells curves apart: "data", "method", or the key of a setting
   * @param logarithmic whether the axis is
   * @param methods names of the methods that are drawn; null for all that learn from data
   */
  record Chart(String x, String by, boolean logarithmic, List<String> methods) {}

  StudyDefinition {
    settings = settings == null ? Map.of() : settings;
    quick = quick == null ? Map.of() : quick;
    worlds = worlds == null ? Map.of("default", Map.of()) : worlds;
    quickWorlds = quickWorlds == null ? List.copyOf(worlds.keySet()) : quickWorlds;
    charts = charts == null ? List.of() : charts;
  }

  /** All names, in the order in which they are listed. */
  static List<String> names() {
    return NAMES;
  }

  /**
   * An experiment by its name.
   *
   * @throws UsageException if there is none
   */
  static StudyDefinition of(String name) {
    if (!NAMES.contains(name)) {
      throw new UsageException(
          "unknown experiment '"
              + name
              + "'"
              + Suggestion.nearest(name, NAMES).map(n -> "; did you mean '" + n + "'?").orElse("")
              + " (experiments: "
              + String.join(", ", NAMES)
              + ")");
    }
    return read("experiments/" + name + ".yaml", StudyDefinition.class);
  }

  private static <T> T read(String resource, Class<T> type) {
    try (InputStream stream = StudyDefinition.class.getResourceAsStream(resource)) {
      return Configuration.YAML
          .readerFor(type)
          .with(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .readValue(stream);
    } catch (JacksonException e) {
      throw new IllegalStateException(resource + ": " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new UncheckedIOException(resource + " cannot be read", e);
    }
  }

  /** The methods that experiments name; each has its place in {@code methods.yaml}. */
  private record Library(Map<String, Method> methods) {}

  /** Settings that tuning found: by method, then by data. */
  private record Tuned(Map<String, Map<String, Map<String, JsonNode>>> methods) {}

  /** All methods of this experiment with all of their settings, in order. */
  Map<String, Method> resolvedMethods() {
    Map<String, Method> library = read("experiments/methods.yaml", Library.class).methods();
    Map<String, Method> resolved = new LinkedHashMap<>();
    if (vary != null) {
      resolved.put(vary.of(), library.get(vary.of()));
      vary.values()
          .forEach(
              (key, values) -> {
                for (JsonNode value : values) {
                  Method variant = new Method(null, null, Map.of(key, value), null);
                  resolved.put(variantName(key, value), variant.over(library.get(vary.of())));
                }
              });
    }
    if (methods != null) {
      methods.forEach(
          (name, method) -> {
            Method own = method == null ? new Method(null, null, null, null) : method;
            Method base = library.get(own.of() == null ? name : own.of());
            resolved.put(name, base == null ? own : own.over(base));
          });
    }
    return resolved;
  }

  private static String variantName(String key, JsonNode value) {
    return key.substring(key.lastIndexOf('.') + 1)
        + " = "
        + (value.isTextual() ? value.asText() : value.toString());
  }

  /** Names of the worlds. */
  List<String> worldNames(boolean isQuick) {
    return isQuick ? quickWorlds : List.copyOf(worlds.keySet());
  }

  /**
   * All cells, so that those that share a log lie together.
   *
   * @param isQuick whether to take the quick sizes
   * @param count number of seeds
   * @param options what the command line says over the experiment's own settings
   * @param threads threads of a cell
   */
  List<Cell> cells(boolean isQuick, int count, ConfigOptions options, int threads) {
    Map<String, Map<String, Map<String, JsonNode>>> found =
        tuned ? read("experiments/tuned.yaml", Tuned.class).methods() : Map.of();
    Configuration common = Configuration.of(ExperimentConfig.defaults());
    common.set(settings, "settings");
    if (isQuick) {
      common.set(quick, "quick");
    }
    options.apply(common);
    common.put("threads", threads);
    List<Cell> cells = new ArrayList<>();
    for (String world : worldNames(isQuick)) {
      for (long seed = REPORTED_SEED; seed < REPORTED_SEED + count; seed++) {
        Configuration here = common.copy();
        here.set(worlds.get(world), "world " + world);
        here.put("seed", seed);
        Configuration judged = here.copy();
        judged.set(data.get(ruler), "data " + ruler);
        ExperimentConfig rulerConfig = judged.get();
        for (Map.Entry<String, Method> entry : resolvedMethods().entrySet()) {
          Method method = entry.getValue();
          boolean needsLog = method.making() != Making.BASELINE;
          for (String kind : needsLog ? kinds(method) : List.of(Cell.NO_DATA)) {
            Configuration own = here.copy();
            if (needsLog) {
              own.set(data.get(kind), "data " + kind);
            }
            own.set(method.settings(), "method " + entry.getKey());
            Optional.ofNullable(found.get(entry.getKey()))
                .map(byData -> byData.get(kind))
                .ifPresent(chosen -> own.set(chosen, "tuned.yaml"));
            ExperimentConfig config = own.get();
            ConfigOptions.check(config);
            cells.add(
                new Cell(world, kind, entry.getKey(), seed, method.making(), config, rulerConfig));
          }
        }
      }
    }
    return cells;
  }

  private List<String> kinds(Method method) {
    return method.data() == null ? List.copyOf(data.keySet()) : method.data();
  }

  /** Curves that are drawn: those that are declared, and one for each varied setting. */
  List<Chart> allCharts() {
    List<Chart> all = new ArrayList<>(charts);
    if (vary != null) {
      vary.values()
          .forEach(
              (key, values) -> {
                List<String> drawn = new ArrayList<>(List.of(vary.of()));
                values.forEach(value -> drawn.add(variantName(key, value)));
                all.add(new Chart(key, "data", true, drawn));
              });
    }
    return all;
  }
}
