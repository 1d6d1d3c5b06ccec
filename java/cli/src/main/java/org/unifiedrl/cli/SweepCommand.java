package org.unifiedrl.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.study.Cell;
import org.unifiedrl.mtf.study.CellRunner;
import org.unifiedrl.mtf.study.CellStore;
import org.unifiedrl.mtf.study.Comparison;
import org.unifiedrl.mtf.study.Making;
import org.unifiedrl.mtf.study.Tuner;
import org.unifiedrl.mtf.study.Tuning;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "sweep",
    description = {
      "Searches settings of the configuration: each trial trains on a log and serves validation"
          + " users; logs are shared, and trials that are done in --out are not run again. With"
          + " --policy, nothing is trained: one trained model serves several trade-offs between"
          + " its reward groups.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl sweep --over training.eta=0.1..10:log --out runs/eta",
      "  unifiedrl sweep --over training.eta=0.1..10:log \\",
      "      --over 'training.critics_per_group=4|12|24' \\",
      "      --over training.lambda=0..1 --tuner halving --budget 9 \\",
      "      --seeds 3 --objective returns --out runs/three",
      "  unifiedrl sweep --policy runs/demo --trade-offs 11 --out runs/frontier"
    })
final class SweepCommand implements Callable<Integer> {

  private static final Pattern RANGE = Pattern.compile("([^=]+)=(.+?)\\.\\.(.+?)(:log)?");
  private static final Pattern CHOICES = Pattern.compile("([^=]+)=(.+)");
  private static final int MOST_TRIALS = 100_000;

  /** Says that a folder is a sweep's, before anything else is in it. */
  private static final String IDENTITY = "trials.json";

  @Option(
      names = "--over",
      paramLabel = "KEY=RANGE",
      description =
          "A setting to search: KEY=LOW..HIGH, with :log behind it for an even spread of the"
              + " logarithm, or KEY=A|B|C; repeatable.")
  List<String> over = new ArrayList<>();

  @Option(
      names = "--tuner",
      paramLabel = "NAME",
      description = "random, halving (successive halving) or bayesian (default: ${DEFAULT-VALUE}).")
  Tuner tuner = Tuner.RANDOM;

  @Option(
      names = "--budget",
      paramLabel = "N",
      description =
          "Whole trainings that may be spent, of each seed; the same gradient steps for every"
              + " tuner (default: ${DEFAULT-VALUE}).")
  Integer budget = 12;

  @Option(
      names = "--seeds",
      paramLabel = "N",
      description = "Seeds of each trial (default: ${DEFAULT-VALUE}).")
  Integer seeds = 1;

  @Option(
      names = "--objective",
      paramLabel = "NAME",
      description = "What is maximised: uvc, udt, returns or session_length (default: uvc).")
  String objective = Comparison.UVC;

  @Option(
      names = "--method",
      paramLabel = "NAME",
      description =
          "Method of the experiments' library, whose settings stand over --config and under --set"
              + " (default: what the configuration trains).")
  String method;

  @Option(
      names = "--policy",
      paramLabel = "DIR",
      description =
          "Run folder of train or demo whose critics serve trade-offs: in every state the action in"
              + " the box is climbed to that has the highest SUM_i w_i (Qbar_i - lambda sd_i).")
  Path policy;

  @Option(
      names = "--trade-offs",
      paramLabel = "N",
      description = "Trade-offs of --policy, at least 2 (default: ${DEFAULT-VALUE}).")
  Integer tradeOffs = 11;

  @Mixin StudyOptions common;
  @Mixin ConfigOptions options;

  @Override
  public Integer call() {
    common.checkJson();
    if (common.out == null) {
      throw new UsageException("sweep needs --out DIR, a folder for its results");
    }
    if (policy != null) {
      if (!over.isEmpty()) {
        throw new UsageException("--policy trains nothing, and --over does: give one of them");
      }
      int points = StudyOptions.amount("--trade-offs", tradeOffs, 11, 1000);
      if (points < 2) {
        throw new UsageException("--trade-offs is 1: expected 2 or more");
      }
      return TradeOffs.run(policy, points, options, common);
    }
    if (over.isEmpty()) {
      throw new UsageException(
          "sweep needs --over KEY=RANGE, a setting to search; or --policy DIR");
    }
    StudyOptions.amount("--seeds", seeds, 1, 1000);
    StudyOptions.amount("--budget", budget, 1, MOST_TRIALS);
    List<String> objectives = List.of(Comparison.UVC, Comparison.UDT, "returns", "session_length");
    if (!objectives.contains(objective)) {
      throw new UsageException(
          "--objective " + objective + ": expected one of " + String.join(", ", objectives));
    }
    Map<String, StudyDefinition.Method> library = StudyDefinition.Common.read().methods();
    StudyDefinition.Method base = library.get(method);
    if (method != null && base == null) {
      throw new UsageException(
          "--method " + method + ": expected one of " + String.join(", ", library.keySet()));
    }
    Configuration configuration = Configuration.of(ExperimentConfig.defaults());
    options.applyFile(configuration);
    if (base != null) {
      configuration.set(base.settings(), "--method " + method);
    }
    options.applySettings(configuration);
    StudyPlan.threads(configuration, common.threads());
    ExperimentConfig config = configuration.get();
    ConfigOptions.check(config);
    EngineAccess.requireEngine(config.engineOptions());
    ConfigOptions.openUsers(config);
    if (!Files.exists(common.out.resolve(IDENTITY))) {
      RunFolder.plan(common.out, "");
    }
    String name = method != null ? method : configuration.value("training.algorithm").asText();
    Making making = base == null ? Making.TRAIN : base.making();
    Tuning.Result found;
    try (CellRunner runner = common.runner()) {
      Map<String, StudyDefinition.Range> ranges = ranges(configuration);
      Tuning tuning =
          new Tuning(
              StudyPlan.space(ranges),
              StudyPlan.start(configuration, ranges),
              tuner,
              budget,
              objective,
              StudyPlan.TUNING_SEED);
      found =
          tuning.run(
              new StudyPlan.Trials(configuration, making, "sweep", Cell.NO_DATA, name, seeds),
              cells -> {
                Json.write(common.out.resolve(IDENTITY), Json.object().put("command", "sweep"));
                return runner.run(cells, common.parallel(), true, common.listener());
              });
      runner.clean(common.keepLogs);
    } catch (IllegalArgumentException | CellStore.OtherSettingsException e) {
      throw new UsageException(e.getMessage(), e);
    }
    report(found, name, base == null ? Map.of() : base.settings());
    return 0;
  }

