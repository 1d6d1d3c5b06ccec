package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What commands leave in folders, and what they leave alone when they refuse. */
class FolderTest {

  @TempDir static Path shared;
  @TempDir Path temporary;

  private static Path log;
  private static Path policy;

  @BeforeAll
  static void train() {
    Path config =
        CommandLineRun.tinyConfiguration(shared, "steps: 20", "checkpoint: 10", "report: 5");
    log = shared.resolve("log");
    policy = shared.resolve("policy");
    CommandLineRun explore =
        CommandLineRun.of("explore", "--quiet", "--config", config, "--out", log);
    assertThat(explore.code()).as(explore.err()).isZero();
    CommandLineRun train = CommandLineRun.of("train", "--quiet", "--data", log, "--out", policy);
    assertThat(train.code()).as(train.err()).isZero();
  }

  @ParameterizedTest
  @ValueSource(strings = {"training.steps=15", "training.eta=0.5", "seed=9", "training.batch=8"})
  void refusedResumeLeavesTheFolderAsItWas(String setting) throws IOException {
    Map<String, String> before = contents(policy);
    CommandLineRun run =
        CommandLineRun.of(
            "train", "--quiet", "--data", log, "--out", policy, "--resume", "--set", setting);
    assertThat(run.code()).isNotZero();
    assertThat(run.err()).contains(setting.replaceAll("=.*|.*[.]", ""));
    assertThat(contents(policy)).isEqualTo(before);
  }

  @Test
  void resumeWithoutACheckpointLeavesTheFolderAsItWas() throws IOException {
    Path folder = temporary.resolve("run");
    Files.createDirectory(folder);
    for (String file : new String[] {"config.yaml", "baseline.json", "metrics.jsonl"}) {
      Files.copy(policy.resolve(file), folder.resolve(file));
    }
    Map<String, String> before = contents(folder);
    CommandLineRun run =
        CommandLineRun.of("train", "--quiet", "--data", log, "--out", folder, "--resume");
    assertThat(run.code()).isNotZero();
    assertThat(contents(folder)).isEqualTo(before);
  }

  @Test
  void resumeOfAMissingFolderIsWrongUseAndCreatesNothing() {
    Path gone = temporary.resolve("gone");
    CommandLineRun run = CommandLineRun.of("train", "--data", log, "--out", gone, "--resume");
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("no such folder");
    assertThat(gone).doesNotExist();
  }

  @Test
  void refusedCommandLeavesNoFolderAndCanBeRepeated() throws IOException {
    Path out = temporary.resolve("a/b");
    Path broken = temporary.resolve("broken");
    copy(log, broken);
    Files.delete(broken.resolve("baseline.json"));
    CommandLineRun first = CommandLineRun.of("train", "--quiet", "--data", broken, "--out", out);
    assertThat(first.code()).isEqualTo(2);
    assertThat(first.err()).contains("baseline.json", "there is no such file");
    assertThat(temporary.resolve("a")).doesNotExist();
    Files.copy(log.resolve("baseline.json"), broken.resolve("baseline.json"));
    CommandLineRun second = CommandLineRun.of("train", "--quiet", "--data", broken, "--out", out);
    assertThat(second.code()).as(second.err()).isZero();
  }

  /** What a search needs is known only once it ran: the folder waits, and the message says it. */
  @Test
  void aSearchWithoutTheBudgetOfItsFirstRoundLeavesNoFolderAndSaysWhatWouldDo() throws IOException {
    Path out = temporary.resolve("searched");
    CommandLineRun few = search(out, "baseline.generations=1");
    assertThat(few.code()).isEqualTo(2);
    assertThat(few.err())
        .contains(
            "baseline.kind cma_es",
            "baseline.population * baseline.generations (evaluations) is 4 and must be 10 or more")
        .doesNotContain("\tat ");
    assertThat(out).doesNotExist();

    CommandLineRun poor = search(out, "baseline.generations=3", "baseline.requests=100");
    assertThat(poor.code()).isEqualTo(2);
    Matcher least =
        Pattern.compile("baseline.requests is 100 and must be (\\d+) or more").matcher(poor.err());
    assertThat(least.find()).as(poor.err()).isTrue();
    assertThat(out).doesNotExist();

    CommandLineRun slow = search(out, "baseline.generations=3", "baseline.seconds=1e-6");
    assertThat(slow.code()).isEqualTo(2);
    assertThat(slow.err()).contains("baseline.seconds is 1.0E-6 and must be about ");
    assertThat(out).doesNotExist();

    CommandLineRun enough =
        search(out, "baseline.generations=3", "baseline.requests=" + least.group(1));
    assertThat(enough.code()).as(enough.err()).isZero();
    assertThat(Json.MAPPER.readTree(out.resolve("baseline.json").toFile()).path("action"))
        .hasSize(10);
    assertThat(Files.readString(out.resolve("config.yaml"))).contains("kind: cma_es");
  }

