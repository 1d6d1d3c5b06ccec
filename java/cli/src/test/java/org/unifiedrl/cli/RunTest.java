package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Simulator;

/** Whole runs, small ones. */
class RunTest {

  @TempDir Path temporary;

  @Test
  void benchEstimatorsOrdersPolicies() throws IOException {
    Path config = CommandLineRun.tinyConfiguration(temporary, "report: 1000");
    Path folder = temporary.resolve("estimators");
    CommandLineRun bench =
        CommandLineRun.of(
            "bench",
            "estimators",
            "--quiet",
            "--config",
            config,
            "--out",
            folder,
            "--set",
            "evaluation.estimators=[dm, pdis]");
    assertThat(bench.code()).as(bench.err()).isZero();
    assertThat(bench.out()).contains("| ncis_in_box | ").contains("| learned 3000 | ");
    JsonNode result = Json.MAPPER.readTree(folder.resolve("result.json").toFile());
    assertThat(result.path("policies")).hasSize(12);
    assertThat(result.path("estimators")).hasSize(4);
    for (JsonNode estimator : result.path("estimators")) {
      assertThat(estimator.path("policies").asInt()).isEqualTo(12);
      assertThat(estimator.path("judged").asInt()).isBetween(0, 12);
    }
    CommandLineRun unbounded =
        CommandLineRun.of("bench", "estimators", "--set", "exploration.kind=gaussian");
    assertThat(unbounded.code()).isEqualTo(2);
    assertThat(unbounded.err()).contains("exploration.kind");
  }

