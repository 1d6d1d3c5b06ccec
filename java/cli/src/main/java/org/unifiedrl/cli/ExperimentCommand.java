package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.unifiedrl.mtf.baseline.SearchBudgetException;
import org.unifiedrl.mtf.study.Cell;
import org.unifiedrl.mtf.study.CellResult;
import org.unifiedrl.mtf.study.CellRunner;
import org.unifiedrl.mtf.study.CellStore;
import org.unifiedrl.mtf.study.Comparison;
import org.unifiedrl.mtf.study.Tuner;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
    name = "experiment",
    description = {
      "Compares methods as one of the declared experiments says: the same data, users and luck for"
          + " all, tables with intervals, charts. Cells that are done in --out are not run again."
          + " Without a name, lists the experiments.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl experiment",
      "  unifiedrl experiment paper --quick --out runs/paper-quick",
      "  unifiedrl experiment ablation-bounds --seeds 10 --jobs 8 \\",
      "      --out runs/bounds",
      "  unifiedrl experiment tuning --method td3-bc --method unifiedrl \\",
      "      --data box --trials 9 --seeds 3 --out runs/tuning",
      "  unifiedrl experiment paper --tuned runs/tuning/tuned.yaml \\",
      "      --out runs/paper-tuned",
      "  unifiedrl experiment kuairand --environment kuairand:DIR \\",
      "      --out runs/kuairand"
    })
final class ExperimentCommand implements Callable<Integer> {

  private static final String IDENTITY = "experiment.json";
  private static final int MOST_SEEDS = 1000;
  private static final int MOST_TRIALS = 100_000;

  @Parameters(
      index = "0",
      arity = "0..1",
      paramLabel = "NAME",
      description = "Experiment; without one, all are listed.")
  String name;

  @Option(
      names = "--quick",
      description = "Small sizes and few seeds: whether it works, not what is true.")
  boolean quick;

  @Option(
      names = "--seeds",
      paramLabel = "N",
      description = "Number of seeds (default: the experiment's).")
  Integer seeds;

  @Option(
      names = "--method",
      paramLabel = "NAME",
      description =
          "Only this method and the one that lifts are relative to; repeatable (default: all). The"
              + " others can be added later, in the same folder.")
  List<String> methods;

  @Option(
      names = "--data",
      paramLabel = "NAME",
      description = "Methods learn only from this kind of data; repeatable (default: all).")
  List<String> data;

  @Option(
      names = "--tuned",
      paramLabel = "FILE",
      description =
          "Methods take the settings that 'experiment tuning' left in its tuned.yaml; those that"
              + " are not there, their defaults (default: all their defaults).")
  Path tuned;

  @Option(
      names = "--tuner",
      paramLabel = "NAME",
      description =
          "Only this tuner, where settings are tuned: random, halving (successive halving) or"
              + " bayesian; repeatable (default: the experiment's).")
  List<Tuner> tuners;

  @Option(
      names = "--trials",
      paramLabel = "N",
      description =
          "Trainings by each tuner, where settings are tuned (default: the experiment's).")
  Integer trials;

  @Option(
      names = "--tuning-seeds",
      paramLabel = "N",
      description = "Seeds of each of them (default: the experiment's).")
  Integer tuningSeeds;

  @Mixin StudyOptions common;
  @Mixin ConfigOptions options;
  @Spec CommandSpec spec;

