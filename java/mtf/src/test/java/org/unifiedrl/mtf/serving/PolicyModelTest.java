package org.unifiedrl.mtf.serving;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.engine.checkpoint.Safetensors;
import org.unifiedrl.engine.checkpoint.Tensor;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.exploration.Box;

class PolicyModelTest {

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(ServedPolicy.class)
  void aFileGivesBackWhatWasWritten(ServedPolicy policy) {
    PolicyModel model = Models.small(policy, 1).model();
    model.write(folder.resolve("deep/policy.safetensors"));
    PolicyModel read = PolicyModel.read(folder.resolve("deep")); // the folder that holds it

    assertThat(read.kind()).isEqualTo(model.kind());
    assertThat(read.stateNames()).containsExactly("feature_0", "feature_1", "feature_2");
    assertThat(read.scoreNames()).containsExactly("score_0", "score_1");
    assertThat(read.version()).isEqualTo("seed-1");
    assertThat(read.metadata()).isEqualTo(Map.of("made_for", "a test"));
    assertThat(read.networks().keySet()).isEqualTo(model.networks().keySet());
    model
        .networks()
        .forEach(
            (name, network) -> {
              for (int l = 0; l < network.layers().size(); l++) {
                PolicyModel.Layer layer = network.layers().get(l);
                PolicyModel.Layer same = read.networks().get(name).layers().get(l);
                assertThat(same.weight()).as(name).containsExactly(layer.weight());
                assertThat(same.bias()).as(name).containsExactly(layer.bias());
              }
            });
    assertThat(read.shift()).containsExactly(model.shift());
    assertThat(read.scale()).containsExactly(model.scale());
    assertThat(read.actionMap().powerLow()).containsExactly(model.actionMap().powerLow());
    assertThat(read.actionMap().powerHigh()).containsExactly(model.actionMap().powerHigh());
    assertThat(read.actionMap().biasLow()).containsExactly(model.actionMap().biasLow());
    assertThat(read.actionMap().biasHigh()).containsExactly(model.actionMap().biasHigh());
    assertThat(read.box().orElseThrow().lower()).containsExactly(model.box().orElseThrow().lower());
    assertThat(read.box().orElseThrow().upper()).containsExactly(model.box().orElseThrow().upper());
    if (policy == ServedPolicy.BEST_OF_DECODED) {
      assertThat(read.decoding().orElseThrow().latents())
          .containsExactly(model.decoding().orElseThrow().latents());
      assertThat(read.decoding().orElseThrow().range())
          .containsExactly(model.decoding().orElseThrow().range());
      assertThat(read.decoding().orElseThrow().count()).isEqualTo(5);
    }
    assertThat(read.sha256()).isEqualTo(model.sha256());
  }

  @Test
  void aMeanIsStoredAsAnActor() {
    PolicyModel model = Models.small(ServedPolicy.SQUASHED_MEAN, 1).model();
    assertThat(model.kind()).isEqualTo(PolicyModel.Kind.ACTOR);
    assertThat(model.networks().get("actor").outputs()).isEqualTo(4);
  }

  @Test
  void modelsThatDifferHaveOtherDigests() {
    PolicyModel model = Models.small(ServedPolicy.ACTOR, 1).model();
    assertThat(
            Stream.of(
                    model,
                    Models.small(ServedPolicy.ACTOR, 2).model(),
                    model.withVersion("another"),
                    model.withBox(Box.symmetric(4, 0.5f)))
                .map(PolicyModel::sha256))
        .doesNotHaveDuplicates();
    assertThat(model.withVersion("seed-1").sha256()).isEqualTo(model.sha256());
  }

  /** Also where the end of the header is cut, or only bytes of tensors are missing. */
  @Test
  void aFileTornAnywhereIsRefused() throws IOException {
    Path file = folder.resolve(PolicyModel.FILE);
    Models.small(ServedPolicy.ACTOR, 1).model().write(file);
    byte[] whole = Files.readAllBytes(file);
    Path torn = folder.resolve("torn.safetensors");
    for (int length = 0; length < whole.length; length++) {
      Files.write(torn, Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> PolicyModel.read(torn))
          .as("first %d bytes", length)
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(torn.toString());
    }
    Files.write(torn, whole);
    assertThat(PolicyModel.read(torn).version()).isEqualTo("seed-1");
  }

  /** A file whose writer was killed holds zeros where nothing was written; a disk may flip bits. */
  @Test
  void aFileWithAnyByteChangedIsRefused() throws IOException {
    Path file = folder.resolve(PolicyModel.FILE);
    Models.small(ServedPolicy.ACTOR, 1).model().write(file);
    byte[] whole = Files.readAllBytes(file);
    int header = 8 + (whole[0] & 0xff) + 256 * (whole[1] & 0xff);
    for (int at = header; at < whole.length; at++) {
      byte[] changed = whole.clone();
      changed[at] ^= 0x10;
      Files.write(file, changed);
      assertThatThrownBy(() -> PolicyModel.read(file))
          .as("byte %d", at)
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("sha256");
    }
  }