  @Test
  void demoLeavesEverythingAndOtherCommandsUseIt() throws IOException {
    Path config = CommandLineRun.tinyConfiguration(temporary, "steps: 60", "report: 20");
    Path folder = temporary.resolve("demo");
    CommandLineRun demo =
        CommandLineRun.of(
            "demo",
            "--quiet",
            "--config",
            config,
            "--set",
            "evaluation.headroom=true",
            "--out",
            folder,
            "--seed",
            5);
    assertThat(demo.code()).as(demo.err()).isZero();

    JsonNode result = Json.MAPPER.readTree(folder.resolve("result.json").toFile());
    assertThat(result.path("environment").asText()).isEqualTo("simulator");
    assertThat(result.path("seed").asLong()).isEqualTo(5);
    assertThat(result.path("backend").asText()).isEqualTo("cpu");
    assertThat(result.path("engine").asText()).isNotBlank();
    assertThat(demo.out()).contains("back end cpu (" + result.path("engine").asText() + ")");
    assertThat(result.path("parameter_hash").asText()).matches("[0-9a-f]{64}");
    for (String who : new String[] {"baseline", "policy"}) {
      assertThat(result.path(who).path("uvc").asDouble()).isPositive();
      assertThat(result.path(who).path("udt").asDouble()).isPositive();
      assertThat(result.path("mtf_gauc").path(who).asDouble()).isBetween(0.5, 1.0);
    }
    for (String lift : new String[] {"uvc_lift", "udt_lift"}) {
      JsonNode node = result.path(lift);
      assertThat(node.path("mean").asDouble())
          .isBetween(node.path("low").asDouble(), node.path("high").asDouble());
    }
    for (String oracle : new String[] {"best_constant", "action_oracle", "request_oracle"}) {
      assertThat(result.path("headroom").path("uvc").path(oracle).asDouble()).isPositive();
      JsonNode regret = result.path("regret").path(oracle);
      assertThat(regret.path("mean").asDouble())
          .isBetween(regret.path("low").asDouble(), regret.path("high").asDouble());
    }
    assertThat(result.path("headroom").path("oracle_over_constant").has("low")).isTrue();
    assertThat(demo.out()).contains("Headroom, UVC of 200 unseen users", "Regret of the policy");
    assertThat(result.path("ncis").has("value")).isTrue();
    assertThat(result.path("ncis").has("low")).isTrue();
    assertThat(result.path("ncis").has("high")).isTrue();
    assertThat(result.path("ncis").path("ess").asDouble()).isPositive();
    assertThat(result.path("ncis").path("bandwidth"))
        .hasSize(10)
        .allMatch(h -> h.asDouble() == 0.2);
    JsonNode gauc = result.path("mtf_gauc");
    double difference = gauc.path("policy").asDouble() - gauc.path("baseline").asDouble();
    assertThat(Math.abs(gauc.path("difference").path("mean").asDouble() - difference))
        .isLessThan(1e-12);
    for (String end : new String[] {"mean", "low", "high"}) {
      assertThat(gauc.path("difference").path(end).isNumber()).isTrue();
      assertThat(result.path("ncis").path("difference").has(end)).isTrue();
    }
    assertThat(result.path("population").asText()).isEqualTo("judge");
    assertThat(Files.readAllLines(folder.resolve("metrics.jsonl"))).hasSize(3);
    assertThat(Files.readString(folder.resolve("config.yaml")))
        .contains("seed: 5", "critics_per_group: 2", "target_period: 15");
    assertThat(ImageIO.read(folder.resolve("chart.png").toFile()).getWidth()).isGreaterThan(1000);

    CommandLineRun again =
        CommandLineRun.of(
            "train", "--quiet", "--data", folder, "--out", temporary.resolve("again"));
    assertThat(again.code()).as(again.err()).isZero();
    assertThat(hash(temporary.resolve("again")))
        .as("same seed, same back end: same parameters")
        .isEqualTo(result.path("parameter_hash").asText());

    Path evaluated = temporary.resolve("evaluated.json");
    CommandLineRun evaluate =
        CommandLineRun.of(
            "evaluate",
            "--quiet",
            "--policy",
            folder,
            "--data",
            folder,
            "--json",
            evaluated,
            "--out",
            temporary.resolve("evaluate"),
            "--set",
            "evaluation.estimators=[dm, dr, sndr, switch_dr, pdis, snpdis, fqe, cfqe]",
            "--set",
            "evaluation.fitted_q={members: 3, steps: 20, batch: 16, hidden: [8]}");
    assertThat(evaluate.code()).as(evaluate.err()).isZero();
    assertThat(Json.MAPPER.readTree(evaluated.toFile()).path("mtf_gauc"))
        .isEqualTo(result.path("mtf_gauc"));
    for (String name : new String[] {"dm", "dr", "sndr", "switch_dr", "pdis", "snpdis"}) {
      JsonNode estimate = Json.MAPPER.readTree(evaluated.toFile()).path(name);
      assertThat(estimate.path("ess").isNumber()).isTrue();
      assertThat(estimate.path("difference").has("low")).isTrue();
      assertThat(Json.MAPPER.readTree(evaluated.toFile()).path(name + "_baseline").has("value"))
          .isTrue();
      assertThat(evaluate.out()).contains("  " + name.toUpperCase(Locale.ROOT).replace('_', '-'));
      assertThat(result.has(name)).as("off unless asked for").isFalse();
    }
    for (String name : new String[] {"fqe", "cfqe"}) {
      JsonNode fitted = Json.MAPPER.readTree(evaluated.toFile()).path(name);
      assertThat(fitted.path("ess").isNull()).as("it weighs nothing").isTrue();
      assertThat(fitted.path("value").isNumber() || fitted.has("refusal")).isTrue();
      assertThat(fitted.path("difference").has("low")).isTrue();
    }

    ServeTest.servesTheRun(folder);

    CommandLineRun compare =
        CommandLineRun.of(
            "compare",
            "--quiet",
            "--policy",
            folder,
            "--out",
            temporary.resolve("compare"),
            "--set",
            "evaluation.headroom=false");
    assertThat(compare.code()).as(compare.err()).isZero();
    JsonNode compared = Json.MAPPER.readTree(temporary.resolve("compare/result.json").toFile());
    assertThat(compared.path("uvc_lift")).isEqualTo(result.path("uvc_lift"));
    assertThat(compared.has("headroom")).isFalse();
    assertThat(compared.has("regret")).isFalse();

    CommandLineRun validate =
        CommandLineRun.of(
            "compare",
            "--quiet",
            "--policy",
            folder,
            "--out",
            temporary.resolve("validate"),
            "--set",
            "evaluation.population=validation");
    assertThat(validate.code()).as(validate.err()).isZero();
    JsonNode validated = Json.MAPPER.readTree(temporary.resolve("validate/result.json").toFile());
    assertThat(validated.path("population").asText()).isEqualTo("validation");
    assertThat(validated.path("test_users").asInt()).isEqualTo(200);
    assertThat(validated.path("baseline")).isNotEqualTo(result.path("baseline"));

    assertThat(CommandLineRun.of("inspect", folder.resolve("shards/train")).out())
        .contains("page_responses", "log_density", "actions outside their box: 0");
    assertThat(CommandLineRun.of("inspect", folder.resolve("checkpoints")).out())
        .contains("step 60", "actor.layer0.weight");
  }

