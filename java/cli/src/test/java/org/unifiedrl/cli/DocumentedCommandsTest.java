package org.unifiedrl.cli;

import static java.util.Map.entry;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import picocli.CommandLine;

/**
 * Every command of the documentation: parsed as the command line parses it, and run by a shell, as
 * it stands or smaller, unless it is listed here with the reason.
 */
class DocumentedCommandsTest {

  private static final String LAUNCHER = "./unifiedrl ";

  /** Pages whose commands other tests run, which have what they need. */
  private static final Map<String, String> RUN_ELSEWHERE =
      Map.of(
          "docs/quickstart.md", "QuickstartTest",
          "docs/import.md", "QuickstartTest",
          "docs/kafka.md", "CollectTest, which has a broker");

  private static final String SMALL_TRAINING =
      " --set training.steps=20 --set training.critics_per_group=2 --set training.batch=32"
          + " --set training.hidden=[16]";
  private static final String SMALL_RUN =
      SMALL_TRAINING
          + " --set simulator.train_users=1200 --set exploration.users=150"
          + " --set exploration.held_out_users=150 --set evaluation.users=60"
          + " --set evaluation.resamples=100 --set evaluation.headroom=false"
          + " --set enhancedrl.critics_per_group=2";

  /** What is added to a command, by how it begins, so that it takes seconds. */
  private static final Map<String, String> SMALLER =
      Map.ofEntries(
          entry("./unifiedrl demo", SMALL_RUN),
          entry("./unifiedrl train ", SMALL_TRAINING),
          entry("./unifiedrl bench step ", " --repeats 1 --seconds 0.01 --critics 1"),
          entry("./unifiedrl sweep --over ", SMALL_RUN));

  private static final String HOURS = "experiments take hours; ExperimentTest runs them smaller";
  private static final String CUDA = "needs nvcc or a GPU; bench/gpu/run is what proves it there";
  private static final String MAVEN = "a build within a build; .ci/run and the release do it";

  /** Commands that are only parsed, by how they begin, and why. */
  private static final Map<String, String> NOT_RUN =
      Map.ofEntries(
          entry("./unifiedrl experiment paper", HOURS),
          entry("./unifiedrl experiment exploration", HOURS),
          entry("./unifiedrl experiment ablation-bounds", HOURS),
          entry("./unifiedrl experiment ablation-critics", HOURS),
          entry("./unifiedrl experiment sensitivity", HOURS),
          entry("./unifiedrl experiment tuning", HOURS),
          entry(
              "./unifiedrl demo --environment kuairand:DIR",
              "KuaiRand's files are not in the repository; QuickstartTest explores them"),
          entry("./unifiedrl progressive", "ProgressiveTest runs it smaller"),
          entry(
              "./unifiedrl sweep --over training.eta=0.1..10:log --out runs/eta",
              "docs/experiments.md has another, which is run"),
          entry("./unifiedrl setup", "installs packages; launcher/run tests it with others"),
          entry("./unifiedrl train --data runs/log --backend cuda", CUDA),
          entry("./unifiedrl train --data runs/log --out runs/cuda --backend cuda", CUDA),
          entry("./unifiedrl bench step --backend cuda", CUDA),
          entry("./mvnw -B verify", MAVEN),
          entry("./mvnw -B -pl java/examples", MAVEN),
          entry("./mvnw -B -Prelease", MAVEN),
          entry("./mvnw -B -Dunifiedrl.cuda=true", CUDA),
          entry("docker/build-runtime", "docker/test runs it"),
          entry("docker/test", "a step of the build, after the tests"),
          entry("cc -std=c99", "docker/test runs it"),
          entry("./step", "docker/test runs it"));

  @TempDir static Path shared;
  @TempDir Path temporary;

  static List<String> pages() throws IOException {
    return Documentation.pages();
  }

  static List<String> pagesToRun() throws IOException {
    List<String> pages = new ArrayList<>();
    for (String page : pages()) {
      boolean any = Documentation.commands(page).stream().anyMatch(c -> !isListed(c, NOT_RUN));
      if (any && !RUN_ELSEWHERE.containsKey(page)) {
        pages.add(page);
      }
    }
    return pages;
  }

