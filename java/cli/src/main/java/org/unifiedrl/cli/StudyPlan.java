package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.study.Cell;
import org.unifiedrl.mtf.study.Making;
import org.unifiedrl.mtf.study.Space;
import org.unifiedrl.mtf.study.Tuner;
import org.unifiedrl.mtf.study.Tuning;

/** The cells of an experiment: its definition with the sizes and options of one command. */
final class StudyPlan {

  /** The first seed of results. */
  static final long REPORTED_SEED = 1001;

  /** The first seed that settings are chosen on; their users are others too. */
  static final long TUNING_SEED = 9001;

  private final StudyDefinition study;
  private final boolean quick;
  private final Configuration common;

  /**
   * A plan.
   *
   * @param quick whether to take the quick sizes
   * @param options puts what the command line says over the experiment's own settings
   * @param threads threads of a cell, unless the options say how many
   */
  StudyPlan(StudyDefinition study, boolean quick, Consumer<Configuration> options, int threads) {
    this.study = study;
    this.quick = quick;
    common = Configuration.of(ExperimentConfig.defaults());
    StudyDefinition.Common shared = StudyDefinition.Common.read();
    common.set(shared.settings(), "common settings");
    common.set(study.settings(), "settings");
    if (quick) {
      common.set(shared.quick(), "common quick");
      common.set(study.quick(), "quick");
    }
    options.accept(common);
    threads(common, threads);
  }

  /** Sets the threads of a cell, unless the command line did. */
  static void threads(Configuration configuration, int threads) {
    if (configuration.value("threads").asInt() == 0) {
      configuration.put("threads", threads);
    }
  }

  /** Names of the worlds. */
  List<String> worlds() {
    return study.worldNames(quick);
  }

  /**
   * All cells, so that those that share a log lie together.
   *
   * @param seeds number of seeds
   * @param found settings over those of the methods
   */
  List<Cell> cells(int seeds, StudyDefinition.Tuned found) {
    Map<String, StudyDefinition.Method> methods = study.resolvedMethods();
    List<Cell> cells = new ArrayList<>();
    for (String world : worlds()) {
      for (long seed = REPORTED_SEED; seed < REPORTED_SEED + seeds; seed++) {
        for (String name : methods.keySet()) {
          StudyDefinition.Method method = methods.get(name);
          if (study.tune() == null || !isTuned(method)) {
            add(cells, world, seed, name, method, found);
            continue;
          }
          for (Tuner tuner : study.tune().tuners()) {
            add(cells, world, seed, tunedName(name, tuner), method, found);
          }
          add(cells, world, seed, name, method, StudyDefinition.Tuned.none());
        }
      }
    }
    return cells;
  }

  private void add(
      List<Cell> cells,
      String world,
      long seed,
      String name,
      StudyDefinition.Method method,
      StudyDefinition.Tuned found) {
    Configuration ruler = base(world, study.ruler());
    ruler.put("seed", seed);
    for (String kind : study.kinds(method)) {
      Configuration own = base(world, kind);
      own.put("seed", seed);
      own.set(method.settings(), "method " + name);
      own.set(found.of(name, method, kind), "tuned settings of " + name);
      ExperimentConfig config = own.get();
      ConfigOptions.check(config);
      cells.add(new Cell(world, kind, name, seed, method.making(), config, ruler.get()));
    }
  }

  private Configuration base(String world, String kind) {
    Configuration base = common.copy();
    base.set(study.worlds().get(world), "world " + world);
    if (!kind.equals(Cell.NO_DATA)) {
      base.set(study.data().get(kind), "data " + kind);
    }
    return base;
  }

  private static boolean isTuned(StudyDefinition.Method method) {
    return method.space() != null;
  }

  static String tunedName(String method, Tuner tuner) {
    return method + ", " + tuner.name().toLowerCase(Locale.ROOT);
  }

  /** Settings that a tuner found for a method on a kind of data, and how. */
  record Chosen(String method, String data, Tuner tuner, Tuning.Result result) {}

  /**
   * Checks that every tuner can do with its budget.
   *
   * @throws IllegalArgumentException if one cannot
   */
  void checkBudget() {
    StudyDefinition.Tune tune = study.tune();
    if (tune == null) {
      return;
    }
    int trials = tune.trials().of(quick);
    study
        .resolvedMethods()
        .forEach(
            (name, method) -> {
              for (Tuner tuner : isTuned(method) ? tune.tuners() : List.<Tuner>of()) {
                int least = tuner.least(method.space().size());
                if (trials < least) {
                  throw new IllegalArgumentException(
                      "--trials is %d: tuner %s needs %d for the %d settings of %s"
                          .formatted(
                              trials,
                              tuner.name().toLowerCase(Locale.ROOT),
                              least,
                              method.space().size(),
                              name));
                }
              }
            });
  }

  /** Chooses settings for every method that has some to choose, by every tuner. */
  List<Chosen> tune(Tuning.Runner runner) {
    List<Chosen> chosen = new ArrayList<>();
    StudyDefinition.Tune tune = study.tune();
    study
        .resolvedMethods()
        .forEach(
            (name, method) -> {
              if (!isTuned(method)) {
                return;
              }
              for (String kind : study.kinds(method)) {
                Configuration base = base(worlds().get(0), kind);
                base.set(method.settings(), "method " + name);
                for (Tuner tuner : tune.tuners()) {
                  Tuning tuning =
                      new Tuning(
                          space(method.space()),
                          start(base, method.space()),
                          tuner,
                          tune.trials().of(quick),
                          tune.metric(),
                          TUNING_SEED);
                  Trials trials =
                      new Trials(
                          base,
                          method.making(),
                          worlds().get(0),
                          kind,
                          name,
                          tune.seeds().of(quick));
                  chosen.add(new Chosen(name, kind, tuner, tuning.run(trials, runner)));
                }
              }
            });
    return chosen;
  }