  /** A log of a kind with memory, trained on and evaluated; the folder says what it was. */
  @Test
  void otherKindsOfExplorationGoThroughTheLoop() throws IOException {
    Path config = CommandLineRun.tinyConfiguration(temporary, "steps: 20", "report: 20");
    for (String kind : new String[] {"sobol", "ornstein_uhlenbeck"}) {
      Path log = temporary.resolve(kind);
      CommandLineRun explore =
          CommandLineRun.of(
              "explore",
              "--quiet",
              "--config",
              config,
              "--set",
              "exploration.kind=" + kind,
              "--set",
              "exploration.correlation=0.5",
              "--out",
              log);
      assertThat(explore.code()).as(explore.err()).isZero();
      assertThat(Files.readString(log.resolve("config.yaml")))
          .contains("kind: " + kind, "correlation: 0.5");
      Path trained = temporary.resolve(kind + "-trained");
      CommandLineRun train = CommandLineRun.of("train", "--quiet", "--data", log, "--out", trained);
      assertThat(train.code()).as(train.err()).isZero();
      CommandLineRun evaluate =
          CommandLineRun.of(
              "evaluate",
              "--quiet",
              "--policy",
              trained,
              "--data",
              log,
              "--out",
              temporary.resolve(kind + "-evaluated"));
      assertThat(evaluate.code()).as(evaluate.err()).isZero();
      assertThat(evaluate.out()).contains("NCIS");
    }
  }

  @Test
  void resumedTrainingEqualsUninterruptedTraining() throws IOException {
    Path config =
        CommandLineRun.tinyConfiguration(
            temporary, "steps: 90", "checkpoint: 30", "report: 20", "keep: 9");
    Path log = temporary.resolve("log");
    Path whole = temporary.resolve("whole");
    Path parts = temporary.resolve("parts");
    assertThat(CommandLineRun.of("explore", "--quiet", "--config", config, "--out", log).code())
        .isZero();
    assertThat(CommandLineRun.of("train", "--quiet", "--data", log, "--out", whole).code())
        .isZero();
    CommandLineRun first =
        CommandLineRun.of(
            "train", "--quiet", "--data", log, "--out", parts, "--set", "training.steps=41");
    assertThat(first.code()).as(first.err()).isZero();
    CommandLineRun second =
        CommandLineRun.of(
            "train",
            "--quiet",
            "--data",
            log,
            "--out",
            parts,
            "--resume",
            "--set",
            "training.steps=90");
    assertThat(second.code()).as(second.err()).isZero();
    assertThat(hash(parts)).isEqualTo(hash(whole));
    Path last = Path.of("checkpoints/step-000000090/model.safetensors");
    assertThat(Files.mismatch(parts.resolve(last), whole.resolve(last))).isEqualTo(-1);
  }

  /**
   * The baseline is a network: it is in the run folder, and every later stage takes it from there.
   */
  @Test
  void aPersonalisedBaselineIsStoredAndGoesThroughTheLoop() throws IOException {
    Path config =
        CommandLineRun.tinyConfiguration(
            temporary, "steps: 40", "checkpoint: 20", "report: 20", "keep: 9");
    Path log = temporary.resolve("log");
    CommandLineRun explore =
        CommandLineRun.of(
            "explore",
            "--quiet",
            "--config",
            config,
            "--out",
            log,
            "--set",
            "baseline.kind=es",
            "--set",
            "baseline.es={hidden: [6], pairs: 4, users: 10, learning_rate: 0.3}",
            "--set",
            "baseline.requests=6000");
    assertThat(explore.code()).as(explore.err()).isZero();
    JsonNode stored = Json.MAPPER.readTree(log.resolve("baseline.json").toFile());
    assertThat(stored.path("network").path("sizes").toString()).isEqualTo("[40,6,10]");
    assertThat(stored.path("search_requests").asLong()).isBetween(3_000L, 6_000L);

    // What was logged as the baseline's action is what the stored network does, bit for bit.
    Simulator world = new Simulator();
    Policy policy = new RunFolder(log).readBaseline(world).policy().get();
    try (Replay replay = Replay.open(log.resolve("shards/train"))) {
      float[] state = new float[40];
      float[] logged = new float[10];
      float[] first = new float[10];
      float[] action = new float[10];
      for (long row = 0; row < replay.rows(); row++) {
        replay.get(row, replay.schema().columnIndex(ReplaySchema.STATE), state, 0);
        replay.get(row, replay.schema().columnIndex(ReplaySchema.BASELINE_ACTION), logged, 0);
        policy.act(state, 1, action);
        assertThat(action).containsExactly(logged, within(1e-6f));
        first = row == 0 ? logged.clone() : first;
      }
      assertThat(logged).as("it depends on the state").isNotEqualTo(first);
    }

    Path whole = temporary.resolve("whole");
    Path parts = temporary.resolve("parts");
    Object[] train = {"train", "--quiet", "--data", log, "--out"};
    assertThat(CommandLineRun.of(with(train, whole)).code()).isZero();
    assertThat(CommandLineRun.of(with(train, parts, "--set", "training.steps=20")).code()).isZero();
    CommandLineRun rest =
        CommandLineRun.of(with(train, parts, "--resume", "--set", "training.steps=40"));
    assertThat(rest.code()).as(rest.err()).isZero();
    assertThat(hash(parts)).isEqualTo(hash(whole));
    assertThat(Files.readString(parts.resolve("baseline.json")))
        .isEqualTo(Files.readString(log.resolve("baseline.json")));

    CommandLineRun evaluate =
        CommandLineRun.of(
            "evaluate",
            "--quiet",
            "--policy",
            parts,
            "--data",
            log,
            "--out",
            temporary.resolve("evaluate"));
    assertThat(evaluate.code()).as(evaluate.err()).isZero();
    CommandLineRun compare =
        CommandLineRun.of(
            "compare", "--quiet", "--policy", parts, "--out", temporary.resolve("compare"));
    assertThat(compare.code()).as(compare.err()).isZero();
    assertThat(compare.out()).contains("UVC");
  }

