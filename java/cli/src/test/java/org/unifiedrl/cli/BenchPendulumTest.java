package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
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
  void trainingsThatAreDoneAreKeptAndThoseOfOtherSettingsRefused() throws IOException {
    Path out = temporary.resolve("out");
    CommandLineRun first = trained(out, "ddpg", 1, 3);
    assertThat(first.code()).as(first.err()).isZero();
    Path one = out.resolve("trainings/ddpg-1.json");
    FileTime when = Files.getLastModifiedTime(one);
    assertThat(
            Json.MAPPER.readTree(Files.readString(one)).path("metrics").path("q_mean").isNumber())
        .isTrue();

    // Two more seeds and another algorithm, two at a time.
    CommandLineRun second = trained(out, "ddpg,td3", 3, 3, "--jobs", "2");
    assertThat(second.code()).as(second.err()).isZero();
    assertThat(Files.getLastModifiedTime(one)).isEqualTo(when);
    assertThat(second.out()).contains("| ddpg | 3 | ").contains("| td3 | 3 | ");

    // All at once, elsewhere: the same scores.
    Path whole = temporary.resolve("whole");
    assertThat(trained(whole, "ddpg,td3", 3, 3).code()).isZero();
    assertThat(scores(out)).isEqualTo(scores(whole)).hasSize(2);

    CommandLineRun other = trained(out, "ddpg", 1, 4);
    assertThat(other.code()).isEqualTo(2);
    assertThat(other.err()).contains("ddpg-1.json").contains("of other data or settings");
    assertThat(Files.getLastModifiedTime(one)).isEqualTo(when);
  }

  @Test
  void aTrainingThatDivergesIsTold() throws IOException {
    Path out = temporary.resolve("out");
    CommandLineRun run =
        trained(out, "ddpg", 2, 200, "--set", "training.critic_rate=1e30", "--threads", "1");
    assertThat(run.code()).as(run.err()).isZero();
    assertThat(run.out()).contains("| ddpg | 0 (2 more diverged) | NaN");
    JsonNode one = Json.MAPPER.readTree(Files.readString(out.resolve("trainings/ddpg-1.json")));
    assertThat(one.path("failure").asText()).contains("not finite");
  }

  private CommandLineRun trained(
      Path out, String algorithms, int seeds, int steps, Object... more) {
    List<Object> all =
        new ArrayList<>(List.of("bench", "pendulum", "--quiet", "--data", data, "--out", out));
    all.addAll(List.of("--algorithms", algorithms, "--seeds", seeds, "--seed", 1));
    all.addAll(List.of("--set", "training.steps=" + steps, "--set", "training.hidden=[8]"));
    all.addAll(List.of(more));
    return CommandLineRun.of(all.toArray());
  }

  private static List<Double> scores(Path out) throws IOException {
    JsonNode result = Json.MAPPER.readTree(Files.readString(out.resolve("result.json")));
    return result.path("algorithms").findValues("score").stream().map(JsonNode::asDouble).toList();
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
