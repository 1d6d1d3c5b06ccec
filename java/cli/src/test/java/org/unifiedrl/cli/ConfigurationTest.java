package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.ExperimentConfig.BaselineKind;

class ConfigurationTest {

  @TempDir Path temporary;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "exploration.kind=gausian | 'exploration.kind': expected one of uniform, gaussian, truncated_gaussian,"
            + " sobol, ornstein_uhlenbeck, thompson, ucb, rnd, parameter_noise, found 'gausian'; did you mean 'gaussian'?",
        "training.steps=many | 'training.steps': expected a whole number, found 'many'",
        "training.steps= | 'training.steps': expected a whole number, found nothing",
        "training.steps=1.5 | 'training.steps': expected a whole number, found 1.5",
        "training.batch=3e9 | 'training.batch': expected a whole number of at most 2147483647",
        "training.hidden=64 | 'training.hidden': expected a list, as [1, 2], found 64",
        "training.hidden=[64, x] | 'training.hidden': expected a whole number, found 'x'",
        "seed=null | 'seed': expected a whole number, found nothing",
        "training.eta=big | 'training.eta': expected a number, found 'big'",
        "environment= | 'environment': expected text, found nothing",
      })
  void wrongTypesSayWhatWasExpected(String setting, String message) {
    Configuration configuration = Configuration.of(ExperimentConfig.defaults());
    configuration.set(setting);
    assertThatThrownBy(configuration::get)
        .isInstanceOf(UsageException.class)
        .message()
        .contains(message.strip())
        .doesNotContain("java.", "org.unifiedrl", "deserialize");
  }

  @Test
  void wholeNumbersMayBeWrittenWithAnExponent() {
    Configuration configuration = Configuration.of(ExperimentConfig.defaults());
    configuration.set("training.steps=1e3");
    configuration.set("training.batch=64.0");
    configuration.set("training.actor_rate=1e-4");
    ExperimentConfig.Training training = configuration.get().training();
    assertThat(training.steps()).isEqualTo(1000);
    assertThat(training.batch()).isEqualTo(64);
    assertThat(training.actorRate()).isEqualTo(1e-4);
  }

  @Test
  void namesMayBeWrittenWithHyphens() {
    for (String name : new String[] {"cma-es", "cma_es", "CMA-ES"}) {
      Configuration configuration = Configuration.of(ExperimentConfig.defaults());
      configuration.set("baseline.kind=" + name);
      assertThat(configuration.get().baseline().kind()).isEqualTo(BaselineKind.CMA_ES);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "training.hidden=[] | hidden",
        "training.group_weights=[-1, 1] | group_weights",
        "training.group_weights=[0, 0] | group_weights",
      })
  void coefficientsAreCheckedBeforeAnythingRuns(String setting, String key) {
    Path out = temporary.resolve("run");
    CommandLineRun run = CommandLineRun.of("demo", "--out", out, "--set", setting);
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("training", key).doesNotContain("groupWeights");
    assertThat(out).doesNotExist();
  }

  @Test
  void everyKindOfExplorationCanBeAskedForAndIsChecked() {
    for (ExperimentConfig.ExplorationKind kind : ExperimentConfig.ExplorationKind.values()) {
      Configuration configuration = Configuration.of(ExperimentConfig.defaults());
      configuration.set("exploration.kind=" + kind.name().toLowerCase(Locale.ROOT));
      configuration.set("exploration.guide.run=runs/other");
      assertThat(configuration.get().exploration().kind()).isEqualTo(kind);
    }
    CommandLineRun run =
        CommandLineRun.of(
            "explore",
            "--out",
            temporary.resolve("run"),
            "--set",
            "exploration.kind=ornstein_uhlenbeck",
            "--set",
            "exploration.correlation=1");
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("exploration.correlation is 1: expected in [0, 1)");
    assertThat(temporary.resolve("run")).doesNotExist();
  }

  @Test
  void messagesUseTheKeysOfTheFile() {
    assertThat(Configuration.keys("sum of groupWeights is 0.0: expected positive"))
        .isEqualTo("sum of group_weights is 0: expected positive");
  }

  @Test
  void duplicateKeysAndFurtherDocumentsAreRefused() throws IOException {
    Path twice = Files.writeString(temporary.resolve("twice.yaml"), "seed: 1\nseed: 2\n");
    Configuration configuration = Configuration.of(ExperimentConfig.defaults());
    assertThatThrownBy(() -> configuration.readFile(twice))
        .isInstanceOf(UsageException.class)
        .hasMessageContaining("seed")
        .hasMessageContaining("line 2");
    Path two = Files.writeString(temporary.resolve("two.yaml"), "seed: 1\n---\nseed: 2\n");
    assertThatThrownBy(() -> configuration.readFile(two))
        .isInstanceOf(UsageException.class)
        .hasMessageContaining("expected one YAML document");
  }

  @Test
  void printedConfigurationExplainsEveryKeyAndReadsBack() throws IOException {
    CommandLineRun run = CommandLineRun.of("config", "--seed", 7);
    assertThat(run.code()).as(run.err()).isZero();
    assertThat(run.out()).contains("  kind: uniform", "(eta)", "(gamma)", "  hidden: [64,64]");
    Path file = Files.writeString(temporary.resolve("c.yaml"), run.out());
    ExperimentConfig read = Configuration.read(file);
    assertThat(read.seed()).isEqualTo(7);
    JsonNode defaults = Json.MAPPER.valueToTree(ExperimentConfig.defaults());
    assertThat(Json.MAPPER.<JsonNode>valueToTree(read.training()))
        .isEqualTo(defaults.path("training"));
    assertEveryKeyIsExplained(defaults, "");
  }

  private static void assertEveryKeyIsExplained(JsonNode group, String prefix) {
    for (Map.Entry<String, JsonNode> entry : group.properties()) {
      String key = prefix + entry.getKey();
      if (entry.getValue().isObject()) {
        assertEveryKeyIsExplained(entry.getValue(), key + ".");
      } else {
        assertThat(ConfigKeys.describe(key)).as(key).isNotEmpty();
        assertThat(ConfigKeys.describe(key).length()).as(key).isLessThan(100);
      }
    }
  }

  @Test
  void echoedConfigurationHasLowerCaseNames() {
    assertThat(Configuration.yaml(ExperimentConfig.defaults())).contains("kind: uniform");
  }
}
