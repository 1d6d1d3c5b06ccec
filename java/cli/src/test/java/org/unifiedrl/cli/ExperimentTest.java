package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.study.Cell;
import org.unifiedrl.mtf.study.Making;

class ExperimentTest {

  @TempDir Path temporary;

  /** Sizes at which an experiment's cells take a fraction of a second. */
  private Path tiny() throws IOException {
    return Files.writeString(
        temporary.resolve("tiny.yaml"),
        """
        backend: reference
        baseline:
          users: 5
          requests: 3000
          es:
            hidden: [4]
            pairs: 4
            users: 5
        exploration:
          users: 60
          held_out_users: 60
          lanes: 16
        evaluation:
          users: 100
          resamples: 100
          lanes: 16
          headroom: false
        training:
          steps: 12
          batch: 16
          hidden: [8]
          critics_per_group: 2
          cloning_steps: 5
        """);
  }

  private CommandLineRun run(Path out, String name, Object... more) throws IOException {
    List<Object> arguments =
        new ArrayList<>(
            List.of("experiment", name, "--quick", "--quiet", "--config", tiny(), "--out", out));
    arguments.addAll(List.of(more));
    return CommandLineRun.of(arguments.toArray());
  }

  @Test
  void listsTheExperimentsWithTheirCosts() {
    CommandLineRun run = CommandLineRun.of("experiment");
    assertThat(run.code()).isZero();
    for (String name : StudyDefinition.names()) {
      assertThat(run.out()).contains(name).contains(StudyDefinition.of(name).cost().full());
    }
  }

  static List<String> names() {
    return StudyDefinition.names();
  }

  /**
   * Every experiment's cells have settings that the configuration knows, and names of their own.
   */
  @ParameterizedTest
  @MethodSource("names")
  void everyExperimentIsSound(String name) {
    StudyDefinition study = StudyDefinition.of(name);
    for (boolean quick : List.of(false, true)) {
      StudyPlan plan = new StudyPlan(study, quick, configuration -> {}, 1);
      List<Cell> cells = plan.cells(2, StudyDefinition.Tuned.none());
      assertThat(cells).extracting(Cell::fileName).doesNotHaveDuplicates();
      assertThat(cells).extracting(Cell::method).contains(study.reference());
      assertThat(cells).extracting(Cell::world).containsAll(study.worldNames(quick));
      for (Cell cell : cells) {
        assertThat(cell.config().seed()).isEqualTo(cell.seed()).isBetween(1001L, 1002L);
        // Equal terms: what differs between methods of one world and seed is what they declare.
        assertThat(cell.config().evaluation()).isEqualTo(cell.ruler().evaluation());
        if (cell.making() != Making.BASELINE) {
          assertThat(cell.config().baseline()).isEqualTo(cell.ruler().baseline());
          assertThat(cell.config().exploration().users())
              .isEqualTo(cell.ruler().exploration().users());
          assertThat(cell.config().training().steps()).isEqualTo(cell.ruler().training().steps());
          assertThat(cell.config().training().hidden()).isEqualTo(cell.ruler().training().hidden());
        }
      }
      Stream<String> kinds = study.data() == null ? Stream.of() : study.data().keySet().stream();
      assertThat(cells).extracting(Cell::data).containsAll(kinds.toList());
    }
    assertThat(study.cost().quick()).isNotBlank();
    assertThat(study.question()).contains("?");
  }

  /** What is compared with settings of tuning was tuned, all by the same tuners and budget. */
  @Test
  void whereTunedSettingsCountEveryMethodThatCanBeTunedIs() {
    Set<String> tuned = StudyDefinition.of("tuning").resolvedMethods().keySet();
    for (String name : StudyDefinition.names()) {
      StudyDefinition study = StudyDefinition.of(name);
      if (study.tuned()) {
        study
            .resolvedMethods()
            .forEach(
                (method, declared) -> {
                  if (declared.space() != null) {
                    assertThat(tuned).contains(method);
                  }
                  if (declared.tunedAs() != null) {
                    assertThat(tuned).contains(declared.tunedAs());
                  }
                });
      }
    }
    assertThat(tuned).contains("unifiedrl", "enhancedrl", "cql");
  }