  @Override
  public Integer call() {
    common.checkJson();
    if (name == null) {
      list(common.text());
      return 0;
    }
    if (trials != null) {
      StudyOptions.amount("--trials", trials, 1, MOST_TRIALS);
    }
    if (tuningSeeds != null) {
      StudyOptions.amount("--tuning-seeds", tuningSeeds, 1, MOST_SEEDS);
    }
    StudyDefinition study =
        StudyDefinition.of(name).narrowed(methods, data, tuners, trials, tuningSeeds);
    if (tuned != null && !study.tuned()) {
      throw new UsageException(
          "--tuned: only "
              + StudyDefinition.names().stream()
                  .filter(each -> StudyDefinition.of(each).tuned())
                  .collect(Collectors.joining(" and "))
              + " compare methods as they were tuned");
    }
    StudyDefinition.Tuned found =
        tuned == null ? StudyDefinition.Tuned.none() : StudyDefinition.Tuned.read(tuned);
    int count = StudyOptions.amount("--seeds", seeds, study.seeds().of(quick), MOST_SEEDS);
    int jobs = common.parallel();
    Path out = common.out;
    if (out == null) {
      throw new UsageException("experiment " + name + " needs --out DIR, a folder for its results");
    }
    StudyPlan plan = new StudyPlan(study, quick, options::apply, common.threads());
    List<Cell> cells = check(study, plan, found, count);
    checkFolder(study);
    List<StudyPlan.Chosen> chosen = List.of();
    List<CellResult> results;
    Map<String, ObjectNode> worlds;
    try (CellRunner runner = common.runner()) {
      runner.missing(cells.stream().filter(cell -> study.tune() == null).toList());
      Json.write(out.resolve(IDENTITY), identity(study));
      if (study.tune() != null) {
        chosen = plan.tune(trials -> runner.run(trials, jobs, true, common.listener()));
        writeTuned(StudyPlan.best(chosen), study.tune());
        cells = plan.cells(count, StudyPlan.byTuner(chosen));
      }
      runner.missing(cells);
      results = runner.run(cells, jobs, common.keepLogs, common.listener());
      worlds = worlds(study, plan, runner, cells);
      runner.clean(common.keepLogs);
    } catch (CellStore.OtherSettingsException e) {
      throw new UsageException(
          e.getMessage() + (study.tuned() ? " (--tuned changes settings too)" : ""), e);
    } catch (SearchBudgetException e) {
      throw new UsageException(e.getMessage(), e);
    }
    Comparison comparison =
        Comparison.of(
            cells, results, study.reference(), cells.get(0).config().evaluation().resamples());
    StudyReport report =
        new StudyReport(out, header(study, found, count, results), comparison, worlds, chosen);
    report.write();
    draw(report, study);
    PrintWriter text = common.text();
    text.print(report.markdown());
    text.println("Left in " + out);
    text.flush();
    common.writeJson(report.json());
    return 0;
  }

  private static void list(PrintWriter text) {
    for (String each : StudyDefinition.names()) {
      StudyDefinition study = StudyDefinition.of(each);
      text.printf(
          "%-16s %s%n%-16s   %s; --quick %s%n",
          each, study.title(), "", study.cost().full(), study.cost().quick());
    }
    text.flush();
  }

