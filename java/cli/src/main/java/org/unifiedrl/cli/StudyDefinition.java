package org.unifiedrl.cli;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.study.Cell;
import org.unifiedrl.mtf.study.Making;
import org.unifiedrl.mtf.study.Tuner;

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
 * @param tuned whether its methods can take settings that tuning found
 * @param tune how settings of each method are chosen before it is compared; null for not at all
 * @param reference method that lifts are relative to
 * @param charts curves to draw beside the lifts
 * @param only what a command restricts it to; null for no restriction
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
    Tune tune,
    String reference,
    List<Chart> charts,
    Only only) {

  private static final List<String> NAMES =
      List.of(
          "paper",
          "dials",
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
   * @param space settings that tuning may choose; null as the library says
   * @param tunedAs method whose tuned settings it takes; null as the library says, or its own
   */
  record Method(
      String of,
      Making making,
      Map<String, JsonNode> settings,
      List<String> data,
      Map<String, Range> space,
      String tunedAs) {
    Method {
      settings = settings == null ? Map.of() : settings;
    }

    /** A method of the library by its own name. */
    static Method named() {
      return new Method(null, null, null, null, null, null);
    }

    /** One setting over the library's. */
    static Method with(String key, JsonNode value) {
      return new Method(null, null, Map.of(key, value), null, null, null);
    }

    Method over(Method base) {
      Map<String, JsonNode> joined = new LinkedHashMap<>(base.settings);
      joined.putAll(settings);
      return new Method(
          null,
          making == null ? base.making : making,
          joined,
          data == null ? base.data : data,
          space == null ? base.space : space,
          tunedAs == null ? base.tunedAs : tunedAs);
    }
  }

  /**
   * Values that tuning may choose: a range, or choices.
   *
   * @param low least value
   * @param high largest value
   * @param log whether the range is even in the logarithm
   * @param choices values; null for a range
   */
  record Range(double low, double high, boolean log, List<JsonNode> choices) {}

  /**
   * How settings are chosen: in the first world, on seeds and users that are not reported.
   *
   * @param tuners each with the same budget
   * @param trials the budget: whole trainings of each seed
   * @param seeds number of tuning seeds
   * @param metric what is maximised
   */
  record Tune(List<Tuner> tuners, Amounts<Integer> trials, Amounts<Integer> seeds, String metric) {}

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

  /**
   * A part of the cells.
   *
   * @param methods names of methods, beside the reference; null for all
   * @param data names of logs that methods learn from; null for all
   */
  record Only(List<String> methods, List<String> data) {}

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

  /**
   * What all experiments share.
   *
   * @param settings of all cells, under those of the experiment
   * @param quick over both, with {@code --quick}, and under the experiment's own
   * @param methods the methods that experiments name
   */
  record Common(
      Map<String, JsonNode> settings, Map<String, JsonNode> quick, Map<String, Method> methods) {

    static Common read() {
      return StudyDefinition.read("experiments/common.yaml", Common.class);
    }
  }

  /** Settings that tuning found: by method, then by data. */
  record Tuned(Map<String, Map<String, Map<String, JsonNode>>> methods) {

    /**
     * What {@code tuning} left in its {@code tuned.yaml}.
     *
     * @throws UsageException if the file cannot be read or is of another form, or sets what tuning
     *     does not choose
     */
    static Tuned read(Path file) {
      String source = "--tuned " + file;
      if (!Files.exists(file)) {
        throw new UsageException(
            source + ": no such file; 'unifiedrl experiment tuning' leaves tuned.yaml");
      }
      Tuned found;
      try {
        found =
            Configuration.YAML
                .readerFor(Tuned.class)
                .with(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                .readValue(Files.readString(file));
      } catch (JacksonException e) {
        throw new UsageException(
            source
                + ": expected methods, then kinds of data, then KEY: VALUE ("
                + e.getOriginalMessage()
                + ")",
            e);
      } catch (IOException e) {
        throw new UsageException(source + ": cannot be read: " + FileErrors.reason(e), e);
      }
      if (found == null) {
        throw new UsageException(source + " is empty");
      }
      found.check(source);
      return found;
    }

    /** Equal terms: a file sets what tuning may choose, and nothing else. */
    private void check(String source) {
      Map<String, Map<String, Range>> spaces = new LinkedHashMap<>();
      Common.read()
          .methods()
          .forEach(
              (name, method) -> {
                if (method.space() != null) {
                  spaces.put(name, method.space());
                }
              });
      known(source + ": method", methods, spaces.keySet());
      methods.forEach(
          (method, kinds) -> {
            String of = source + ": " + method;
            known(of + ": data", kinds, StudyDefinition.of("tuning").data().keySet());
            kinds.forEach(
                (kind, settings) -> {
                  known(of + ": " + kind + ": setting", settings, spaces.get(method).keySet());
                  Configuration any = Configuration.of(ExperimentConfig.defaults());
                  try {
                    any.set(settings, of);
                    any.get();
                  } catch (UsageException e) {
                    throw new UsageException(of + ": " + kind + ": " + e.getMessage(), e);
                  }
                });
          });
    }

    private static void known(String what, Map<String, ?> given, Set<String> all) {
      if (given == null || given.isEmpty()) {
        throw new UsageException(what + " is missing: expected some of " + String.join(", ", all));
      }
      StudyDefinition.known(what, List.copyOf(given.keySet()), List.copyOf(all));
    }

    /** None: defaults. */
    static Tuned none() {
      return new Tuned(Map.of());
    }

    /** What was found for a method on a kind of data; nothing where nothing was. */
    Map<String, JsonNode> of(String method, String data) {
      return methods.getOrDefault(method, Map.of()).getOrDefault(data, Map.of());
    }

    /** What cells of a method take: its own, or those of the method that it is tuned as. */
    Map<String, JsonNode> of(String name, Method method, String data) {
      return of(method.tunedAs() == null ? name : method.tunedAs(), data);
    }

    /** What the methods of an experiment take. */
    Tuned of(StudyDefinition study) {
      Map<String, Map<String, Map<String, JsonNode>>> taken = new LinkedHashMap<>();
      study
          .resolvedMethods()
          .forEach(
              (name, method) -> {
                for (String kind : study.kinds(method)) {
                  Map<String, JsonNode> settings = of(name, method, kind);
                  if (!settings.isEmpty()) {
                    taken.computeIfAbsent(name, any -> new LinkedHashMap<>()).put(kind, settings);
                  }
                }
              });
      return new Tuned(taken);
    }
  }

  /** All methods of this experiment with all of their settings, in order. */
  Map<String, Method> resolvedMethods() {
    Map<String, Method> library = Common.read().methods();
    Map<String, Method> resolved = new LinkedHashMap<>();
    if (vary != null) {
      resolved.put(vary.of(), library.get(vary.of()));
      vary.values()
          .forEach(
              (key, values) -> {
                for (JsonNode value : values) {
                  resolved.put(
                      variantName(key, value),
                      Method.with(key, value).over(library.get(vary.of())));
                }
              });
    }
    if (methods != null) {
      methods.forEach(
          (name, method) -> {
            Method own = method == null ? Method.named() : method;
            Method base = library.get(own.of() == null ? name : own.of());
            resolved.put(name, base == null ? own : own.over(base));
          });
    }
    if (only != null && only.methods() != null) {
      resolved.keySet().removeIf(n -> !n.equals(reference) && !only.methods().contains(n));
    }
    return resolved;
  }

  /** Names of the logs that a method learns from. */
  List<String> kinds(Method method) {
    if (method.making() == Making.BASELINE) {
      return List.of(Cell.NO_DATA);
    }
    List<String> kinds = method.data() == null ? List.copyOf(data.keySet()) : method.data();
    return only == null || only.data() == null
        ? kinds
        : kinds.stream().filter(only.data()::contains).toList();
  }

  /**
   * A part of this experiment, which its cells have in common with the whole.
   *
   * @param methods names of methods, beside the reference; null for all
   * @param kinds names of data; null for all
   * @param tuners which of them tune; null for what is declared
   * @param trials trainings by each tuner; null for what is declared
   * @param tuningSeeds seeds of each of them; null for what is declared
   * @throws UsageException if there is no such thing
   */
  StudyDefinition narrowed(
      List<String> methods,
      List<String> kinds,
      List<Tuner> tuners,
      Integer trials,
      Integer tuningSeeds) {
    known("--method", methods, List.copyOf(resolvedMethods().keySet()));
    known("--data", kinds, List.copyOf(data.keySet()));
    if ((tuners != null || trials != null || tuningSeeds != null) && tune == null) {
      throw new UsageException(
          "--tuner, --trials and --tuning-seeds: this experiment tunes nothing");
    }
    Tune budget =
        tune == null
            ? null
            : new Tune(
                tuners == null ? tune.tuners() : List.copyOf(new LinkedHashSet<>(tuners)),
                trials == null ? tune.trials() : new Amounts<>(trials, trials),
                tuningSeeds == null ? tune.seeds() : new Amounts<>(tuningSeeds, tuningSeeds),
                tune.metric());
    return new StudyDefinition(
        title,
        question,
        cost,
        seeds,
        needs,
        settings,
        quick,
        worlds,
        quickWorlds,
        data,
        ruler,
        this.methods,
        vary,
        tuned,
        budget,
        reference,
        charts,
        new Only(methods, kinds));
  }

  private static void known(String option, List<String> names, List<String> all) {
    if (names == null) {
      return;
    }
    for (String name : names) {
      if (!all.contains(name)) {
        throw new UsageException(
            option + " " + name + ": expected some of " + String.join(", ", all));
      }
    }
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