  /** A part of an experiment has the whole's cells, so that the rest can be added. */
  @Test
  void aPartHasTheCellsOfTheWhole() {
    StudyDefinition study = StudyDefinition.of("paper");
    List<Cell> all = new StudyPlan(study, true, c -> {}, 1).cells(2, StudyDefinition.Tuned.none());
    StudyDefinition part =
        study.narrowed(List.of("cql", "unifiedrl-ptm"), List.of("gaussian"), null, null, null);
    List<Cell> some = new StudyPlan(part, true, c -> {}, 1).cells(2, StudyDefinition.Tuned.none());
    // Progressive training has box data only.
    assertThat(some)
        .extracting(cell -> cell.method() + " " + cell.data() + " " + cell.seed())
        .containsExactly(
            "es " + Cell.NO_DATA + " 1001",
            "cql gaussian 1001",
            "es " + Cell.NO_DATA + " 1002",
            "cql gaussian 1002");
    assertThat(all).extracting(Cell::identity).containsAll(identities(some));
    assertThat(all).extracting(Cell::fileName).containsAll(fileNames(some));
  }

  /** What a report says but for the time at which it was written. */
  private static String tables(CommandLineRun run) {
    return run.out().substring(run.out().indexOf("## default"));
  }

  /** A command that a report shows can be typed again. */
  @Test
  void argumentsAreShownAsAShellTakesThem() {
    assertThat(ExperimentCommand.quoted("--set")).isEqualTo("--set");
    assertThat(ExperimentCommand.quoted("training.eta=0.1")).isEqualTo("training.eta=0.1");
    assertThat(ExperimentCommand.quoted("half-width 0.15")).isEqualTo("'half-width 0.15'");
    assertThat(ExperimentCommand.quoted("it's")).isEqualTo("'it'\\''s'");
    assertThat(ExperimentCommand.quoted("")).isEqualTo("''");
  }

  private static List<String> identities(List<Cell> cells) {
    return cells.stream().map(Cell::identity).toList();
  }

  private static List<String> fileNames(List<Cell> cells) {
    return cells.stream().map(Cell::fileName).toList();
  }

  @Test
  void aPartThatIsNotThereIsRefused() throws IOException {
    Path out = temporary.resolve("refused");
    CommandLineRun method = run(out, "paper", "--method", "es", "--method", "dqn");
    assertThat(method.code()).isEqualTo(2);
    assertThat(method.err()).contains("--method dqn: expected some of es, ");
    CommandLineRun data = run(out, "paper", "--data", "sobol");
    assertThat(data.code()).isEqualTo(2);
    assertThat(data.err()).contains("--data sobol: expected some of box, gaussian");
    CommandLineRun trials = run(out, "paper", "--trials", "9");
    assertThat(trials.code()).isEqualTo(2);
    assertThat(trials.err()).contains("this experiment tunes nothing");
    assertThat(run(out, "tuning", "--trials", "0").err()).contains("--trials is 0");
    CommandLineRun few = run(out, "tuning", "--trials", "6");
    assertThat(few.code()).isEqualTo(2);
    assertThat(few.err()).contains("--trials is 6: tuner bayesian needs 7");
    CommandLineRun tuner = run(out, "paper", "--tuner", "random");
    assertThat(tuner.code()).isEqualTo(2);
    assertThat(tuner.err()).contains("this experiment tunes nothing");
    assertThat(out).doesNotExist();
  }

  private CommandLineRun tuned(Path out, String experiment, String text) throws IOException {
    Path file = Files.writeString(temporary.resolve("given.yaml"), text);
    return run(out, experiment, "--seeds", "1", "--method", "ddpg", "--tuned", file.toString());
  }

