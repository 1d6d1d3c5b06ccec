package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Simulator;

/** Small progressive runs: what they leave, and that SIGKILL at any stage changes nothing. */
class ProgressiveTest {

  private static final int ROUNDS = 2;

  @TempDir static Path shared;
  @TempDir Path temporary;

  private static Path config;
  private static Path whole;
  private static String printed;

  @BeforeAll
  static void run() throws IOException {
    config = CommandLineRun.tinyConfiguration(shared, "steps: 80", "checkpoint: 10", "report: 10");
    Files.writeString(
        config,
        Files.readString(config)
            + """
        progressive:
          rounds: 2
          canary_share: 0.05
          canary_margin: 50
          ncis_margin: 100
          gauc_margin: 0.5
        """);
    whole = shared.resolve("whole");
    CommandLineRun run =
        CommandLineRun.of("progressive", "--quiet", "--config", config, "--out", whole);
    assertThat(run.code()).as(run.err()).isZero();
    printed = run.out();
  }

  private static JsonNode json(Path file) throws IOException {
    return Json.MAPPER.readTree(file.toFile());
  }

  /** The policy that is served at the end, its own box, and the logs that it learned from. */
  @Test
  void exportsTheServedRound() throws IOException {
    Path out = temporary.resolve("export");
    CommandLineRun run = CommandLineRun.of("export", "--policy", whole, "--out", out);
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode card = json(out.resolve("model-card.json"));
    JsonNode result = json(whole.resolve("result.json"));
    assertThat(result.path("served_round").asInt()).isEqualTo(ROUNDS);
    assertThat(card.path("training").path("parameter_hash"))
        .isEqualTo(result.path("parameter_hash"));
    assertThat(card.path("metrics").path("uvc_lift")).isEqualTo(result.path("uvc_lift"));
    assertThat(card.path("data").path("logs")).hasSize(ROUNDS);
    long rows = 0;
    for (JsonNode log : card.path("data").path("logs")) {
      rows += log.path("rows").asLong();
    }
    assertThat(rows).isEqualTo(card.path("training").path("rows").asLong());
    JsonNode box = result.path("rounds").path(ROUNDS - 1).path("box").path("upper");
    for (int i = 0; i < box.size(); i++) {
      assertThat(card.path("model").path("box").path("upper").path(i).floatValue())
          .isEqualTo(box.path(i).floatValue());
    }
  }

  @Test
  void leavesRoundsTablesAndAReportedTest() throws IOException {
    JsonNode result = json(whole.resolve("result.json"));
    assertThat(result.path("rounds")).hasSize(ROUNDS);
    long requests = 0;
    for (JsonNode round : result.path("rounds")) {
      requests += round.path("log").path("requests").asLong();
      assertThat(round.path("training").path("steps").asLong()).isEqualTo(40);
      assertThat(round.path("training").path("parameter_hash").asText()).matches("[0-9a-f]{64}");
      assertThat(round.path("served").asBoolean()).isTrue();
      assertThat(round.path("inside_share").asDouble()).isBetween(0.0, 1.0);
      assertThat(round.path("drift")).hasSize(10).allMatch(moved -> moved.asDouble() > 0);
      assertThat(round.path("box").path("upper")).hasSize(10);
      assertThat(round.path("ncis").path("difference").has("low")).isTrue();
      assertThat(round.path("mtf_gauc").path("difference").has("low")).isTrue();
      assertThat(round.path("canary").path("test_users").asInt()).isBetween(15, 60);
      assertThat(round.path("canary").path("uvc_lift").has("low")).isTrue();
    }
    assertThat(result.path("log").path("requests").asLong()).isEqualTo(requests);
    assertThat(result.path("log").path("canary_requests").asLong()).isPositive();
    assertThat(result.path("steps").asLong()).isEqualTo(80);
    assertThat(result.path("served_round").asInt()).isEqualTo(ROUNDS);
    assertThat(result.path("parameter_hash"))
        .isEqualTo(result.path("rounds").get(ROUNDS - 1).path("training").path("parameter_hash"));
    assertThat(result.path("uvc_lift").has("low")).isTrue();
    assertThat(result.path("test_users").asInt()).isEqualTo(200);
    String table = Files.readString(whole.resolve("rounds.md"));
    assertThat(printed).contains("Round 2 of 2", "Round 2: served", table, "A/B test, 200 users");
    assertThat(table.lines().filter(line -> line.startsWith("| 2 |"))).hasSize(2);
    assertThat(table).contains("| served |", " 0.30 -> ", "power watch_time");
    assertThat(ImageIO.read(whole.resolve("chart.png").toFile()).getWidth()).isGreaterThan(1000);
  }

