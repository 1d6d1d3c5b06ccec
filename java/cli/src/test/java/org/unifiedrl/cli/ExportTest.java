package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.mtf.serving.PolicyModel;

/** Trained policies of every kind as exports, and what is refused. */
class ExportTest {

  @TempDir static Path shared;
  @TempDir Path temporary;

  private static Path demo;
  private static Path pairs;

  @BeforeAll
  static void train() {
    Path config = CommandLineRun.tinyConfiguration(shared, "steps: 10", "report: 10");
    demo = shared.resolve("demo");
    pairs = shared.resolve("pairs");
    run("demo", "--quiet", "--config", config, "--out", demo, "--seed", 5);
    run(
        "explore",
        "--quiet",
        "--config",
        config,
        "--out",
        pairs,
        "--set",
        "exploration.granularity=pair",
        "--set",
        "training.algorithm=enhancedrl");
  }

  private static CommandLineRun run(Object... arguments) {
    CommandLineRun run = CommandLineRun.of(arguments);
    assertThat(run.code()).as(run.err()).isZero();
    return run;
  }

  private static JsonNode json(Path file) throws IOException {
    return Json.MAPPER.readTree(file.toFile());
  }

  @Test
  void theCardOfADemoSaysWhatItsRunKnows() throws IOException {
    Path out = temporary.resolve("a/export");
    CommandLineRun export =
        run("export", "--policy", demo, "--out", out, "--json", temporary.resolve("card.json"));
    assertThat(export.out())
        .contains(
            "on 256 states of the log",
            "ranker.onnx  score",
            "policy.safetensors",
            "Left in " + out);
    JsonNode card = json(out.resolve("model-card.json"));
    assertThat(json(temporary.resolve("card.json"))).isEqualTo(card);
    JsonNode result = json(demo.resolve("result.json"));
    assertThat(card.path("model").path("kind").asText()).isEqualTo("actor");
    assertThat(card.path("training").path("algorithm").asText()).isEqualTo("unifiedrl");
    assertThat(card.path("training").path("parameter_hash"))
        .isEqualTo(result.path("parameter_hash"));
    for (String metric : List.of("uvc_lift", "udt_lift", "mtf_gauc", "ncis", "test_users")) {
      assertThat(result.has(metric)).isTrue();
      assertThat(card.path("metrics").path(metric)).isEqualTo(result.path(metric));
    }
    assertThat(card.path("metrics").has("log")).isFalse();
    assertThat(card.path("data").path("environment").asText()).isEqualTo("simulator");
    JsonNode log = card.path("data").path("logs").path(0);
    assertThat(log.path("folder").asText()).isEqualTo("shards/train");
    assertThat(log.path("rows")).isEqualTo(result.path("log").path("requests"));
    assertThat(log.path("sessions")).isEqualTo(result.path("log").path("sessions"));
    assertThat(log.path("rows_outside_their_box").asInt()).isZero();
    assertThat(log.path("metadata").path("exploration").asText()).isEqualTo("UNIFORM");
    assertThat(card.path("configuration").path("exploration").path("half_width").asDouble())
        .isEqualTo(0.3);
    assertThat(card.path("configuration").path("seed").asInt()).isEqualTo(5);
    assertThat(card.path("limits")).isEqualTo(result.path("limits")).isNotEmpty();
    assertThat(card.path("software").path("unifiedrl").asText()).isEqualTo(Main.version());
    assertThat(card.path("software").path("commit").asText()).isEqualTo(Build.commit());
    assertThat(card.path("files").path("actor.onnx").path("sha256").asText())
        .isEqualTo(DurableFiles.sha256(out.resolve("actor.onnx")));
    assertThat(Files.readString(out.resolve("model-card.md")))
        .contains("# Model card: step-10-", "exploration.half_width = 0.3", "uvc_lift.mean");

    CommandLineRun inspect = run("inspect", out);
    assertThat(inspect.out()).contains("Policy step-10-", "kind = \"actor\"", "[40,8,8,10]");
    assertThat(run("inspect", out.resolve("policy.safetensors")).out()).isEqualTo(inspect.out());
  }

  @ParameterizedTest
  @CsvSource({"unifiedrl_v4,actor", "cql,actor", "bcq,best_of_decoded", "enhancedrl,pair_actor"})
  void everyKindIsExported(String algorithm, String kind) throws IOException {
    Path log = kind.equals("pair_actor") ? pairs : demo;
    Path trained = temporary.resolve("trained");
    Path out = temporary.resolve("export");
    run(
        "train",
        "--quiet",
        "--data",
        log,
        "--out",
        trained,
        "--set",
        "training.algorithm=" + algorithm);
    run("export", "--policy", trained, "--out", out);
    JsonNode drawn = json(out.resolve("model-card.json"));
    assertThat(drawn.path("data").path("log").asText()).contains("--data");
    assertThat(drawn.path("metrics")).as("train measures none").isEmpty();
    assertThat(PolicyModel.read(out).kind().toString()).isEqualTo(kind);

    Path other = temporary.resolve("by-log");
    CommandLineRun byLog =
        run("export", "--policy", trained, "--data", log, "--out", other, "--json", "-");
    JsonNode card = Json.MAPPER.readTree(byLog.out());
    assertThat(card).isEqualTo(json(other.resolve("model-card.json")));
    assertThat(card.path("training").path("algorithm").asText()).isEqualTo(algorithm);
    assertThat(card.path("data").path("logs").path(0).path("rows"))
        .isEqualTo(card.path("training").path("rows"));
    for (JsonNode file : card.path("check").path("largest_difference")) {
      assertThat(file).isNotEmpty().allMatch(difference -> difference.asDouble() <= 1e-5);
    }
  }