  /** What tuning found is what methods run with, and what the report says that they ran with. */
  @Test
  void methodsTakeTheSettingsThatAreGiven() throws IOException {
    Path out = temporary.resolve("tuned");
    CommandLineRun run =
        tuned(out, "paper", "methods: {ddpg: {box: {training.target_rate: 0.25}}}");
    assertThat(run.code()).as(run.err()).isZero();
    assertThat(run.out())
        .contains("--tuned ")
        .contains("| ddpg | box | `training.target_rate=0.25` |");
    int found = 0;
    try (Stream<Path> cells = Files.list(out.resolve("cells"))) {
      for (Path cell : cells.filter(p -> p.toString().contains("--ddpg--")).toList()) {
        JsonNode node = Json.MAPPER.readTree(Files.readString(cell));
        boolean box = node.path("data").asText().equals("box");
        assertThat(node.at("/settings/config/training/target_rate").asDouble())
            .isEqualTo(box ? 0.25 : 0.08);
        found++;
      }
    }
    assertThat(found).isEqualTo(2);
    CommandLineRun without = run(out, "paper", "--seeds", "1", "--method", "ddpg");
    assertThat(without.code()).isEqualTo(2);
    assertThat(without.err()).contains("(--tuned changes settings too)");
  }

  /** In whatever form a number was written. */
  @Test
  void tuningStartsAtTheSettingsThatThereAre() {
    Configuration configuration = Configuration.of(ExperimentConfig.defaults());
    configuration.set("training.actor_rate=1e-5");
    configuration.set("training.algorithm=iql");
    List<JsonNode> counts = List.of(number("4"), number("12"), number("24"));
    assertThat(
            StudyPlan.start(
                configuration,
                Map.of(
                    "training.actor_rate",
                    new StudyDefinition.Range(1e-6, 1, true, null),
                    "training.critics_per_group",
                    new StudyDefinition.Range(0, 0, false, counts),
                    "training.eta",
                    new StudyDefinition.Range(0, 0, false, List.of(number("1"), number("12e-1"))),
                    "training.algorithm",
                    new StudyDefinition.Range(0, 0, false, List.of(number("IQL"))),
                    "training.omega",
                    new StudyDefinition.Range(0, 0, false, List.of(number("7"))))))
        .containsOnly(
            Map.entry("training.actor_rate", 1e-5),
            Map.entry("training.critics_per_group", counts.get(2)),
            Map.entry("training.eta", number("12e-1")),
            Map.entry("training.algorithm", number("IQL")));
  }