  private static boolean isListed(String command, Map<String, String> list) {
    return list.keySet().stream().anyMatch(command::startsWith);
  }

  /** Runs that the commands of the pages speak of. */
  @BeforeAll
  static void prepare() throws Exception {
    Path runs = shared.resolve("runs");
    Path config = CommandLineRun.tinyConfiguration(shared, "steps: 20", "report: 10");
    Path example = shared.resolve("example");
    prepare("example", "--config", config, "--out", example);
    prepare(
        "import",
        example + "/*.parquet",
        "--mapping",
        example.resolve("mapping.yaml"),
        "--out",
        runs.resolve("log"));
    prepare(
        "train",
        "--config",
        config,
        "--data",
        runs.resolve("log"),
        "--out",
        runs.resolve("policy"));
    Map<String, String> settings =
        Map.of("seed-1", "seed=1", "seed-2", "seed=2", "gaussian", "exploration.kind=gaussian");
    for (Map.Entry<String, String> run : settings.entrySet()) {
      Path out = runs.resolve(run.getKey());
      prepare("demo", "--config", config, "--quiet", "--out", out, "--set", run.getValue());
    }
    new DocumentationShell(shared).run("cp -r runs/seed-1 runs/demo && cp -r runs/seed-1 runs/box");
  }

  private static void prepare(Object... arguments) {
    CommandLineRun run = CommandLineRun.of(arguments);
    assertThat(run.code()).as(run.err()).isZero();
  }

  /** All of the page's command lines of ours, in blocks of the shell or of no language. */
  private static List<String> ours(String page) throws IOException {
    List<String> all = new ArrayList<>(Documentation.commands(page));
    Documentation.blocks(page, "").forEach(all::addAll);
    return all.stream().filter(command -> command.startsWith(LAUNCHER)).toList();
  }

  @ParameterizedTest
  @MethodSource("pages")
  void everyCommandIsOneThatThereIs(String page) throws Exception {
    List<String> commands = ours(page);
    DocumentationShell shell = new DocumentationShell(temporary);
    shell.launcher("#!/bin/bash\nprintf '%s\\0' \"$@\"\necho\n");
    List<String> seen =
        commands.isEmpty() ? List.of() : shell.run(String.join("\n", commands)).lines().toList();
    assertThat(seen).hasSameSizeAs(commands);
    CommandLine commandLine = Main.commandLine();
    for (String line : seen) {
      String[] arguments = line.split("\0");
      if (arguments[0].equals("setup")) { // the launcher's
        assertThat(Documentation.text("unifiedrl"))
            .contains(arguments.length > 1 ? arguments[1] : "setup)");
        continue;
      }
      String command = String.join(" ", arguments);
      assertThatCode(() -> commandLine.parseArgs(arguments)).as(command).doesNotThrowAnyException();
      Configuration configuration = Configuration.of(ExperimentConfig.defaults());
      for (int i = 0; i + 1 < arguments.length; i++) {
        if (arguments[i].equals("--set")) {
          String setting = arguments[i + 1];
          assertThatCode(() -> configuration.set(setting)).as(command).doesNotThrowAnyException();
        }
        if (arguments[i].equals("--over")) {
          assertThat(ConfigKeys.describe(arguments[i + 1].replaceAll("=.*", ""))).isNotEmpty();
        }
      }
    }
  }

  /** In a sentence a command may be a part of one: its words and options must be there. */
  @ParameterizedTest
  @MethodSource("pages")
  void everyCommandInASentenceIsOneThatThereIs(String page) throws IOException {
    CommandLine all = Main.commandLine();
    for (String span : Documentation.spans(page)) {
      boolean isLaunched = span.startsWith(LAUNCHER);
      String[] words =
          span.replaceFirst("^\\./", "").replaceFirst("^unifiedrl ", "").split(" ", -1);
      CommandLine line = all;
      int next = 0;
      while (next < words.length && line.getSubcommands().containsKey(words[next])) {
        line = line.getSubcommands().get(words[next++]);
      }
      if (isLaunched && !words[0].matches("setup|build|\\.\\.\\.")) {
        assertThat(next).as(page + ": " + span).isPositive();
      }
      if (next > 0) {
        for (String word : words) {
          if (word.startsWith("--")) {
            String option = word.replaceFirst("=.*", "");
            assertThat(line.getCommandSpec().optionsMap())
                .as(page + ": " + span)
                .containsKey(option);
          }
        }
      }
    }
  }

