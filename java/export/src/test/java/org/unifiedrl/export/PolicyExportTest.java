package org.unifiedrl.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssertAlternative;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.export.OnnxGraph.Element;
import org.unifiedrl.export.OnnxGraph.Value;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.serving.Models;
import org.unifiedrl.mtf.serving.PolicyModel;

class PolicyExportTest {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long SEED = 3;

  @TempDir Path temporary;

  private static ObjectNode export(Models.Made made, Path folder) {
    float[] states = PolicyExport.drawStates(made.model(), SEED);
    return PolicyExport.write(made.model(), policy(made), states, SEED, facts(), folder).card();
  }

  private static Policy policy(Models.Made made) {
    return made.policy().of(made.networks()).get();
  }

  private static ObjectNode facts() {
    ObjectNode facts = JSON.createObjectNode();
    facts.putObject("training").put("algorithm", "a|b\nc").put("steps", 7);
    facts.putObject("data").putArray("logs").addObject().put("rows", 123);
    facts.putArray("limits").add("It is a test.");
    facts.putObject("software").put("commit", "0123abc");
    facts.putObject("configuration").putObject("training").put("eta", 0.5);
    return facts;
  }

  /** Of every kind, from the smallest network to one of the specification's shape. */
  @ParameterizedTest
  @EnumSource
  void everyKindAgreesWithOnnxruntime(ServedPolicy kind) {
    List<Models.Made> all =
        List.of(
            Models.of(kind, 1, 1, 1),
            Models.of(kind, 2, 7, 3, 16, 16, 16),
            Models.of(kind, 3, 128, 5, 256, 256));
    for (Models.Made made : all) {
      JsonNode card = export(made, temporary.resolve("at/" + made.model().version()));
      JsonNode found = card.path("check").path("largest_difference");
      assertThat(found.path("actor.onnx")).hasSize(3);
      assertThat(found.path("ranker.onnx")).hasSize(1);
      assertThat(found.path("policy.safetensors")).hasSize(1);
      for (JsonNode graph : found) {
        assertThat(graph).allMatch(difference -> difference.asDouble() <= OnnxCheck.TOLERANCE);
      }
    }
  }

  @Test
  void leavesFilesThatReadBackAndACardWithTheirHashes() throws IOException {
    Models.Made made = Models.small(ServedPolicy.SQUASHED_MEAN, 5);
    Path folder = Files.createDirectory(temporary.resolve("empty"));
    Files.createDirectory(temporary.resolve(".empty.tmp")); // of an export that was killed
    ObjectNode card = export(made, folder);
    assertThat(names(temporary)).containsExactly("empty");
    assertThat(names(folder))
        .containsExactlyInAnyOrder(
            "policy.safetensors", "actor.onnx", "ranker.onnx", "model-card.md", "model-card.json");
    assertThat(JSON.readTree(folder.resolve("model-card.json").toFile()).toString())
        .isEqualTo(card.toString());
    for (String name : List.of("policy.safetensors", "actor.onnx", "ranker.onnx")) {
      JsonNode file = card.path("files").path(name);
      assertThat(file.path("sha256").asText()).isEqualTo(DurableFiles.sha256(folder.resolve(name)));
      assertThat(file.path("bytes").asLong()).isEqualTo(Files.size(folder.resolve(name)));
    }
    assertThat(PolicyModel.read(folder).sha256()).isEqualTo(made.model().sha256());
    assertThat(card.path("model").path("networks").toString()).isEqualTo("{\"actor\":[3,4,3,4]}");
    assertThat(card.path("model").path("parameters").asInt()).isEqualTo(4 * 4 + 5 * 3 + 4 * 4);
    assertThat(card.path("check").path("states").asInt()).isEqualTo(256);
    assertThat(Files.readString(folder.resolve("model-card.md")))
        .startsWith("# Model card: seed-5\n")
        .contains("| algorithm | a\\|b c |", "| logs[0].rows | 123 |", "- It is a test.")
        .contains("| commit | 0123abc |", "training.eta = 0.5\n", "## Metrics\n\nNot known.\n")
        .contains(
            "| box.lower | [-0.15,", card.path("files").path("actor.onnx").path("sha256").asText());
  }

  @ParameterizedTest
  @EnumSource
  void graphsOfAnotherPolicyAreRefusedAndNothingIsLeft(ServedPolicy kind) throws IOException {
    Models.Made made = Models.small(kind, 1);
    PolicyModel other = Models.small(kind, 2).model();
    Path folder = temporary.resolve("a/b/c");
    assertRefused(made, PolicyGraphs.actor(other), PolicyGraphs.ranker(made.model()), folder)
        .withMessageContainingAll("actor.onnx disagrees", "output 'action' of row 0, column ");
    assertRefused(made, PolicyGraphs.actor(made.model()), PolicyGraphs.ranker(other), folder)
        .withMessageContainingAll("ranker.onnx disagrees", "output 'score' of row ");
    assertThat(names(temporary)).isEmpty();
  }