  private static JsonNode number(String text) {
    try {
      return Configuration.YAML.readTree(text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void tunedSettingsThatCannotBeMeantAreRefused() throws IOException {
    Path out = temporary.resolve("refused-tuned");
    assertThat(run(out, "paper", "--tuned", temporary.resolve("no.yaml").toString()).err())
        .contains("no.yaml: no such file; 'unifiedrl experiment tuning' leaves tuned.yaml");
    Map<String, String> bad =
        Map.ofEntries(
            Map.entry("methods: {dqn: {box: {training.eta: 1}}}", "method dqn: expected some of "),
            Map.entry("methods: {es: {box: {training.eta: 1}}}", "method es: expected some of "),
            Map.entry("methods: {ddpg: {bx: {training.eta: 1}}}", "data bx: expected some of box"),
            Map.entry("methods: {ddpg: {box: {training.eta: 1}}}", "setting training.eta: "),
            Map.entry("methods: {ddpg: {box: {seed: 1}}}", "ddpg: box: setting seed: expected"),
            Map.entry("methods: {ddpg: {box: {training.actor_rate: x}}}", "ddpg: box: "),
            Map.entry("methods: {ddpg: {box: {training.actor_rate: -1}}}", "ddpg: box: "),
            Map.entry("methods: {ddpg: {box: }}", "ddpg: box: setting is missing"),
            Map.entry("methods: {ddpg: }", "ddpg: data is missing"),
            Map.entry("methods: [ddpg]", "expected methods, then kinds of data"),
            Map.entry("settings: {training.eta: 1}", "expected methods, then kinds of data"),
            Map.entry("methods:", "method is missing"),
            Map.entry("~", "is empty"),
            Map.entry("", "expected methods, then kinds of data"));
    for (Map.Entry<String, String> each : bad.entrySet()) {
      CommandLineRun run = tuned(out, "paper", each.getKey());
      assertThat(run.code()).as(each.getKey() + run.err()).isEqualTo(2);
      assertThat(run.err()).contains("given.yaml").contains(each.getValue());
    }
    CommandLineRun other =
        run(out, "sensitivity", "--tuned", temporary.resolve("given.yaml").toString());
    assertThat(other.code()).isEqualTo(2);
    assertThat(other.err()).contains("only paper and dials compare methods as they were tuned");
    assertThat(out).doesNotExist();
  }

  @Test
  void cellsTakeTheThreadsThatTheCommandSays() {
    StudyDefinition study = StudyDefinition.of("paper");
    assertThat(new StudyPlan(study, true, c -> {}, 3).cells(1, StudyDefinition.Tuned.none()))
        .allMatch(cell -> cell.config().threads() == 3);
    assertThat(
            new StudyPlan(study, true, c -> c.put("threads", 5), 3)
                .cells(1, StudyDefinition.Tuned.none()))
        .allMatch(cell -> cell.config().threads() == 5);
  }

  @Test
  @Timeout(value = 20, unit = TimeUnit.MINUTES)
  void paperRunsToItsTablesAndContinues() throws IOException {
    Path out = temporary.resolve("paper");
    Path p = temporary.resolve("p.json");
    Object[] options = {"--seeds", "2", "--set", "evaluation.headroom=true", "--json", p};
    CommandLineRun run = run(out, "paper", options);
    assertThat(run.code()).as(run.err()).isZero();
    StudyDefinition study = StudyDefinition.of("paper");
    String report = Files.readString(out.resolve("report.md"));
    JsonNode json = Json.MAPPER.readTree(Files.readString(out.resolve("results.json")));
    assertThat(Json.MAPPER.readTree(Files.readString(p))).isEqualTo(json);
    for (String method : study.resolvedMethods().keySet()) {
      assertThat(report).contains("| " + method + " | ");
    }
    assertThat(report)
        .containsPattern("\\| headroom \\| .* \\| \\+[0-9.]+ .* \\| [+-][0-9.]+ .* \\|")
        .doesNotContain("not measured");
    assertThat(json.path("seeds")).hasSize(2);
    assertThat(json.path("command").asText()).startsWith("./unifiedrl experiment paper --quick");
    long rows = json.path("rows").size();
    assertThat(json.path("rows"))
        .allSatisfy(
            row -> {
              JsonNode lift = row.path("metrics").path("uvc_lift");
              assertThat(lift.path("seeds").asInt()).isEqualTo(2);
              assertThat(lift.path("low").asDouble())
                  .isLessThanOrEqualTo(lift.path("mean").asDouble());
              assertThat(row.path("seeds")).hasSize(2);
            });
    assertThat(Files.readAllLines(out.resolve("seeds.csv"))).hasSize((int) (2 * rows) + 1);
    assertThat(out.resolve("uvc-headroom.png")).isNotEmptyFile();
    assertThat(out.resolve("logs")).doesNotExist();
    assertThat(out.resolve("work")).doesNotExist();

    // Nothing is left to do: the same tables again, from the same cells.
    long before = Files.getLastModifiedTime(firstCell(out)).toMillis();
    CommandLineRun again = run(out, "paper", options);
    assertThat(again.code()).as(again.err()).isZero();
    assertThat(Files.getLastModifiedTime(firstCell(out)).toMillis()).isEqualTo(before);

    CommandLineRun other = run(out, "paper", "--seeds", "2", "--set", "training.eta=9");
    assertThat(other.code()).isEqualTo(2);
    assertThat(other.err()).contains("was run with other settings").contains("another folder");
    CommandLineRun another = run(out, "exploration");
    assertThat(another.code()).isEqualTo(2);
    assertThat(another.err()).contains("holds experiment paper --quick, not exploration --quick");
  }

  /** Methods in rounds, and logs whose guide the experiment makes. */
  @ParameterizedTest
  @ValueSource(strings = {"ablation-ptm", "exploration"})
  @Timeout(value = 20, unit = TimeUnit.MINUTES)
  void everyRowIsThere(String name) throws IOException {
    Path out = temporary.resolve(name);
    CommandLineRun run = run(out, name, "--seeds", "1");
    assertThat(run.code()).as(run.err()).isZero();
    StudyDefinition study = StudyDefinition.of(name);
    String report = Files.readString(out.resolve("report.md"));
    study.resolvedMethods().keySet().forEach(m -> assertThat(report).contains("| " + m + " | "));
    study.data().keySet().forEach(d -> assertThat(report).contains("| unifiedrl | " + d + " | "));
    assertThat(out.resolve("logs")).doesNotExist();
    assertThat(out.resolve("work")).doesNotExist();
  }

  @Test
  void progressiveTrainingTakesWhatTuningFoundForOneRound() {
    StudyDefinition.Tuned found =
        new StudyDefinition.Tuned(
            Map.of(
                "unifiedrl",
                Map.of("box", Map.of("training.eta", Json.MAPPER.getNodeFactory().numberNode(3)))));
    StudyPlan plan = new StudyPlan(StudyDefinition.of("paper"), true, configuration -> {}, 1);
    for (Cell cell : plan.cells(1, found)) {
      boolean box = cell.data().equals("box") && cell.method().matches("unifiedrl(-ptm)?");
      assertThat(cell.config().training().eta()).as(cell.fileName()).isEqualTo(box ? 3 : 1.2);
      if (cell.making() == Making.PROGRESSIVE) {
        assertThat(cell.data()).isEqualTo("box");
      }
    }
    assertThat(plan.cells(1, found)).extracting(Cell::making).contains(Making.PROGRESSIVE);
  }

  private static Path firstCell(Path out) throws IOException {
    try (Stream<Path> cells = Files.list(out.resolve("cells"))) {
      return cells.sorted().findFirst().orElseThrow();
    }
  }

  /** A process that is killed at some moment leaves cells that are whole, and the rest is run. */
  @Test
  @Timeout(value = 20, unit = TimeUnit.MINUTES)
  void anExperimentThatWasKilledContinuesToTheSameResult() throws Exception {
    Path whole = temporary.resolve("whole");
    Path killed = temporary.resolve("killed");
    assertThat(run(whole, "ablation-bounds", "--seeds", "2").code()).isZero();
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-opens",
                "java.base/jdk.internal.misc=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                "org.unifiedrl.cli.Main",
                "experiment",
                "ablation-bounds",
                "--quick",
                "--quiet",
                "--jobs",
                "1",
                "--seeds",
                "2",
                "--config",
                tiny().toString(),
                "--out",
                killed.toString())
            .redirectErrorStream(true)
            .redirectOutput(temporary.resolve("output.txt").toFile())
            .start();
    Path cells = killed.resolve("cells");
    while (process.isAlive() && (!Files.exists(cells) || cells.toFile().list().length < 3)) {
      Thread.sleep(1);
    }
    process.destroyForcibly();
    assertThat(process.waitFor()).as("ended by the kill").isEqualTo(128 + 9);
    assertThat(killed.resolve("results.csv")).doesNotExist();

    CommandLineRun rest = run(killed, "ablation-bounds", "--seeds", "2");
    assertThat(rest.code()).as(rest.err()).isZero();
    assertThat(Files.readString(killed.resolve("seeds.csv")))
        .isEqualTo(Files.readString(whole.resolve("seeds.csv")));
    assertThat(withoutTimes(killed)).isEqualTo(withoutTimes(whole));
  }

  private static List<String> withoutTimes(Path out) throws IOException {
    return Files.readAllLines(out.resolve("results.csv")).stream()
        .filter(line -> !line.contains("_seconds"))
        .toList();
  }

  @Test
  void wrongUseIsRefusedBeforeAnythingRuns() throws IOException {
    Path out = temporary.resolve("none");
    CommandLineRun unknown = run(out, "papre");
    assertThat(unknown.code()).isEqualTo(2);
    assertThat(unknown.err()).contains("unknown experiment 'papre'; did you mean 'paper'?");
    for (String seeds : List.of("0", "-1", "x")) {
      CommandLineRun bad = run(out, "paper", "--seeds", seeds);
      assertThat(bad.code()).isEqualTo(2);
      assertThat(bad.err()).contains("--seeds");
    }
    assertThat(run(out, "paper", "--jobs", "0").err()).contains("--jobs is 0: expected 1 to 1024");
    CommandLineRun needs = run(out, "kuairand");
    assertThat(needs.code()).isEqualTo(2);
    assertThat(needs.err()).contains("needs --environment kuairand:DIR");
    CommandLineRun nowhere = CommandLineRun.of("experiment", "paper", "--quick");
    assertThat(nowhere.code()).isEqualTo(2);
    assertThat(nowhere.err()).contains("needs --out DIR");
    assertThat(out).doesNotExist();
    Path used = Files.createDirectories(temporary.resolve("used"));
    Files.writeString(used.resolve("something"), "");
    CommandLineRun taken = run(used, "paper");
    assertThat(taken.code()).isEqualTo(2);
    assertThat(taken.err()).contains("holds something already");
  }

  @Test
  void aSearchThatItsBudgetEndsIsWrongUseAndNamesTheCell() throws IOException {
    CommandLineRun run =
        run(temporary.resolve("poor"), "ablation-bounds", "--set", "baseline.requests=10");
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("cell ").contains("baseline.requests");
  }

  @Test
  void tuningChoosesSettingsAndKeepsThem() throws IOException {
    Path out = temporary.resolve("tuning");
    CommandLineRun run = run(out, "tuning");
    assertThat(run.code()).as(run.err()).isZero();
    // A part in the folder of the whole; another budget has a folder of its own.
    CommandLineRun part = run(out, "tuning", "--method", "iql", "--data", "box");
    assertThat(part.code()).as(part.err()).isZero();
    assertThat(part.out()).contains("| iql, random | box |").doesNotContain("| unifiedrl");
    CommandLineRun other = run(out, "tuning", "--method", "iql", "--trials", "8");
    assertThat(other.code()).isEqualTo(2);
    assertThat(other.err())
        .contains("holds experiment tuning --quick --trials 7 --tuning-seeds 1 by returns");
    Path small = temporary.resolve("small");
    CommandLineRun less =
        run(
            small,
            "tuning",
            "--method",
            "iql",
            "--data",
            "box",
            "--tuner",
            "random",
            "--tuning-seeds",
            "2");
    assertThat(less.code()).as(less.err()).isZero();
    assertThat(less.out()).contains("| iql, random | box |").doesNotContain("bayesian");
    assertThat(Files.readString(small.resolve("tuned.yaml")))
        .contains("Best of 7 trainings by each tuner, 2 tuning seeds");
    assertThat(tables(run(out, "tuning"))).isEqualTo(tables(run)).contains("| unifiedrl, random");
    String tuned = Files.readString(out.resolve("tuned.yaml"));
    assertThat(tuned).startsWith("# Settings that tuning found").contains("Made by: ./unifiedrl");
    JsonNode chosen = Configuration.YAML.readTree(tuned).path("methods").path("unifiedrl");
    assertThat(chosen.path("box").path("training.eta").asDouble()).isBetween(0.1, 10.0);
    String report = Files.readString(out.resolve("report.md"));
    assertThat(report).contains("| unifiedrl, bayesian | box |").contains("| unifiedrl | box |");
    assertThat(report).contains("## What tuning chose");
    // No trial is of a reported seed, and all are on users of validation.
    try (Stream<Path> cells = Files.list(out.resolve("cells"))) {
      for (Path cell : cells.filter(p -> p.toString().contains("trial-of")).toList()) {
        JsonNode node = Json.MAPPER.readTree(Files.readString(cell));
        assertThat(node.path("seed").asLong()).isGreaterThanOrEqualTo(StudyPlan.TUNING_SEED);
        assertThat(node.at("/settings/config/evaluation/population").asText())
            .isEqualToIgnoringCase("validation");
      }
    }
  }
}