  /** A round's baseline is what it explored around, so that commands judge its policy by that. */
  @Test
  void everyRoundHasItsOwnBaseline() {
    Environment environment = new Simulator();
    float[] states = new float[3 * environment.stateSize()];
    for (int i = 0; i < states.length; i++) {
      states[i] = i % 7 - 3;
    }
    RunFolder first = new RunFolder(whole.resolve("rounds/1"));
    RunFolder second = new RunFolder(whole.resolve("rounds/2"));
    assertThat(first.readBaseline(environment).hasNetwork()).isFalse();
    float[] expected = new float[3 * environment.actionSize()];
    EngineAccess.learners().policy(first.checkpoints()).get().act(states, 3, expected);
    float[] found = new float[expected.length];
    second.readBaseline(environment).policy().get().act(states, 3, found);
    assertThat(found).isEqualTo(expected);
    // The run's own baseline is what the A/B test is against; its policy is the last round's.
    assertThat(new RunFolder(whole).readBaseline(environment).hasNetwork()).isFalse();
    assertThat(new RunFolder(whole).trained().path()).isEqualTo(second.path());
    assertThat(first.trained()).isEqualTo(first);
  }

  @Test
  void aBaselineThatIsNoNetworkIsRefusedByName() {
    Environment environment = new Simulator();
    RunFolder folder = new RunFolder(temporary);
    Policy other =
        new Policy() {
          @Override
          public int stateSize() {
            return environment.stateSize();
          }

          @Override
          public int actionSize() {
            return environment.actionSize();
          }

          @Override
          public void act(float[] states, int rows, float[] actions) {}
        };
    folder.writeBaseline(other, 1, environment);
    assertThatThrownBy(() -> folder.readBaseline(environment))
        .isInstanceOf(UsageException.class)
        .hasMessageContaining("training.algorithm bcq");
  }

  /** The run is a run like any other, and so is each of its rounds. */
  @Test
  void otherCommandsTakeTheServedPolicyAndAnyRounds() throws IOException {
    JsonNode result = json(whole.resolve("result.json"));
    CommandLineRun served =
        CommandLineRun.of(
            "compare", "--quiet", "--policy", whole, "--out", temporary.resolve("served"));
    assertThat(served.code()).as(served.err()).isZero();
    assertThat(json(temporary.resolve("served/result.json")).path("uvc_lift"))
        .isEqualTo(result.path("uvc_lift"));
    Path first = whole.resolve("rounds/1");
    CommandLineRun rival =
        CommandLineRun.of(
            "compare",
            "--quiet",
            "--policy",
            whole,
            "--against",
            first,
            "--out",
            temporary.resolve("rival"));
    assertThat(rival.code()).as(rival.err()).isZero();
    CommandLineRun inspect = CommandLineRun.of("inspect", first);
    assertThat(inspect.out()).contains("step 40", "log_density");
    assertThat(Files.readAllLines(first.resolve("metrics.jsonl"))).hasSize(4);
  }

  @Test
  void aFinishedRunGivesItsResultAgain() throws IOException {
    Path copy = copyOfWhole();
    CommandLineRun run = CommandLineRun.of("progressive", "--quiet", "--out", copy, "--resume");
    assertThat(run.code()).as(run.err()).isZero();
    assertThat(json(copy.resolve("result.json"))).isEqualTo(json(whole.resolve("result.json")));
  }

  private Path copyOfWhole() throws IOException {
    Path copy = temporary.resolve("copy");
    FolderTest.copy(whole, copy);
    return copy;
  }