  @Test
  void theListsNameWhatIsThere() throws IOException {
    Set<String> commands = new HashSet<>();
    for (String page : pages()) {
      commands.addAll(Documentation.commands(page));
    }
    Set<String> unused = new TreeSet<>();
    Stream.of(NOT_RUN, SMALLER).forEach(list -> unused.addAll(list.keySet()));
    unused.removeIf(prefix -> commands.stream().anyMatch(command -> command.startsWith(prefix)));
    assertThat(unused).as("in no page any more").isEmpty();
    assertThat(pages()).containsAll(RUN_ELSEWHERE.keySet());
  }

  @ParameterizedTest
  @MethodSource("pagesToRun")
  void whatIsNotListedWorks(String page) throws Exception {
    List<String> commands = new ArrayList<>(Documentation.commands(page));
    commands.removeIf(command -> isListed(command, NOT_RUN));
    DocumentationShell shell = new DocumentationShell(temporary);
    copyWhatThePageDoesNotMake(commands, shell);
    String port = freePort();
    String metricsPort = freePort();
    Process service = null;
    try {
      for (String documented : commands) {
        String command =
            documented
                .replace(":8080", ":" + port)
                .replace("--metrics-port 9400", "--metrics-port " + metricsPort)
                .replaceFirst("inspect DIR$", "inspect runs/policy")
                .replaceFirst(
                    "^curl ", "curl -sS --fail --retry 60 --retry-delay 1 --retry-connrefused ");
        for (Map.Entry<String, String> smaller : SMALLER.entrySet()) {
          command +=
              command.startsWith(smaller.getKey()) && !command.contains("--help")
                  ? smaller.getValue()
                  : "";
        }
        if (!command.startsWith("./unifiedrl serve ")) {
          if (command.contains("@request.json")) {
            request(shell, port);
          }
          shell.run(command);
          continue;
        }
        if (service != null) {
          shell.end(service, "service");
        }
        service = shell.start("exec " + command + " --port " + port, "service");
        shell.run(
            "curl -sS --fail --retry 60 --retry-delay 1 --retry-connrefused http://127.0.0.1:"
                + port
                + "/ready");
      }
      if (service != null) {
        shell.end(service, "service");
      }
    } finally {
      if (service != null) {
        service.destroyForcibly();
      }
    }
  }

  private static String freePort() throws IOException {
    try (ServerSocket free = new ServerSocket(0)) {
      return Integer.toString(free.getLocalPort());
    }
  }

  private static void copyWhatThePageDoesNotMake(List<String> commands, DocumentationShell shell)
      throws Exception {
    Files.createDirectory(shell.folder().resolve("runs"));
    try (Stream<Path> runs = Files.list(shared.resolve("runs"))) {
      for (Path run : runs.toList()) {
        Pattern makes = Pattern.compile("--out runs/" + run.getFileName() + "( |$)");
        if (commands.stream().noneMatch(command -> makes.matcher(command).find())) {
          shell.run("cp -r '" + run + "' runs/");
        }
      }
    }
    if (commands.stream().anyMatch(command -> command.contains("--model policy.safetensors"))) {
      shell.run(
          "./unifiedrl export --policy runs/policy --out made && cp made/policy.safetensors .");
    }
  }

  /** A request with the names and numbers that the service says it wants. */
  private static void request(DocumentationShell shell, String port) throws Exception {
    JsonNode model =
        Json.MAPPER.readTree(shell.run("curl -sS --fail http://127.0.0.1:" + port + "/v1/model"));
    ObjectNode request = Json.object().put("request_id", 17).put("user", 5).put("k", 2);
    model.path("state_names").forEach(name -> request.withArray("features").add(0.1));
    for (JsonNode name : model.path("score_names")) {
      request.withObject("candidates").putArray(name.asText()).add(0.9).add(0.4).addNull();
    }
    Json.write(shell.folder().resolve("request.json"), request);
  }
}