  /** Choices as settings of the methods that {@link #cells} names by method and tuner. */
  static StudyDefinition.Tuned byTuner(List<Chosen> chosen) {
    Map<String, Map<String, Map<String, JsonNode>>> methods = new LinkedHashMap<>();
    for (Chosen one : chosen) {
      methods
          .computeIfAbsent(tunedName(one.method(), one.tuner()), any -> new LinkedHashMap<>())
          .put(one.data(), nodes(one.result().settings()));
    }
    return new StudyDefinition.Tuned(methods);
  }

  /** Of each method and kind of data the choice that was worth most. */
  static StudyDefinition.Tuned best(List<Chosen> chosen) {
    Map<String, Chosen> best = new LinkedHashMap<>();
    for (Chosen one : chosen) {
      best.merge(
          one.method() + "\n" + one.data(),
          one,
          (a, b) -> b.result().value() > a.result().value() ? b : a);
    }
    Map<String, Map<String, Map<String, JsonNode>>> methods = new LinkedHashMap<>();
    for (Chosen one : best.values()) {
      methods
          .computeIfAbsent(one.method(), any -> new LinkedHashMap<>())
          .put(one.data(), nodes(one.result().settings()));
    }
    return new StudyDefinition.Tuned(methods);
  }

  static Map<String, JsonNode> nodes(Map<String, Object> settings) {
    Map<String, JsonNode> nodes = new LinkedHashMap<>();
    settings.forEach((key, value) -> nodes.put(key, Json.MAPPER.valueToTree(value)));
    return nodes;
  }

  /** A space of settings; those that are whole numbers by their type stay whole. */
  static Space space(Map<String, StudyDefinition.Range> ranges) {
    Configuration typed = Configuration.of(ExperimentConfig.defaults());
    List<Space.Dimension> dimensions = new ArrayList<>();
    ranges.forEach(
        (key, range) ->
            dimensions.add(
                new Space.Dimension(
                    key,
                    range.low(),
                    range.high(),
                    range.log(),
                    typed.value(key).isIntegralNumber(),
                    range.choices() == null ? null : List.<Object>copyOf(range.choices()))));
    return new Space(dimensions);
  }

  /** What a configuration has for the keys of a space, in the form in which its points have it. */
  static Map<String, Object> start(
      Configuration configuration, Map<String, StudyDefinition.Range> ranges) {
    Map<String, Object> values = new LinkedHashMap<>();
    ranges.forEach(
        (key, range) -> {
          JsonNode value = typed(configuration, key, configuration.value(key));
          if (range.choices() == null) {
            values.put(key, value.isNumber() ? value.numberValue() : value);
            return;
          }
          range.choices().stream()
              .filter(choice -> typed(configuration, key, choice).equals(value))
              .findFirst()
              .ifPresent(choice -> values.put(key, choice));
        });
    return values;
  }

  /** A value as the configuration reads it: 4 of a real key is 4.0, and 1e-3 is no text. */
  private static JsonNode typed(Configuration configuration, String key, JsonNode value) {
    Configuration copy = configuration.copy();
    copy.set(Map.of(key, value), key);
    copy.get();
    return copy.value(key);
  }

  /**
   * Cells of trials: users of validation, no offline evaluation, seeds that are not reported.
   *
   * @param base all settings but those that are tried
   * @param seeds number of tuning seeds
   */
  record Trials(
      Configuration base, Making making, String world, String data, String method, int seeds)
      implements Tuning.CellMaker {

    @Override
    public List<Cell> cells(Map<String, Object> settings, double share) {
      Configuration tried = base.copy();
      tried.set(nodes(settings), "tuning");
      long steps = tried.value("training.steps").asLong();
      tried.put("training", "steps", Math.max(1, Math.round(steps * share)));
      tried.put("evaluation", "population", "validation");
      List<Cell> cells = new ArrayList<>();
      for (long seed = TUNING_SEED; seed < TUNING_SEED + seeds; seed++) {
        tried.put("seed", seed);
        ExperimentConfig config = tried.get();
        ConfigOptions.check(config);
        String name = "trial of " + method;
        String hash =
            cells.isEmpty()
                ? new Cell(world, data, name, seed, making, config, null).identity()
                : cells.get(0).method().substring(name.length() + 1);
        cells.add(new Cell(world, data, name + " " + hash, seed, making, config, null));
      }
      return cells;
    }
  }

  /** Settings by path as the nested groups of a configuration file. */
  static ObjectNode nested(Map<String, JsonNode> settings) {
    ObjectNode root = Json.object();
    settings.forEach(
        (key, value) -> {
          String[] path = key.split("\\.", -1);
          ObjectNode group = root;
          for (int i = 0; i < path.length - 1; i++) {
            group = group.withObject("/" + path[i]);
          }
          group.set(path[path.length - 1], value);
        });
    return root;
  }
}
