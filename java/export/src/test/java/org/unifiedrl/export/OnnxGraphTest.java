package org.unifiedrl.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.onnxruntime.OnnxModelMetadata;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.unifiedrl.export.OnnxGraph.Attribute;
import org.unifiedrl.export.OnnxGraph.Element;
import org.unifiedrl.export.OnnxGraph.Value;

class OnnxGraphTest {

  /** Constants of both types, attributes of both forms, nodes of several outputs. */
  @Test
  void onnxruntimeReadsWhatWasWritten() throws OrtException {
    OnnxGraph graph = new OnnxGraph("small", "what it is for");
    Value x = graph.input("x", Element.FLOAT, "rows", "3");
    Value weights = graph.constant("w", new float[] {1, 2, 3, 4, 5, 6}, 3, 2);
    Value product = graph.node("MatMul", "product", x, weights);
    Value turned = graph.node("Transpose", "turned", List.of(new Attribute("perm", 1, 0)), product);
    List<Value> parts =
        graph.nodes(
            "Split",
            List.of("first", "second"),
            List.of(new Attribute("axis", 0)),
            turned,
            graph.integers("sizes", 1, 1));
    graph.output(parts.get(0), Element.FLOAT, "1", "rows");
    graph.output(parts.get(1), Element.FLOAT, "1", "rows");
    byte[] bytes = graph.toBytes(Map.of("key", "Wert mit \u00e4"));

    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession session = environment.createSession(bytes);
        OnnxTensor in =
            OnnxTensor.createTensor(environment, new float[][] {{1, 0, 0}, {1, 10, 100}});
        OrtSession.Result result = session.run(Map.of("x", in))) {
      assertThat((float[][]) result.get("first").orElseThrow().getValue())
          .isDeepEqualTo(new float[][] {{1, 531}});
      assertThat((float[][]) result.get("second").orElseThrow().getValue())
          .isDeepEqualTo(new float[][] {{2, 642}});
      OnnxModelMetadata metadata = session.getMetadata();
      assertThat(metadata.getProducerName()).isEqualTo("unifiedrl");
      assertThat(metadata.getGraphName()).isEqualTo("small");
      assertThat(metadata.getDescription()).isEqualTo("what it is for");
      assertThat(metadata.getCustomMetadata()).containsExactly(Map.entry("key", "Wert mit \u00e4"));
    }
  }

  @Test
  void mistakesOfABuilderAreNamed() {
    OnnxGraph graph = new OnnxGraph("small", "");
    Value x = graph.input("x", Element.FLOAT, "rows");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> graph.constant("w", new float[5], 2, 3))
        .withMessageContaining("constant 'w' has 5 values")
        .withMessageContaining("[2, 3]");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> graph.node("Relu", "x", x))
        .withMessageContaining("two values are named 'x'");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> graph.node("Add", "y", x, new Value("z")))
        .withMessageContaining("'y' takes 'z'");
  }
}