  @Test
  void nothingHalfWrittenIsLeft() throws IOException {
    Path file = folder.resolve(PolicyModel.FILE);
    Models.small(ServedPolicy.ACTOR, 1).model().write(file);
    Models.small(ServedPolicy.ACTOR, 2).model().write(file);
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(file);
    }
    assertThat(PolicyModel.read(file).version()).isEqualTo("seed-2");
  }

  /** Each is sealed with a digest of its own, so that the defect itself is what is found. */
  @Test
  void whatMakesNoSenseIsRefusedByNameOfTheTensor() {
    refused(
        t -> t.put("state.scale", Tensor.of(new float[] {1, 0, 1}, 3)), "'state.scale'[1] is 0");
    refused(
        t -> t.put("state.shift", Tensor.of(new float[] {0, Float.NaN, 0}, 3)),
        "'state.shift' holds NaN at 1");
    refused(t -> t.put("state.shift", Tensor.of(new float[2], 2)), "'state.shift' has 2 values");
    refused(t -> t.remove("actor.1.bias"), "no tensor 'actor.1.bias'");
    refused(t -> t.remove("actor.1.weight"), "network 'actor' has 3 inputs and 4 outputs", false);
    refused(
        t -> t.put("actor.1.weight", Tensor.of(new float[15], 5, 3)),
        "'actor.1.weight' has shape [5, 3]: expected [4, outputs]");
    refused(
        t -> t.put("actor.1.weight", Tensor.of(new float[12], 12)), "'actor.1.weight' is F32[12]");
    refused(
        t -> t.put("actor.2.weight", Tensor.of(new double[12], 3, 4)),
        "is of type F64: expected F32");
    refused(
        t -> t.put("actor.0.bias", Tensor.of(new float[] {0, 1, Float.POSITIVE_INFINITY, 2}, 4)),
        "'actor.0.bias' holds Infinity at 2");
    refused(t -> t.put("power.high", Tensor.of(new double[] {1, -1}, 2)), "score 1: power range");
    refused(t -> t.put("bias.low", Tensor.of(new double[] {0, 1e-3}, 2)), "score 0: bias range");
    refused(
        t -> t.put("bias.high", Tensor.of(new double[] {1, Double.NaN}, 2)),
        "'bias.high' holds NaN at 1");
    refused(t -> t.put("box.lower", Tensor.of(new float[] {-1, 0.5f, -1, -1}, 4)), "dimension 1");
    refused(t -> t.remove("box.upper"), "no tensor 'box.upper'");
    refused(t -> t.put("extra", Tensor.of(new float[1], 1)), "holds tensors [extra]");
  }

  private interface Change {
    Object apply(Map<String, Tensor> tensors);
  }

  private void refused(Change change, String message) {
    refused(change, message, true);
  }

  private void refused(Change change, String message, boolean exact) {
    Path file = folder.resolve("changed.safetensors");
    Models.small(ServedPolicy.ACTOR, 1).model().write(file);
    Safetensors.Contents contents = Safetensors.read(file);
    Map<String, Tensor> tensors = new LinkedHashMap<>(contents.tensors());
    change.apply(tensors);
    Map<String, String> text = new HashMap<>(contents.metadata());
    text.put("sha256", PolicyModel.digest(text, tensors));
    Safetensors.write(file, tensors, text);
    var thrown =
        assertThatThrownBy(() -> PolicyModel.read(file))
            .isInstanceOf(CheckpointException.class)
            .hasMessageContaining(file.toString());
    if (exact) {
      thrown.hasMessageContaining(message);
    }
  }

  @Test
  void whatTheMetadataSayIsChecked() {
    metadata("format", "pt", "'format' is 'pt': expected 'unifiedrl.policy'");
    metadata("format_version", "2", "'format_version' is '2': expected '1'");
    metadata("kind", "oracle", "'kind' is 'oracle': expected one of [actor, pair_actor");
    metadata("state_names", "[\"a\",\"b\"]", "'state.shift' has 3 values: expected 2");
    metadata("state_names", "[\"a\",\"b\",\"a\"]", "state_names[2] is 'a'");
    metadata("score_names", "[\"a\",", "'score_names' is '[\"a\",': expected a JSON array");
    metadata("score_names", "[null]", "'score_names' is '[null]': expected a JSON array");
    metadata("version", " ", "version is ' '");
  }

  private void metadata(String key, String value, String message) {
    Path file = folder.resolve("changed.safetensors");
    Models.small(ServedPolicy.ACTOR, 1).model().write(file);
    Safetensors.Contents contents = Safetensors.read(file);
    Map<String, String> text = new HashMap<>(contents.metadata());
    text.put(key, value);
    text.put("sha256", PolicyModel.digest(text, contents.tensors()));
    Safetensors.write(file, contents.tensors(), text);
    assertThatThrownBy(() -> PolicyModel.read(file))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining(message);
  }

  @Test
  void aMissingFileIsNamed() {
    assertThatThrownBy(() -> PolicyModel.read(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(folder.resolve(PolicyModel.FILE).toString());
  }

  @Test
  void aModelIsCheckedWhenItIsMade() {
    Models.Made made = Models.small(ServedPolicy.ACTOR, 1);
    PolicyModel model = made.model();
    assertThatThrownBy(
            () ->
                PolicyModel.of(
                    ServedPolicy.ACTOR,
                    made.networks(),
                    List.of("a", "b", "c"),
                    List.of("x", "y", "z"),
                    model.actionMap(),
                    Optional.empty(),
                    "v",
                    Map.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("the action map has 2 scores: expected as many as score_names, 3");
    assertThatThrownBy(() -> model.withBox(Box.symmetric(3, 0.1f)))
        .hasMessageContaining("the box has 3 dimensions: expected 4");
    assertThatThrownBy(
            () ->
                PolicyModel.of(
                    ServedPolicy.ACTOR,
                    made.networks(),
                    model.stateNames(),
                    model.scoreNames(),
                    model.actionMap(),
                    Optional.empty(),
                    "v",
                    Map.of("sha256", "0")))
        .hasMessageContaining("metadata key 'sha256'");
  }
}
