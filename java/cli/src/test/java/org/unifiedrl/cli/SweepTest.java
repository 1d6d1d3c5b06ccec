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
  void itTrainsWhatTheConfigurationSaysOrTheMethodThatIsNamed() throws IOException {
    Path file = temporary.resolve("whole.yaml");
    CommandLineRun config =
        CommandLineRun.of(
            "config",
            "--config",
            CommandLineRun.tinyConfiguration(temporary, "steps: 3"),
            "--set",
            "training.algorithm=td3_bc",
            "--set",
            "training.lambda=0");
    Files.writeString(file, config.out());
    Object[] options = {"--over", "training.lambda=0..1", "--budget", "2", "--config", file};
    Path plain = temporary.resolve("plain");
    CommandLineRun run = CommandLineRun.of(arguments(plain, options));
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode result = Json.MAPPER.readTree(Files.readString(plain.resolve("sweep.json")));
    assertThat(result.path("method").asText()).isEqualToIgnoringCase("td3_bc");
    // A real number stays one, whatever its present value looks like.
    assertThat(result.path("trials"))
        .anyMatch(trial -> trial.at("/settings/training.lambda").asDouble() % 1 != 0);

    Path named = temporary.resolve("named");
    List<Object> method = new ArrayList<>(List.of(arguments(named, options)));
    method.addAll(List.of("--method", "ddpg"));
    run = CommandLineRun.of(method.toArray());
    assertThat(run.code()).as(run.err()).isZero();
    result = Json.MAPPER.readTree(Files.readString(named.resolve("sweep.json")));
    assertThat(result.path("method").asText()).isEqualTo("ddpg");
    assertThat(Files.readString(named.resolve("best.yaml"))).contains("algorithm: ddpg");
    try (Stream<Path> cells = Files.list(named.resolve("cells"))) {
      for (Path cell : cells.toList()) {
        assertThat(
                Json.MAPPER
                    .readTree(Files.readString(cell))
                    .at("/settings/config/training/algorithm")
                    .asText())
            .isEqualToIgnoringCase("ddpg");
      }
    }
  }

  @Test
  void aSweepThatWasKilledEarlyGoesOnAndOtherFoldersAreLeftAlone() throws IOException {
    Path out = temporary.resolve("killed");
    Files.createDirectories(out.resolve("logs/half"));
    Files.writeString(out.resolve("trials.json"), "{\"command\":\"sweep\"}");
    CommandLineRun run = run(out, "--over", "training.eta=1..2", "--budget", "1");
    assertThat(run.code()).as(run.err()).isZero();
    Path other = temporary.resolve("other");
    Files.createDirectories(other.resolve("cells"));
    Files.createDirectories(other.resolve("logs"));
    CommandLineRun refused = run(other, "--over", "training.eta=1..2", "--budget", "1");
    assertThat(refused.code()).isEqualTo(2);
    assertThat(refused.err()).contains("holds something already");
    assertThat(other.resolve("logs")).exists();
  }

  private static Object[] arguments(Path out, Object... more) {
    List<Object> arguments = new ArrayList<>(List.of("sweep", "--quiet", "--out", out));
    arguments.addAll(List.of(more));
    return arguments.toArray();
  }

  @Test
  void oneTrainedModelServesSeveralTradeOffs() throws IOException {
    Path config = CommandLineRun.tinyConfiguration(temporary, "steps: 20");
    Path log = temporary.resolve("log");
    Path trained = temporary.resolve("trained");
    assertThat(CommandLineRun.of("explore", "--quiet", "--config", config, "--out", log).code())
        .isZero();
    assertThat(CommandLineRun.of("train", "--quiet", "--data", log, "--out", trained).code())
        .isZero();
    Path out = temporary.resolve("frontier");
    CommandLineRun run =
        CommandLineRun.of("sweep", "--quiet", "--policy", trained, "--trade-offs", 3, "--out", out);
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode points = Json.MAPPER.readTree(Files.readString(out.resolve("result.json")));
    assertThat(points.path("trade_offs")).hasSize(4); // and the actor as trained
    assertThat(points.at("/trade_offs/1/name").asText())
        .isEqualTo("watch_time 0.00, behaviours 2.00");
    assertThat(points.at("/trade_offs/3/name").asText())
        .isEqualTo("watch_time 2.00, behaviours 0.00");
    // Somebody is at the frontier, and whoever has most of one number is.
    double most = 0;
    boolean efficient = false;
    for (JsonNode point : points.path("trade_offs")) {
      if (point.at("/policy/udt").asDouble() > most) {
        most = point.at("/policy/udt").asDouble();
        efficient = point.path("efficient").asBoolean();
      }
    }
    assertThat(efficient).isTrue();
    assertThat(CommandLineRun.of("sweep", "--policy", log, "--out", out).err())
        .contains("holds no policy");
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
