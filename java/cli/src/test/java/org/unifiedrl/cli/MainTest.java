package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {

  @TempDir Path temporary;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "demo",
        "explore",
        "train",
        "evaluate",
        "compare",
        "inspect",
        "config",
        "doctor",
        "bench step"
      })
  void everyCommandHasHelpWithExamples(String command) {
    CommandLineRun run = CommandLineRun.of((Object[]) (command + " --help").split(" "));
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains("Usage: unifiedrl " + command, "Examples:", "unifiedrl " + command, "Exit codes:")
        .contains("--seed", "--out", "--json", "--verbose");
    String examples = run.out().replaceAll("(?s).*Examples:\\R|\\RExit codes:.*", "");
    assertThat(examples.lines().filter(line -> !line.isBlank()))
        .as("not wrapped at 80 columns: they can be copied")
        .allMatch(line -> line.startsWith("  unifiedrl ") || line.startsWith("      --"));
  }

  @Test
  void helpNamesAllCommands() {
    CommandLineRun run = CommandLineRun.of("--help");
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .contains(
            "demo",
            "explore",
            "train",
            "evaluate",
            "compare",
            "inspect",
            "config",
            "doctor",
            "bench")
        .contains("./unifiedrl setup", "./unifiedrl build", "UNIFIEDRL_JAVA_OPTIONS");
  }

  @Test
  void noCommandIsWrongUse() {
    assertThat(CommandLineRun.of().code()).isEqualTo(2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"frobnicate", "demo --nonsense", "train", "demo --seed abc", "inspect"})
  void wrongUseExitsWith2(String arguments) {
    CommandLineRun run = CommandLineRun.of((Object[]) arguments.split(" "));
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).isNotBlank().doesNotContain("\tat ");
  }

  @Test
  void misspeltKeySuggestsTheRightOne() throws IOException {
    Path file = Files.writeString(temporary.resolve("c.yaml"), "training:\n  bacth: 64\n");
    CommandLineRun run = CommandLineRun.of("demo", "--config", file);
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err())
        .contains("unknown key 'training.bacth'", "did you mean 'training.batch'?")
        .contains(file.toString());
  }

  @Test
  void misspeltGroupOnTheCommandLineSuggestsTheRightOne() {
    CommandLineRun run = CommandLineRun.of("demo", "--set", "trainning.steps=3");
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("did you mean 'training'?");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "training.steps=-1",
        "training.batch=0",
        "training.steps=many",
        "training.discount=1.5",
        "training.penalty_form=round",
        "training=3",
        "threads=-2",
        "exploration.half_width=0",
        "training.group_weights=[1]",
        "=3",
        "training.steps",
        "training.group_weights=[-1, 1]",
        "training.group_weights=[0, 0]",
        "training.hidden=[]",
        "training.eta=.inf",
        "exploration.half_width=1e-9",
        "exploration.lower_bounds=[0.1]",
        "exploration.upper_bounds=[0.1, 0.2]",
        "baseline.elite=99",
        "baseline.generations=0",
        "evaluation.population=nobody",
        "evaluation.bandwidth=-1",
        "evaluation.reward_constant=-1",
        "simulator.reliability=-1",
        "simulator.page_size=0",
        "simulator.candidates=65",
        "simulator.satisfaction_rate=2",
        "evaluation.headroom=7"
      })
  void valuesOutOfRangeExitWith2(String setting) {
    CommandLineRun run =
        CommandLineRun.of("demo", "--out", temporary.resolve("run"), "--set", setting);
    assertThat(run.code()).as(run.err()).isEqualTo(2);
    assertThat(run.err()).doesNotContain("\tat ");
    String key = setting.replaceAll("=.*", "");
    assertThat(run.err()).contains(key.substring(key.lastIndexOf('.') + 1));
  }

  @Test
  void brokenYamlNamesItsLine() throws IOException {
    Path file = Files.writeString(temporary.resolve("c.yaml"), "seed: 1\ntraining: [\n");
    CommandLineRun run = CommandLineRun.of("demo", "--config", file);
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("not valid YAML", "line ");
  }

  @Test
  void missingDataFolderExitsWith2() {
    CommandLineRun run =
        CommandLineRun.of("demo", "--environment", "kuairand:" + temporary.resolve("nowhere"));
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("there is no folder", "nowhere", "log_standard_");
  }

  @Test
  void unknownEnvironmentExitsWith2() {
    CommandLineRun run = CommandLineRun.of("demo", "--environment", "moon");
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("unknown environment 'moon'", "simulator", "kuairand:DIR");
  }

  @Test
  void unknownBackEndExitsWith2AndSuggests() {
    CommandLineRun run = CommandLineRun.of("demo", "--backend", "cpuu");
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("unknown back end 'cpuu'", "did you mean 'cpu'?", "reference");
  }

  @Test
  void folderInUseIsNotOverwritten() throws IOException {
    Files.writeString(temporary.resolve("precious"), "");
    CommandLineRun run = CommandLineRun.of("explore", "--out", temporary);
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("holds something already");
  }

  @Test
  void folderOfNoRunExitsWith2() {
    assertThat(CommandLineRun.of("train", "--data", temporary).err()).contains("not a run folder");
    assertThat(CommandLineRun.of("compare", "--policy", temporary).code()).isEqualTo(2);
    assertThat(CommandLineRun.of("inspect", temporary.resolve("gone")).code()).isEqualTo(2);
  }

  @Test
  void foreignShardFailsWithAMessage() throws IOException {
    Path file = Files.writeString(temporary.resolve("shard-00000.arrow"), "not an Arrow file");
    CommandLineRun run = CommandLineRun.of("inspect", file);
    assertThat(run.code()).isEqualTo(1);
    assertThat(run.err()).contains(file.toString()).doesNotContain("\tat ");
    assertThat(CommandLineRun.of("inspect", file, "--verbose").err()).contains("\tat ");
  }

  @Test
  void doctorFindsTheEngineWorking() throws IOException {
    Path json = temporary.resolve("doctor.json");
    CommandLineRun run = CommandLineRun.of("doctor", "--json", json);
    assertThat(run.code()).as(run.out()).isZero();
    assertThat(run.out()).contains("The engine works here.", "glibc 2.", "MiB available");
    JsonNode result = Json.MAPPER.readTree(json.toFile());
    assertThat(result.path("works").asBoolean()).isTrue();
    assertThat(result.path("missing").isArray()).isTrue();
    assertThat(result.path("disk_free_mib").asDouble()).isPositive();
  }
}
