package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BenchPendulumTest {

  @TempDir Path temporary;
  private Path data;

  /** 60 transitions in two episodes that ran out of time. */
  @BeforeEach
  void copyData() throws IOException {
    data = temporary.resolve("pendulum.npz");
    try (InputStream stream = BenchPendulumTest.class.getResourceAsStream("pendulum-small.npz")) {
      Files.copy(stream, data);
    }
  }

  @Test
  void everyAlgorithmTrainsAndIsScored() throws IOException {
    Path out = temporary.resolve("out");
    CommandLineRun run =
        CommandLineRun.of(
            "bench",
            "pendulum",
            "--quiet",
            "--data",
            data,
            "--seeds",
            "2",
            "--set",
            "training.steps=3",
            "--set",
            "training.hidden=[8]",
            "--out",
            out);
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode result = Json.MAPPER.readTree(Files.readString(out.resolve("result.json")));
    assertThat(result.path("algorithms").findValuesAsText("algorithm"))
        .containsExactly(
            "ddpg", "td3", "td3_bc", "rebrac", "bcq", "iql", "awac", "cql", "edac", "unifiedrl");
    for (JsonNode algorithm : result.path("algorithms")) {
      assertThat(algorithm.path("seeds").asInt()).isEqualTo(2);
      // Nobody learns in three steps: nearly no torque, the pendulum swings as it was let go.
      assertThat(algorithm.path("score").asDouble()).isBetween(-60.0, 60.0);
      assertThat(algorithm.path("deviation").asDouble()).isPositive();
      assertThat(run.out()).contains("| " + algorithm.path("algorithm").asText() + " | 2 | ");
    }
  }

  @Test
  void whatCannotBeIsRefusedBeforeAnythingIsWritten() {
    Path out = temporary.resolve("out");
    assertRefused("is no file", "--data", temporary.resolve("none.npz"), "--out", out);
    assertRefused("expected some of ddpg", "--data", data, "--algorithms", "td4", "--out", out);
    assertRefused("--seeds is 0", "--data", data, "--seeds", "0", "--out", out);
    assertThat(out).doesNotExist();
  }

  private static void assertRefused(String reason, Object... arguments) {
    Object[] all = new Object[arguments.length + 2];
    all[0] = "bench";
    all[1] = "pendulum";
    System.arraycopy(arguments, 0, all, 2, arguments.length);
    CommandLineRun run = CommandLineRun.of(all);
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains(reason);
  }
}