  @Test
  void graphsOfUnexpectedShapesAreRefusedAndNothingIsLeft() throws IOException {
    Models.Made made = Models.small(ServedPolicy.ACTOR, 1);
    PolicyModel wide = Models.of(ServedPolicy.ACTOR, 1, 4, 2, 4).model();
    OnnxGraph ranker = PolicyGraphs.ranker(made.model());
    assertRefused(made, PolicyGraphs.actor(wide), ranker, temporary.resolve("x"))
        .withMessageContainingAll("actor.onnx: input 'state' is", "[-1, 4]", "FLOAT [requests, 3]");
    assertRefused(made, ranker, ranker, temporary.resolve("x"))
        .withMessageContainingAll("actor.onnx has the inputs", "expected [state]");
    OnnxGraph broken = new OnnxGraph("actor", "");
    Value state = broken.input("state", Element.FLOAT, "requests", "3");
    broken.output(broken.node("NoSuchOperator", "action", state), Element.FLOAT, "requests", "4");
    assertRefused(made, broken, ranker, temporary.resolve("x"))
        .withMessageContainingAll("actor.onnx does not run in onnxruntime", "NoSuchOperator");
    assertThat(names(temporary)).isEmpty();
  }

  private static ThrowableAssertAlternative<ExportException> assertRefused(
      Models.Made made, OnnxGraph actor, OnnxGraph ranker, Path folder) {
    float[] states = PolicyExport.drawStates(made.model(), SEED);
    OnnxCheck check = new OnnxCheck(made.model(), policy(made), states, SEED);
    return assertThatExceptionOfType(ExportException.class)
        .isThrownBy(() -> PolicyExport.write(made.model(), check, facts(), folder, actor, ranker));
  }

  /** The command asks before; this is for what appears meanwhile. */
  @Test
  void aFolderThatHoldsSomethingStaysAsItIs() throws IOException {
    Path folder = Files.createDirectory(temporary.resolve("full"));
    Files.writeString(folder.resolve("mine"), "text");
    Models.Made made = Models.small(ServedPolicy.ACTOR, 1);
    assertThatExceptionOfType(ExportException.class)
        .isThrownBy(() -> export(made, folder))
        .withMessageContainingAll("cannot write the export to " + folder, "nothing was left");
    assertThat(names(temporary)).containsExactly("full");
    assertThat(folder.resolve("mine")).hasContent("text");
  }

  /** A policy that serves another of several proposals of equal value is not wrong. */
  @Test
  void proposalsOfEqualValueAreAllRight() {
    Models.Made made = Models.of(ServedPolicy.BEST_OF_DECODED, 4, 3, 2, 16, 16);
    float[] states = PolicyExport.drawStates(made.model(), SEED);
    Policy last = lastProposal(equalValues(made.model()));
    assertThat(
            PolicyExport.write(
                    equalValues(made.model()),
                    last,
                    states,
                    SEED,
                    facts(),
                    temporary.resolve("equal"))
                .card()
                .has("files"))
        .isTrue();
    assertThatExceptionOfType(ExportException.class)
        .isThrownBy(
            () ->
                PolicyExport.write(
                    made.model(),
                    lastProposal(made.model()),
                    states,
                    SEED,
                    facts(),
                    temporary.resolve("unequal")))
        .withMessageContaining("policy.safetensors disagrees with the trained policy");
  }

  /** The same model with a critic that gives every action 0. */
  private static PolicyModel equalValues(PolicyModel model) {
    Map<String, PolicyModel.Network> networks = new LinkedHashMap<>(model.networks());
    networks.computeIfPresent(
        "critic",
        (name, critic) ->
            new PolicyModel.Network(
                critic.layers().stream()
                    .map(
                        l ->
                            new PolicyModel.Layer(
                                l.inputs(),
                                l.outputs(),
                                new float[l.weight().length],
                                new float[l.bias().length]))
                    .toList()));
    return new PolicyModel(
        model.kind(),
        networks,
        model.decoding(),
        model.shift(),
        model.scale(),
        model.stateNames(),
        model.scoreNames(),
        model.actionMap(),
        model.box(),
        model.version(),
        model.metadata());
  }

  private static Policy lastProposal(PolicyModel model) {
    DecodedCandidates candidates = new DecodedCandidates(model);
    return new Policy() {
      @Override
      public int stateSize() {
        return model.stateSize();
      }

      @Override
      public int actionSize() {
        return model.actionSize();
      }

      @Override
      public void act(float[] states, int rows, float[] actions) {
        for (int row = 0; row < rows; row++) {
          List<float[]> all = candidates.best(states, row * stateSize(), 1e9);
          System.arraycopy(all.get(all.size() - 1), 0, actions, row * actionSize(), actionSize());
        }
      }
    };
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.map(path -> path.getFileName().toString()).toList();
    }
  }
}