  @Test
  void trainingIsNotResumedInAnotherPrecisionButOnAnotherBackEnd() throws IOException {
    Path config = CommandLineRun.tinyConfiguration(temporary, "steps: 20", "checkpoint: 20");
    Path log = temporary.resolve("log");
    Path out = temporary.resolve("out");
    assertThat(CommandLineRun.of("explore", "--quiet", "--config", config, "--out", log).code())
        .isZero();
    CommandLineRun first =
        CommandLineRun.of("train", "--quiet", "--data", log, "--out", out, "--backend", "cpu");
    assertThat(first.code()).as(first.err()).isZero();
    assertThat(Files.readString(out.resolve("config.yaml")))
        .contains("engine:\n  device: 0\n  precision: fp32\n  replay: auto\n");
    Object[] more = {"train", "--quiet", "--data", log, "--out", out, "--resume"};
    CommandLineRun refused = CommandLineRun.of(with(more, "--precision", "bf16"));
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err())
        .contains("was trained in precision fp32, and bf16 is asked for")
        .doesNotContain("\tat ");
    assertThat(Files.readString(out.resolve("config.yaml"))).contains("precision: fp32");
    CommandLineRun other =
        CommandLineRun.of(with(more, "--backend", "reference", "--set", "training.steps=22"));
    assertThat(other.code()).as(other.err()).isZero();
    JsonNode result = Json.MAPPER.readTree(out.resolve("result.json").toFile());
    assertThat(result.path("backend").asText()).isEqualTo("reference");
    assertThat(result.path("steps").asLong()).isEqualTo(22);
  }

  private static Object[] with(Object[] arguments, Object... more) {
    return Stream.concat(Stream.of(arguments), Stream.of(more)).toArray();
  }

  @Test
  void benchWritesTheNamesThatOthersRelyOn() throws IOException {
    Path json = temporary.resolve("bench.json");
    CommandLineRun run =
        CommandLineRun.of(
            "bench",
            "step",
            "--batch",
            32,
            "--hidden",
            "16,16",
            "--state",
            8,
            "--critics",
            2,
            "--seconds",
            1e-6, // one step a measurement: what measuring allocates would show
            "--repeats",
            3,
            "--json",
            json);
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode result = Json.MAPPER.readTree(json.toFile());
    assertThat(result.path("backend").asText()).isEqualTo("cpu");
    assertThat(result.path("batch").asInt()).isEqualTo(32);
    assertThat(result.path("threads").asInt()).isEqualTo(1);
    for (String key :
        new String[] {
          "steps_per_s", "gflops", "limit_gflops", "fraction_of_limit", "peak_rss_mib"
        }) {
      assertThat(result.path(key).asDouble()).as(key).isPositive();
    }
    assertThat(result.path("java_bytes_per_step").asDouble()).isZero();
    assertThat(result.path("precision").asText()).isEqualTo("fp32");
    assertThat(result.path("device").asInt()).isZero();
    assertThat(result.path("engine").asText()).isNotBlank();
  }

  /** Dials are settings like any other: they reach the world, and the run's configuration. */
  @Test
  void dialsChangeTheWorld() throws IOException {
    Path config = CommandLineRun.tinyConfiguration(temporary);
    double[] rewards = new double[2];
    for (int i = 0; i < 2; i++) {
      Path out = temporary.resolve("log" + i);
      CommandLineRun run =
          CommandLineRun.of(
              "explore",
              "--quiet",
              "--config",
              config,
              "--out",
              out,
              "--set",
              "simulator.value=0",
              "--set",
              "simulator.hidden=" + i);
      assertThat(run.code()).as(run.err()).isZero();
      assertThat(Files.readString(out.resolve("config.yaml")))
          .contains("value: 0.0", "hidden: " + i + ".0", "leave_intercept: -0.7");
      rewards[i] =
          Json.MAPPER
              .readTree(out.resolve("result.json").toFile())
              .path("log")
              .path("reward_per_request")
              .asDouble();
    }
    assertThat(rewards[1]).isPositive().isNotEqualTo(rewards[0]);
  }

  private static String hash(Path folder) throws IOException {
    return Json.MAPPER
        .readTree(folder.resolve("result.json").toFile())
        .path("parameter_hash")
        .asText();
  }
}