  @Test
  void theCardTakesWhatOtherRunsFoundOfThePolicy() throws IOException {
    Path judged = temporary.resolve("judged");
    Path tested = temporary.resolve("tested");
    run("evaluate", "--quiet", "--policy", demo, "--data", demo, "--out", judged);
    run("compare", "--quiet", "--policy", demo, "--out", tested, "--seed", 6);
    Path itself = temporary.resolve("itself");
    run("compare", "--quiet", "--policy", demo, "--against", demo, "--out", itself);
    Path out = temporary.resolve("export");
    Object[] export = {
      "export",
      "--policy",
      demo,
      "--evaluation",
      judged,
      "--evaluation",
      tested,
      "--evaluation",
      itself,
      "--out",
      out
    };
    run(export);
    JsonNode metrics = json(out.resolve("model-card.json")).path("metrics");
    JsonNode offline = json(judged.resolve("result.json"));
    assertThat(metrics.path(judged.toString()).path("mtf_gauc"))
        .isEqualTo(offline.path("mtf_gauc"))
        .isNotEmpty();
    assertThat(metrics.path(judged.toString()).has("parameter_hash")).isFalse();
    JsonNode test = json(tested.resolve("result.json"));
    assertThat(metrics.path(tested.toString()).path("uvc_lift"))
        .isEqualTo(test.path("uvc_lift"))
        .isNotEmpty()
        .isNotEqualTo(metrics.path("uvc_lift")); // that of the demo, by other users
    assertThat(metrics.path(tested.toString()).has("against")).as("the baseline").isFalse();
    assertThat(metrics.path(itself.toString()).path("against"))
        .isEqualTo(json(demo.resolve("result.json")).path("parameter_hash"));
    assertThat(metrics.path(itself.toString()).path("uvc_lift").path("mean").asDouble()).isZero();
    assertThat(Files.readString(out.resolve("model-card.md")))
        .contains("| " + tested + ".uvc_lift.mean |");

    ((ObjectNode) offline).put("parameter_hash", "0123");
    Json.write(judged.resolve("result.json"), (ObjectNode) offline);
    export[export.length - 1] = temporary.resolve("refused");
    CommandLineRun other = CommandLineRun.of(export);
    assertThat(other.code()).isEqualTo(2);
    assertThat(other.err())
        .contains("--evaluation " + judged + " judged other parameters (hash 0123) than those");
    Files.delete(judged.resolve("result.json"));
    CommandLineRun none = CommandLineRun.of(export);
    assertThat(none.code()).isEqualTo(2);
    assertThat(none.err()).contains("--evaluation " + judged + " holds no result.json");
    assertThat(temporary.resolve("refused")).doesNotExist();
  }

  @Test
  void whatCannotBeExportedIsNamedAndLeavesNothing() throws IOException {
    Path out = temporary.resolve("out");
    CommandLineRun log = CommandLineRun.of("export", "--policy", pairs, "--out", out);
    assertThat(log.code()).isEqualTo(2);
    assertThat(log.err()).contains("--policy " + pairs + " holds no policy");

    CommandLineRun other =
        CommandLineRun.of("export", "--policy", demo, "--data", pairs, "--out", out);
    assertThat(other.code()).isEqualTo(2);
    assertThat(other.err()).contains("the policy takes 40; give with --data the log");

    Path full = Files.createDirectory(temporary.resolve("full"));
    Files.writeString(full.resolve("mine"), "");
    CommandLineRun occupied = CommandLineRun.of("export", "--policy", demo, "--out", full);
    assertThat(occupied.code()).isEqualTo(2);
    assertThat(occupied.err()).contains("--out " + full + " holds something already");

    Path broken = Files.createDirectory(temporary.resolve("broken"));
    FolderTest.copy(demo.resolve("checkpoints"), broken.resolve("checkpoints"));
    Files.copy(demo.resolve("config.yaml"), broken.resolve("config.yaml"));
    try (Stream<Path> tree = Files.walk(broken)) {
      for (Path path : tree.filter(p -> p.endsWith("model.safetensors")).toList()) {
        Files.write(path, new byte[9]);
      }
    }
    CommandLineRun torn = CommandLineRun.of("export", "--policy", broken, "--out", out);
    assertThat(torn.code()).isEqualTo(1);
    assertThat(torn.err()).contains("model.safetensors", "it has 9 bytes");
    try (Stream<Path> left = Files.list(temporary)) {
      assertThat(left.map(path -> path.getFileName().toString()))
          .containsExactlyInAnyOrder("full", "broken");
    }
  }
}
