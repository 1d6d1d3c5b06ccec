package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SweepTest {

  @TempDir Path temporary;

  private CommandLineRun run(Path out, Object... more) {
    List<Object> arguments =
        new ArrayList<>(
            List.of(
                "sweep",
                "--quiet",
                "--config",
                CommandLineRun.tinyConfiguration(temporary, "steps: 3"),
                "--out",
                out));
    arguments.addAll(List.of(more));
    return CommandLineRun.of(arguments.toArray());
  }

  @Test
  void searchesSettingsAndContinuesWhereItWas() throws IOException {
    Path out = temporary.resolve("sweep");
    Object[] options = {
      "--over", "training.eta=0.1..10:log", "--over", "training.critics_per_group=1|2|3",
      "--budget", "4", "--seeds", "2"
    };
    CommandLineRun run = run(out, options);
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode result = Json.MAPPER.readTree(Files.readString(out.resolve("sweep.json")));
    assertThat(result.path("trials")).hasSize(4);
    double best = result.path("value").asDouble();
    assertThat(result.path("trials"))
        .allSatisfy(trial -> assertThat(trial.path("mean").asDouble()).isLessThanOrEqualTo(best));
    assertThat(Files.readString(out.resolve("best.yaml")))
        .startsWith("training:")
        .contains("critics_per_group: " + result.at("/settings/training.critics_per_group"));
    long cells;
    try (Stream<Path> files = Files.list(out.resolve("cells"))) {
      cells = files.count();
    }
    assertThat(cells).isEqualTo(8);

    CommandLineRun again = run(out, options);
    assertThat(again.code()).as(again.err()).isZero();
    assertThat(again.out()).isEqualTo(run.out());
    // What was found is a configuration.
    CommandLineRun config = CommandLineRun.of("config", "--config", out.resolve("best.yaml"));
    assertThat(config.code()).as(config.err()).isZero();
  }

  @Test
  void wrongUseIsRefused() {
    Path out = temporary.resolve("none");
    CommandLineRun unknown = run(out, "--over", "training.etta=1..2");
    assertThat(unknown.code()).isEqualTo(2);
    assertThat(unknown.err()).contains("unknown key 'training.etta'").contains("training.eta");
    CommandLineRun empty = run(out, "--over", "training.eta");
    assertThat(empty.code()).isEqualTo(2);
    assertThat(empty.err()).contains("expected KEY=LOW..HIGH");
    CommandLineRun reversed = run(out, "--over", "training.eta=2..1");
    assertThat(reversed.code()).isEqualTo(2);
    assertThat(reversed.err()).contains("training.eta: expected a range");
    CommandLineRun range = run(out, "--over", "training.eta=-2..-1", "--budget", "1");
    assertThat(range.code()).as(range.err()).isEqualTo(2);
    assertThat(range.err()).contains("training.eta is -1").contains("expected at least 0");
    CommandLineRun few =
        run(out, "--over", "training.eta=1..2", "--tuner", "bayesian", "--budget", "2");
    assertThat(few.code()).isEqualTo(2);
    assertThat(few.err()).contains("tuner bayesian needs 3 for 1 settings");
    assertThat(run(out, "--over", "seed=1..2", "--objective", "ctr").code()).isEqualTo(2);
    assertThat(out).doesNotExist();
  }
}
