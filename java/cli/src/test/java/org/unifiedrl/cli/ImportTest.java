package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;

/** A log of a production system, imported, learned from and judged. */
class ImportTest {

  @TempDir Path temporary;

  private CommandLineRun run(Object... arguments) {
    return CommandLineRun.of(arguments);
  }

  private Path example(Path config, String... settings) {
    Path folder = temporary.resolve("example");
    List<Object> arguments =
        new ArrayList<>(
            List.of("example", "--quiet", "--config", config, "--seed", 9, "--out", folder));
    for (String setting : settings) {
      arguments.addAll(List.of("--set", setting));
    }
    CommandLineRun example = run(arguments.toArray());
    assertThat(example.code()).as(example.err()).isZero();
    return folder;
  }

  private CommandLineRun imported(Path example, Path out, Object... more) {
    List<Object> arguments =
        new ArrayList<>(
            List.of(
                "import",
                example + "/*.parquet",
                "--mapping",
                example.resolve("mapping.yaml"),
                "--out",
                out,
                "--quiet"));
    arguments.addAll(List.of(more));
    return run(arguments.toArray());
  }

  /** The layout is another one, and all that explore logs comes back out of it. */
  @Test
  void anExampleComesBackAsItWasExplored() throws IOException {
    Path config = CommandLineRun.tinyConfiguration(temporary);
    Path example = example(config);
    assertThat(files(example))
        .containsExactly(
            "mapping.yaml", "requests-1.parquet", "requests-2.parquet", "requests-3.parquet");
    Path log = temporary.resolve("log");
    CommandLineRun imported = imported(example, log, "--held-out", "0.2", "--json", "-");
    assertThat(imported.code()).as(imported.err()).isZero();
    Path explored = temporary.resolve("explored");
    CommandLineRun explore =
        run("explore", "--quiet", "--config", config, "--seed", 9, "--out", explored);
    assertThat(explore.code()).as(explore.err()).isZero();
    try (Replay expected = open(explored);
        Replay found = open(log)) {
      JsonNode result = Json.MAPPER.readTree(imported.out()).path("log");
      assertThat(found.rows()).isEqualTo(expected.rows());
      assertThat(result.path("requests").asLong() + result.path("held_out_requests").asLong())
          .isEqualTo(expected.rows());
      for (long row = 0; row < found.rows(); row += 7) {
        // A text is hashed: states and times say which request it is.
        long same = find(expected, found, row);
        assertThat(found.isLast(row)).isEqualTo(expected.isLast(same));
        for (String column :
            List.of(
                ReplaySchema.ACTION,
                ReplaySchema.BASELINE_ACTION,
                ReplaySchema.BOX_LOW,
                ReplaySchema.BOX_HIGH,
                ReplaySchema.REWARD,
                ReplaySchema.LOG_DENSITY)) {
          assertThat(values(found, row, column))
              .as(column)
              .containsExactly(values(expected, same, column), within(2e-5f));
        }
      }
    }
    assertThat(imported(example, log).err()).contains("holds something already");
  }

  private static Replay open(Path folder) {
    List<Path> shards = List.of(folder.resolve("shards/train"), folder.resolve("shards/held-out"));
    return Replay.open(shards, Replay.Options.DEFAULT);
  }

  private static long find(Replay among, Replay replay, long row) {
    for (long r = 0; r < among.rows(); r++) {
      if (among.timestamp(r) == replay.timestamp(row)
          && Arrays.equals(
              values(among, r, ReplaySchema.STATE), values(replay, row, ReplaySchema.STATE))) {
        return r;
      }
    }
    throw new AssertionError("row " + row + " was not explored");
  }

  private static float[] values(Replay replay, long row, String column) {
    int index = replay.schema().columnIndex(column);
    float[] values = new float[replay.schema().columns().get(index).width()];
    replay.get(row, index, values, 0);
    return values;
  }

  private static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void whatWasServedByANetworkIsClonedAndJudged() throws IOException {
    Path config =
        CommandLineRun.tinyConfiguration(temporary, "steps: 20", "report: 20", "cloning_steps: 50");
    Path example = example(config, "baseline.kind=es", "baseline.requests=20000");
    Path log = temporary.resolve("log");
    assertThat(imported(example, log).code()).isZero();
    Path policy = temporary.resolve("policy");
    CommandLineRun train =
        run("train", "--quiet", "--config", config, "--data", log, "--out", policy);
    assertThat(train.code()).as(train.err()).isZero();
    assertThat(Json.MAPPER.readTree(policy.resolve("baseline.json").toFile()).path("network"))
        .isNotEmpty();
    CommandLineRun further =
        run(
            "train",
            "--quiet",
            "--data",
            log,
            "--out",
            policy,
            "--resume",
            "--set",
            "training.steps=40");
    assertThat(further.code()).as(further.err()).isZero();
    CommandLineRun evaluate =
        run(
            "evaluate",
            "--quiet",
            "--policy",
            policy,
            "--data",
            log,
            "--out",
            temporary.resolve("evaluation"));
    assertThat(evaluate.code()).as(evaluate.err()).isZero();
    assertThat(evaluate.out()).contains("MTF-GAUC  not known").contains("NCIS      baseline");
    CommandLineRun compare = run("compare", "--policy", policy);
    assertThat(compare.code()).isEqualTo(2);
    assertThat(compare.err()).contains("is a log, which has no users to serve");
    CommandLineRun explore = run("explore", "--environment", "log:" + log);
    assertThat(explore.code()).isEqualTo(2);
    assertThat(explore.err()).contains("is a log, which has no users to serve");
  }