  /** What the options say may be chosen. */
  private Map<String, StudyDefinition.Range> ranges(Configuration configuration) {
    Map<String, StudyDefinition.Range> ranges = new LinkedHashMap<>();
    for (String text : over) {
      Matcher range = RANGE.matcher(text);
      Matcher choices = CHOICES.matcher(text);
      String key;
      StudyDefinition.Range one;
      try {
        if (range.matches()) {
          key = range.group(1);
          one =
              new StudyDefinition.Range(
                  Double.parseDouble(range.group(2)),
                  Double.parseDouble(range.group(3)),
                  range.group(4) != null,
                  null);
        } else if (choices.matches()) {
          key = choices.group(1);
          List<JsonNode> values = new ArrayList<>();
          for (String value : choices.group(2).split("\\|", -1)) {
            values.add(Configuration.YAML.readTree(value));
          }
          one = new StudyDefinition.Range(0, 0, false, values);
        } else {
          throw new UsageException(
              "--over " + text + ": expected KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=A|B|C");
        }
      } catch (NumberFormatException | JsonProcessingException e) {
        throw new UsageException(
            "--over " + text + ": not a number or value: " + e.getMessage(), e);
      }
      // A key that does not exist is known before anything runs, with the one that was meant.
      configuration.copy().set(Map.of(key, configuration.value(key)), "--over " + text);
      if (ranges.put(key, one) != null) {
        throw new UsageException("--over " + key + " is given twice");
      }
    }
    return ranges;
  }

  /** Tells what was found; of a method, its settings belong to the best ones. */
  private void report(Tuning.Result found, String name, Map<String, JsonNode> settings) {
    ObjectNode result = Json.object();
    result.put("method", name);
    result.put("tuner", tuner.name().toLowerCase(Locale.ROOT));
    result.put("budget", budget);
    result.put("objective", objective);
    Json.put(result, "value", found.value());
    result.set("settings", Json.MAPPER.valueToTree(found.settings()));
    ArrayNode trials = result.putArray("trials");
    StringBuilder table = new StringBuilder();
    table.append(
        String.format(Locale.ROOT, "%12s %10s %6s  settings%n", objective, "± sd", "steps"));
    found.trials().stream()
        .sorted(
            Comparator.comparingDouble(Tuning.Trial::share)
                .thenComparingDouble(trial -> trial.value().mean())
                .reversed())
        .forEach(
            trial -> {
              ObjectNode node = trials.addObject();
              node.set("settings", Json.MAPPER.valueToTree(trial.settings()));
              Json.put(node, "share_of_steps", trial.share());
              Json.put(node, "mean", trial.value().mean());
              Json.put(node, "deviation", trial.value().deviation());
              node.put("seeds", trial.value().seeds());
              table.append(
                  String.format(
                      Locale.ROOT,
                      "%12.4f %10s %5.0f%%  %s%n",
                      trial.value().mean(),
                      seeds > 1
                          ? String.format(Locale.ROOT, "%.4f", trial.value().deviation())
                          : "",
                      100 * trial.share(),
                      trial.settings()));
            });
    Path best = common.out.resolve("best.yaml");
    Map<String, JsonNode> whole = new LinkedHashMap<>(settings);
    whole.putAll(StudyPlan.nodes(found.settings()));
    Json.writeText(best, Configuration.yaml((Object) StudyPlan.nested(whole)));
    Json.write(common.out.resolve("sweep.json"), result);
    PrintWriter text = common.text();
    text.print(table);
    text.println(
        "The best, of "
            + found.trials().size()
            + " trials by the users that it was chosen on, is in "
            + best
            + ": take it with --config, and judge it on other users");
    text.flush();
    common.writeJson(result);
  }
}
