package org.unifiedrl.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JsonLinesTest {

  @TempDir Path folder;

  @Test
  void linesKeepTheirOrderAndFormat() throws IOException {
    JsonLines lines = new JsonLines(folder);
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("q_mean", 0.5);
    values.put("critic_loss", Double.NaN);
    lines.begin(0, 20);
    lines.metrics(10, values);
    lines.resources(10, Map.of("steps_per_second", 7.0));
    lines.metrics(20, Map.of("q_mean", 1e-9));
    assertThat(Files.readString(folder.resolve("metrics.jsonl")))
        .isEqualTo(
            "{\"step\":10,\"q_mean\":0.5,\"critic_loss\":null}\n{\"step\":20,\"q_mean\":1.0E-9}\n");
    assertThat(Files.readString(folder.resolve("resources.jsonl")))
        .isEqualTo("{\"step\":10,\"steps_per_second\":7.0}\n");
  }

  @Test
  void aTrainingThatGoesOnDropsWhatLiesBeyondItsCheckpointAndHalfALine() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    Files.writeString(file, "{\"step\":10,\"a\":1.0}\n{\"step\":20,\"a\":2.0}\n{\"step\":30,\"a");
    JsonLines lines = new JsonLines(folder);
    lines.begin(10, 30);
    assertThat(Files.readString(file)).isEqualTo("{\"step\":10,\"a\":1.0}\n");
    lines.metrics(20, Map.of("a", 3.0));
    assertThat(JsonLines.read(file))
        .extracting(n -> n.path("a").asDouble())
        .containsExactly(1.0, 3.0);
  }

  @Test
  void aBrokenLineIsNamed() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    Files.writeString(file, "{\"step\":10}\n{\"step\":\n{\"step\":30}\n");
    assertThatThrownBy(() -> JsonLines.read(file))
        .hasMessageContaining(file + ", line 2: expected a JSON object with a step");
    Files.writeString(file, "{\"step\":10}\n[1, 2]\n");
    assertThatThrownBy(() -> JsonLines.read(file))
        .hasMessageContaining("line 2: ")
        .hasMessageContaining("found [1, 2]; remove the line");
  }
}
