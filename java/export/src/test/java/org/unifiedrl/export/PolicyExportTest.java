package org.unifiedrl.export;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unifiedrl.mtf.algorithm.ServedPolicy;

class PolicyExportTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path temporary;

  @ParameterizedTest
  @EnumSource
  void everyKindAgrees(ServedPolicy kind) {
    for (int[] shape : new int[][] {{7, 3, 16, 16}, {1, 1}, {128, 5, 256, 256}}) {
      int[] hidden = java.util.Arrays.copyOfRange(shape, 2, shape.length);
      RandomPolicy p = RandomPolicy.of(kind, shape[0], shape[1], hidden);
      Path out = temporary.resolve("a/b" + shape[0]);
      ObjectNode card =
          PolicyExport.write(p.model(), p.policy(), PolicyExport.drawStates(p.model()), JSON.createObjectNode(), out)
              .card();
      JsonNode check = card.path("check").path("largest_difference");
      System.out.println(kind + " " + check);
      assertThat(check.path("actor.onnx")).hasSize(3);
    }
  }
}