  private CommandLineRun search(Path out, String... settings) {
    Stream<String> common =
        Stream.of("baseline.kind=cma-es", "baseline.population=4", "baseline.elite=2");
    Stream<String> users = Stream.of("baseline.users=20", "exploration.users=50");
    return CommandLineRun.of(
        Stream.concat(
                Stream.of(
                    "explore", "--quiet", "--out", out, "--config", shared.resolve("tiny.yaml")),
                Stream.of(common, users, Stream.of(settings))
                    .flatMap(s -> s)
                    .flatMap(setting -> Stream.of("--set", setting)))
            .toArray());
  }

  @ParameterizedTest
  @ValueSource(strings = {"thompson", "ucb", "rnd"})
  void guidedExplorationTakesTheCriticsOrTheLogOfAnotherRun(String kind) throws IOException {
    Path out = temporary.resolve(kind);
    boolean byLog = kind.equals("rnd");
    CommandLineRun wrong = guided(out, kind, byLog ? policy : log);
    assertThat(wrong.code()).isEqualTo(2);
    assertThat(wrong.err())
        .contains("exploration.guide.run: there is no folder", byLog ? "shards" : "checkpoints");
    assertThat(out).doesNotExist();
    CommandLineRun right = guided(out, kind, byLog ? log : policy);
    assertThat(right.code()).as(right.err()).isZero();
    assertThat(CommandLineRun.of("inspect", out.resolve("shards/train")).out())
        .contains("actions outside their box: 0");
  }

  private CommandLineRun guided(Path out, String kind, Path run) {
    return CommandLineRun.of(
        "explore",
        "--quiet",
        "--out",
        out,
        "--config",
        shared.resolve("tiny.yaml"),
        "--set",
        "exploration.kind=" + kind,
        "--set",
        "exploration.guide={run: " + run + ", candidates: 4, steps: 50}");
  }

  @Test
  void folderWithoutALogOrAPolicyIsNamed() {
    Path out = temporary.resolve("out");
    for (String command : new String[] {"train", "evaluate"}) {
      CommandLineRun run =
          command.equals("train")
              ? CommandLineRun.of("train", "--data", policy, "--out", out)
              : CommandLineRun.of("evaluate", "--policy", policy, "--data", policy, "--out", out);
      assertThat(run.code()).isEqualTo(2);
      assertThat(run.err()).contains(policy + " holds no log; give the folder of explore or demo");
    }
    CommandLineRun compare = CommandLineRun.of("compare", "--policy", log, "--out", out);
    assertThat(compare.code()).isEqualTo(2);
    assertThat(compare.err()).contains(log + " holds no policy; give the folder of train or demo");
    assertThat(out).doesNotExist();
  }