  @Test
  void otherSettingsAndChangedFilesAreRefused() throws IOException {
    Path copy = copyOfWhole();
    CommandLineRun settings =
        CommandLineRun.of("progressive", "--out", copy, "--resume", "--set", "training.eta=0.5");
    assertThat(settings.code()).isEqualTo(2);
    assertThat(settings.err()).contains("was begun with training.eta = 1.2, and it is now 0.5");
    Path shard = copy.resolve("rounds/1/shards/train/shard-00000.arrow");
    Files.write(shard, new byte[] {0}, StandardOpenOption.APPEND);
    CommandLineRun changed =
        CommandLineRun.of("progressive", "--quiet", "--out", copy, "--resume", "--threads", 1);
    assertThat(changed.code()).isEqualTo(1);
    assertThat(changed.err())
        .contains("rounds/1/shards/train/shard-00000.arrow", "is not what that stage left");
  }

  @ParameterizedTest
  @CsvSource({
    "progressive.rounds=0, progressive.rounds is 0",
    "progressive.rounds=81, training.steps is 80",
    "exploration.held_out_users=1, 1 held out",
    "progressive.data=all, 'progressive.data'",
    "progressive.least_half_width=0.4, progressive.largest_half_width",
    "progressive.canary_share=0, progressive.canary_share",
    "progressive.least_ess_share=0.001, progressive.least_ess_share",
  })
  void wrongUseExitsWith2AndLeavesNothing(String setting, String message) {
    Path out = temporary.resolve("none");
    CommandLineRun run =
        CommandLineRun.of("progressive", "--config", config, "--out", out, "--set", setting);
    assertThat(run.code()).as(run.err()).isEqualTo(2);
    assertThat(run.err()).contains(message).doesNotContain("\tat ");
    assertThat(out).doesNotExist();
    assertThat(CommandLineRun.of("progressive", "--resume").code()).isEqualTo(2);
  }

  @Test
  @Timeout(value = 20, unit = TimeUnit.MINUTES)
  void aRunThatIsKilledAtEveryStageGoesOnToTheSameResult() throws Exception {
    int stages = json(whole.resolve("journal.json")).size();
    assertThat(stages).isEqualTo(1 + 5 * ROUNDS);
    Path folder = temporary.resolve("killed");
    Path output = temporary.resolve("output.txt");
    SplittableRandom random = new SplittableRandom(20260401);
    List<Integer> killedAfter = new ArrayList<>();
    int target = 0;
    while (target <= stages) {
      boolean resume = Files.exists(folder.resolve("config.yaml"));
      Process process =
          resume
              ? CommandLineRun.process(
                  output, "progressive", "--quiet", "--out", folder.toString(), "--resume")
              : CommandLineRun.process(
                  output,
                  "progressive",
                  "--quiet",
                  "--out",
                  folder.toString(),
                  "--config",
                  config.toString());
      while (process.isAlive()
          && (completed(folder) < target || !Files.exists(folder.resolve("config.yaml")))) {
        Thread.sleep(1);
      }
      Thread.sleep(random.nextInt(30)); // some way into the stage
      process.destroyForcibly();
      int code = process.waitFor();
      if (code == 0 && completed(folder) == stages) { // it was faster than the kill
        break;
      }
      assertThat(code).as("ended by the kill: " + Files.readString(output)).isEqualTo(128 + 9);
      killedAfter.add(completed(folder));
      target = completed(folder) + 1;
    }
    assertThat(killedAfter).as("kills, by stages completed").hasSizeGreaterThan(stages / 2);

    Process last =
        CommandLineRun.process(
            output, "progressive", "--quiet", "--out", folder.toString(), "--resume");
    assertThat(last.waitFor()).as(Files.readString(output)).isZero();
    // Results, parameter hashes, and the SHA-256 of every log and checkpoint.
    assertThat(json(folder.resolve("result.json"))).isEqualTo(json(whole.resolve("result.json")));
    assertThat(json(folder.resolve("journal.json"))).isEqualTo(json(whole.resolve("journal.json")));
    for (int round = 1; round <= ROUNDS; round++) {
      Path metrics = Path.of("rounds/" + round + "/metrics.jsonl");
      assertThat(Files.mismatch(folder.resolve(metrics), whole.resolve(metrics))).isEqualTo(-1);
    }
  }

  private static int completed(Path folder) throws IOException {
    Path journal = folder.resolve("journal.json");
    return Files.exists(journal) ? json(journal).size() : 0;
  }
}
