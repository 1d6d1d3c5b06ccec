package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unifiedrl.engine.Backends;
import org.unifiedrl.engine.Device;

class MainTest {

  @TempDir Path temporary;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "demo",
        "progressive",
        "explore",
        "train",
        "evaluate",
        "compare",
        "export",
        "serve",
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
            "progressive",
            "explore",
            "train",
            "evaluate",
            "compare",
            "export",
            "serve",
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
        "baseline.levels=1",
        "baseline.requests=-1",
        "baseline.seconds=-1",
        "baseline.kind=grid",
        "evaluation.population=nobody",
        "evaluation.bandwidth=-1",
        "evaluation.reward_constant=-1",
        "evaluation.estimators=[magic]",
        "evaluation.fitted_q.members=2",
        "evaluation.weight_cap=-1",
        "evaluation.estimators=[dm, dm]",
        "evaluation.estimators=dm",
        "evaluation.switch_threshold=-1",
        "evaluation.model_folds=1",
        "evaluation.model_penalty=0",
        "simulator.reliability=-1",
        "simulator.page_size=0",
        "simulator.candidates=65",
        "simulator.satisfaction_rate=2",
        "evaluation.headroom=7",
        "engine.device=-1",
        "engine.precision=fp16",
        "engine.replay=disk"
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

  @ParameterizedTest
  @ValueSource(strings = {"demo", "bench step"})
  void optionsOfTheDeviceExitWith2AndNameTheChoices(String command) {
    assertThat(refused(command + " --precision fp16", 2))
        .contains("'--precision'", "expected one of fp32, tf32, bf16, found 'fp16'");
    assertThat(refused(command + " --precision bf61", 2)).contains("did you mean 'bf16'?");
    assertThat(refused(command + " --replay disk", 2))
        .contains("'--replay'", "expected one of auto, resident, streamed, found 'disk'");
    assertThat(refused(command + " --device -1", 2)).contains("device is -1", "0 (the first)");
    assertThat(refused(command + " --device first", 2)).contains("--device", "first");
    assertThat(refused(command + " --backend check:cpu", 2)).contains("expected check:A,B");
    assertThat(refused(command + " --backend cudda", 2)).contains("did you mean 'cuda'?");
  }

  /** Before anything runs: no folder, no log, no random data. */
  @ParameterizedTest
  @ValueSource(strings = {"demo", "bench step"})
  void whatTheBackEndCannotDoEndsTheCommandAtItsStart(String command) {
    Path out = temporary.resolve("run");
    String cpu = command + " --backend cpu --out " + out;
    assertThat(refused(cpu + " --precision TF32", 1)).contains("tf32", "'cpu' has only fp32");
    assertThat(refused(cpu + " --device 1", 1)).contains("device is 1", "'cpu'");
    assertThat(out).doesNotExist();
  }

  /** A build without the library; where there is one, a device may be there too. */
  @Test
  void withoutACudaLibraryAskingForItFailsWithTheReasonInOneMessage() {
    assumeThat(Backends.list())
        .filteredOn(device -> device.name().equals("cuda"))
        .noneMatch(Device::available);
    Path out = temporary.resolve("run");
    for (String command : new String[] {"demo", "bench step"}) {
      String error = refused(command + " --backend cuda --out " + out, 1);
      assertThat(error).contains("back end 'cuda' cannot work here: ");
      assertThat(error.lines().filter(line -> line.startsWith("unifiedrl: "))).hasSize(1);
      assertThat(refused(command + " --backend check:cpu,cuda --out " + out, 1)).contains("'cuda'");
    }
    assertThat(out).doesNotExist();
    // A policy of another machine can be judged here, and its settings printed.
    CommandLineRun config = CommandLineRun.of("config", "--backend", "cuda", "--precision", "bf16");
    assertThat(config.code()).as(config.err()).isZero();
    assertThat(config.out()).contains("backend: cuda", "  precision: bf16 ", "  replay: auto ");
  }

  private static String refused(String arguments, int code) {
    CommandLineRun run = CommandLineRun.of((Object[]) arguments.split(" "));
    assertThat(run.code()).as(run.err()).isEqualTo(code);
    assertThat(run.err()).isNotBlank().doesNotContain("\tat ");
    return run.err();
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
    JsonNode cuda = null;
    for (JsonNode backend : result.path("backends")) {
      assertThat(run.out()).contains(backend.path("name").asText() + ": ");
      assertThat(run.out()).contains("(score " + backend.path("score").asInt() + ")");
      assertThat(run.out()).contains(backend.path("description").asText());
      assertThat(backend.path("available").asBoolean())
          .isEqualTo(backend.path("score").asInt() > 0);
      cuda = backend.path("name").asText().equals("cuda") ? backend : cuda;
    }
    assertThat(cuda).isNotNull();
    assertThat(cuda.path("library").asText()).contains("libunifiedrl_cuda.so");
    assertThat(run.out()).contains("library      cuda: " + cuda.path("library").asText());
    if (cuda.path("score").asInt() == 0) {
      assertThat(run.out()).contains("cuda: cannot work here (score 0): ");
    }
    assertThat(run.out()).containsPattern("nvcc +(/|not found)");
  }
}