  @Test
  void inspectDescribesARunFolder() throws IOException {
    Path json = temporary.resolve("inspected.json");
    CommandLineRun run = CommandLineRun.of("inspect", log, "--json", json);
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode result = Json.MAPPER.readTree(json.toFile());
    assertThat(result.path("kind").asText()).isEqualTo("run");
    assertThat(result.path("train").path("rows").asLong()).isPositive();
    assertThat(result.path("held_out").path("rows").asLong()).isPositive();
    CommandLineRun trained = CommandLineRun.of("inspect", policy);
    assertThat(trained.code()).as(trained.err()).isZero();
    assertThat(trained.out()).contains("environment simulator", "step 20");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "demo",
        "progressive",
        "explore",
        "train",
        "evaluate",
        "compare",
        "inspect",
        "config",
        "doctor",
        "bench step"
      })
  void jsonOnTheStandardOutputIsNothingButJson(String command) throws IOException {
    String out = temporary.resolve("out").toString();
    String[] arguments =
        switch (command) {
          case "demo", "progressive", "explore" ->
              new String[] {"--quiet", "--out", out, "--config", shared.resolve("tiny.yaml") + ""};
          case "train" -> new String[] {"--quiet", "--out", out, "--data", log + ""};
          case "evaluate" ->
              new String[] {"--quiet", "--out", out, "--data", log + "", "--policy", policy + ""};
          case "compare" -> new String[] {"--quiet", "--out", out, "--policy", policy + ""};
          case "inspect" -> new String[] {"--out", out, log + ""};
          case "bench step" ->
              ("--batch 8 --hidden 8 --state 4 --critics 2 --seconds 0.01 --repeats 1 --out " + out)
                  .split(" ");
          default -> new String[] {"--out", out};
        };
    CommandLineRun run =
        CommandLineRun.of(
            Stream.of(command.split(" "), arguments, new String[] {"--json", "-"})
                .flatMap(Arrays::stream)
                .toArray());
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode printed = Json.MAPPER.readTree(run.out());
    assertThat(printed.isObject()).isTrue();
    assertThat(run.err()).as("text goes there").isNotBlank();
    assertThat(Json.MAPPER.readTree(Path.of(out, "result.json").toFile())).isEqualTo(printed);
  }

  @Test
  void demoWithoutAChartKeepsItsResult() throws IOException {
    Path folder = temporary.resolve("demo");
    StringWriter err = new StringWriter();
    PrintWriter out =
        new PrintWriter(new StringWriter()) {
          @Override
          public void println(String line) {
            if (line.startsWith("Left in ")) { // the chart's place is taken before it is drawn
              assertThat(folder.resolve("result.json")).exists();
              assertThat(folder.resolve("chart.png").toFile().mkdirs()).isTrue();
            }
          }
        };
    int code =
        Main.run(
            out,
            new PrintWriter(err),
            "demo",
            "--quiet",
            "--out",
            folder.toString(),
            "--config",
            shared.resolve("tiny.yaml").toString());
    assertThat(code).as(err.toString()).isZero();
    assertThat(err.toString()).contains("warning: no chart was drawn").doesNotContain("\tat ");
    assertThat(Json.MAPPER.readTree(folder.resolve("result.json").toFile()).has("uvc_lift"))
        .isTrue();
  }

  @Test
  void placesThatCannotBeWrittenAreRefusedBeforeTheWork() throws IOException {
    Path file = Files.writeString(temporary.resolve("file"), "");
    Path under = file.resolve("below");
    CommandLineRun json = CommandLineRun.of("demo", "--json", under);
    assertThat(json.code()).isEqualTo(2);
    assertThat(json.err())
        .contains("--json " + under + " cannot be written", "a file is in the way");
    CommandLineRun folder = CommandLineRun.of("doctor", "--json", temporary);
    assertThat(folder.code()).isEqualTo(2);
    assertThat(folder.err()).contains("is a folder");
    CommandLineRun out = CommandLineRun.of("explore", "--out", under);
    assertThat(out.code()).isEqualTo(2);
    assertThat(out.err()).contains("--out " + under + " cannot be used: a file is in the way");
    CommandLineRun system = CommandLineRun.of("explore", "--out", "/proc/unifiedrl");
    assertThat(system.code()).isEqualTo(2);
    assertThat(system.err()).contains("--out /proc/unifiedrl cannot be used: ");
  }

  @Test
  void relativeDataFolderIsStoredAbsolute() {
    assertThat(ConfigOptions.folder("simulator")).isEmpty();
    Configuration configuration =
        Configuration.of(org.unifiedrl.mtf.experiment.ExperimentConfig.defaults());
    configuration.set("environment=kuairand:data/../x");
    configuration.absoluteFolder("kuairand:");
    assertThat(ConfigOptions.folder(configuration.get().environment()))
        .contains(Path.of("x").toAbsolutePath());
  }

  private static Map<String, String> contents(Path folder) throws IOException {
    Map<String, String> contents = new TreeMap<>();
    try (Stream<Path> tree = Files.walk(folder)) {
      for (Path path : tree.toList()) {
        String text = Files.isDirectory(path) ? "" : Arrays.toString(Files.readAllBytes(path));
        contents.put(path.toString(), text + Files.getLastModifiedTime(path));
      }
    }
    return contents;
  }

  static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> tree = Files.walk(from)) {
      for (Path path : tree.toList()) {
        Files.copy(path, to.resolve(from.relativize(path)));
      }
    }
  }
}