  /** The cells before any tuning: what is wrong with them is known before the work. */
  private List<Cell> check(
      StudyDefinition study, StudyPlan plan, StudyDefinition.Tuned found, int count) {
    List<Cell> cells;
    try {
      cells = plan.cells(count, found);
      plan.checkBudget();
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage(), e);
    }
    String needs = study.needs();
    if (needs != null && !cells.get(0).config().environment().startsWith(needs)) {
      throw new UsageException(
          "experiment " + name + " needs --environment " + needs + ":DIR, the folder of its files");
    }
    EngineAccess.requireEngine(cells.get(0).config().engineOptions());
    ConfigOptions.openUsers(cells.get(0).config());
    return cells;
  }

  /** Settings in the form that {@code --tuned} reads, with the command that found them. */
  private void writeTuned(StudyDefinition.Tuned best, StudyDefinition.Tune tune) {
    String head =
        "# Settings that tuning found, by method and kind of data, over those of common.yaml;"
            + " methods that are not here run with\n# their defaults. Best of "
            + tune.trials().of(quick)
            + " trainings by each tuner, "
            + tune.seeds().of(quick)
            + " tuning seeds, in "
            + tune.metric()
            + " of validation users. Made by: "
            + command()
            + "\n";
    Json.writeText(common.out.resolve("tuned.yaml"), head + Configuration.yaml((Object) best));
  }

  private ObjectNode identity(StudyDefinition study) {
    ObjectNode node = Json.object();
    node.put("experiment", name);
    node.put("quick", quick);
    if (study.tune() != null) { // what is tuned depends on the budget
      node.put("trials", study.tune().trials().of(quick));
      node.put("tuning_seeds", study.tune().seeds().of(quick));
      node.put("metric", study.tune().metric());
    }
    return node;
  }

  private static String budget(JsonNode identity) {
    return identity.has("trials")
        ? " --trials "
            + identity.path("trials").asInt()
            + " --tuning-seeds "
            + identity.path("tuning_seeds").asInt()
            + " by "
            + identity.path("metric").asText()
        : "";
  }

  /** A folder that holds something must be this experiment's. */
  private void checkFolder(StudyDefinition study) {
    Path out = common.out;
    Path file = out.resolve(IDENTITY);
    if (!Files.exists(file)) {
      RunFolder.plan(out, "");
      return;
    }
    try {
      JsonNode found = Json.MAPPER.readTree(Files.readString(file));
      if (!found.equals(identity(study))) {
        throw new UsageException(
            "--out "
                + out
                + " holds experiment "
                + found.path("experiment").asText()
                + (found.path("quick").asBoolean() ? " --quick" : "")
                + budget(found)
                + ", not "
                + name
                + (quick ? " --quick" : "")
                + budget(identity(study))
                + ": give another folder");
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + file + ": " + FileErrors.reason(e), e);
    }
  }

  /** What each world is, and what there is to gain in it, measured once. */
  private Map<String, ObjectNode> worlds(
      StudyDefinition study, StudyPlan plan, CellRunner runner, List<Cell> cells) {
    Map<String, ObjectNode> worlds = new LinkedHashMap<>();
    for (String world : plan.worlds()) {
      Cell first = cells.stream().filter(c -> c.world().equals(world)).findFirst().orElseThrow();
      ObjectNode node = Json.object();
      ObjectNode settings = node.putObject("settings");
      study.worlds().get(world).forEach(settings::set);
      Path file =
          common.out.resolve("headroom").resolve(world + "-" + first.rulerIdentity() + ".json");
      if (!Files.exists(file)) {
        ObjectNode measured = Json.object();
        runner.headroom(first.ruler()).ifPresent(h -> Results.putHeadroom(measured, h));
        Json.write(file, measured);
      }
      try {
        JsonNode headroom = Json.MAPPER.readTree(Files.readString(file)).path("headroom");
        if (headroom.isObject()) {
          node.set("headroom", headroom);
        }
      } catch (IOException e) {
        throw new UncheckedIOException("cannot read " + file + ": " + FileErrors.reason(e), e);
      }
      worlds.put(world, node);
    }
    return worlds;
  }

  private ObjectNode header(
      StudyDefinition study, StudyDefinition.Tuned found, int count, List<CellResult> results) {
    ObjectNode header = Json.object();
    header.put("name", name);
    header.put("title", study.title());
    header.put("question", study.question());
    header.put("command", command());
    header.put(
        "machine",
        Runtime.getRuntime().availableProcessors() + " processors of " + Machine.processor());
    counts(header.putObject("programs"), results, CellResult::program);
    counts(header.putObject("backends"), results, CellResult::backend);
    header.put("date", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
    LongStream.range(StudyPlan.REPORTED_SEED, StudyPlan.REPORTED_SEED + count)
        .forEach(header.putArray("seeds")::add);
    if (tuned != null) {
      header.set("tuned", Json.MAPPER.valueToTree(found.of(study).methods()));
    }
    return header;
  }

  /** How many cells have each of some names; those without one are left out. */
  private static void counts(
      ObjectNode node, List<CellResult> results, Function<CellResult, String> name) {
    results.stream()
        .map(name)
        .filter(text -> !text.isEmpty())
        .collect(Collectors.groupingBy(text -> text, TreeMap::new, Collectors.counting()))
        .forEach(node::put);
  }

  /** As a shell wants it. */
  static String quoted(String argument) {
    return argument.matches("[\\w./=,:+@%-]+")
        ? argument
        : "'" + argument.replace("'", "'\\''") + "'";
  }

  private String command() {
    return Stream.concat(
            Stream.of("./unifiedrl"),
            spec.root().commandLine().getParseResult().originalArgs().stream()
                .map(ExperimentCommand::quoted))
        .reduce((a, b) -> a + " " + b)
        .orElseThrow();
  }

  /** The tables are safe by now: charts that cannot be drawn are not worth losing them. */
  private void draw(StudyReport report, StudyDefinition study) {
    try {
      report.draw(study.allCharts());
    } catch (RuntimeException | Error e) { // a JVM without fonts or a desktop throws errors here
      spec.commandLine()
          .getErr()
          .println("unifiedrl: warning: no charts were drawn (" + FileErrors.message(e) + ")");
    }
  }
}