  @Test
  void whatCannotBeImportedLeavesNothing() throws IOException {
    Path config = CommandLineRun.tinyConfiguration(temporary);
    Path example = example(config);
    Path out = temporary.resolve("runs/log");
    String mapping = Files.readString(example.resolve("mapping.yaml"));
    Files.writeString(
        example.resolve("mapping.yaml"), mapping.replace("power_like, power", "power_lke, power"));
    CommandLineRun refused = imported(example, out);
    assertThat(refused.code()).isEqualTo(2);
    assertThat(refused.err()).contains("action: the log has no column 'power_lke'; it has [");
    Files.writeString(
        example.resolve("mapping.yaml"), mapping.replace("baseline: 0.3}", "baseline: 0.001}"));
    CommandLineRun outside = imported(example, out);
    assertThat(outside.code()).isEqualTo(2);
    assertThat(outside.err())
        .contains("requests-1.parquet: row ")
        .contains("the action lies outside its box");
    assertThat(temporary.resolve("runs")).isEmptyDirectory();
    Files.writeString(example.resolve("mapping.yaml"), mapping);
    assertThat(imported(example, out, "--sql", "FROM x").err()).contains("one of them");
    assertThat(run("import", "--mapping", example.resolve("mapping.yaml")).err())
        .contains("one of them");
    assertThat(
            run("import", example + "/*.csv", "--mapping", example.resolve("mapping.yaml")).err())
        .contains("no file matches");
    assertThat(imported(example, out, "--sql", "x").code()).isEqualTo(2);
  }

  /** Tables are joined by a query; a query that is none is refused in its words. */
  @Test
  void aQueryIsImported() throws IOException {
    Path config = CommandLineRun.tinyConfiguration(temporary);
    Path example = example(config);
    Path out = temporary.resolve("log");
    String files = "'" + example + "/requests-*.parquet'";
    CommandLineRun imported =
        run(
            "import",
            "--quiet",
            "--mapping",
            example.resolve("mapping.yaml"),
            "--out",
            out,
            "--held-out",
            "0",
            "--sql",
            "FROM " + files + " WHERE \"like\" = 0;");
    assertThat(imported.code()).as(imported.err()).isZero();
    try (Replay replay = Replay.open(out.resolve("shards/train"))) {
      assertThat(replay.rows()).isGreaterThan(100);
    }
    CommandLineRun refused =
        run(
            "import",
            "--mapping",
            example.resolve("mapping.yaml"),
            "--out",
            temporary.resolve("other"),
            "--sql",
            "FROM nowhere");
    assertThat(refused.code()).isEqualTo(2);
    assertThat(refused.err()).contains("nowhere");
    assertThat(temporary.resolve("other")).doesNotExist();
  }

  /** Sums and shares of what is printed, by hand from the rows. */
  @Test
  void statisticsSayHowALogIsDistributed() throws IOException {
    Path config = CommandLineRun.tinyConfiguration(temporary);
    Path log = temporary.resolve("log");
    assertThat(imported(example(config), log).code()).isZero();
    Path shards = log.resolve("shards/train");
    Path chart = temporary.resolve("chart.png");
    CommandLineRun inspect = run("inspect", shards, "--stats", "--chart", chart, "--json", "-");
    assertThat(inspect.code()).as(inspect.err()).isZero();
    assertThat(ImageIO.read(chart.toFile()).getWidth()).isGreaterThan(700);
    assertThat(inspect.err()).contains("1 % to 99 %").contains("requests per session, 1 to 50");
    JsonNode found = Json.MAPPER.readTree(inspect.out()).path("distributions");
    try (Replay replay = Replay.open(shards)) {
      int states = values(replay, 0, ReplaySchema.STATE).length;
      double sum = 0;
      double zeros = 0;
      double sessions = 0;
      double ofOne = 0;
      boolean first = true;
      double firstTenth = 0;
      for (long row = 0; row < replay.rows(); row++) {
        float value = values(replay, row, ReplaySchema.STATE)[states - 1];
        sum += value;
        zeros += value == 0 ? 1 : 0;
        ofOne += first && replay.isLast(row) ? 1 : 0;
        first = replay.isLast(row);
        sessions += first ? 1 : 0;
        float low = values(replay, row, ReplaySchema.BOX_LOW)[0];
        float high = values(replay, row, ReplaySchema.BOX_HIGH)[0];
        firstTenth +=
            (values(replay, row, ReplaySchema.ACTION)[0] - low) / (high - low) < 0.1f ? 1 : 0;
      }
      JsonNode state = found.path("state").path(states - 1);
      assertThat(state.path("name").asText()).startsWith("f_");
      assertThat(state.path("mean").asDouble()).isCloseTo(sum / replay.rows(), within(1e-6));
      assertThat(state.path("zeros").asDouble()).isCloseTo(zeros / replay.rows(), within(1e-9));
      assertThat(found.path("session_lengths").path(0).asDouble())
          .isCloseTo(ofOne / sessions, within(1e-9));
      assertThat(found.path("inside_box").path(0).asDouble()).isCloseTo(1, within(1e-9));
      assertThat(found.path("place_in_box").path(0).path(0).asDouble())
          .isCloseTo(firstTenth / replay.rows(), within(1e-9))
          .isBetween(0.07, 0.13);
    }
    CommandLineRun refused = run("inspect", log, "--chart", chart);
    assertThat(refused.code()).isEqualTo(2);
    assertThat(refused.err()).contains("give both, and a folder of shards");
  }
}
