package org.unifiedrl.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.serving.Models;

/** What the check's random scores do not meet: ties, scores that are no number, and the clip. */
class RankerTest {

  private static final float NAN = Float.NaN;

  private record Ranked(float[] score, long[] top) {}

  private static Ranked rank(Models.Made made, float[][] scores, long count) throws OrtException {
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession session = environment.createSession(PolicyExport.ranker(made.model()));
        OnnxTensor state =
            OnnxTensor.createTensor(environment, new float[1][made.model().stateSize()]);
        OnnxTensor predicted = OnnxTensor.createTensor(environment, new float[][][] {scores});
        OnnxTensor limit = OnnxTensor.createTensor(environment, new long[] {count});
        OrtSession.Result result =
            session.run(Map.of("state", state, "scores", predicted, "count", limit))) {
      return new Ranked(
          ((float[][]) result.get("score").orElseThrow().getValue())[0],
          ((long[][]) result.get("top").orElseThrow().getValue())[0]);
    }
  }

  @Test
  void tiesGoToTheLowerIndexAndNotANumberComesLast() throws OrtException {
    for (ServedPolicy kind :
        new ServedPolicy[] {ServedPolicy.ACTOR, ServedPolicy.BEST_OF_DECODED}) {
      Models.Made made = Models.small(kind, 1);
      float[][] scores = {{0.5f, NAN, 0.5f, 0.9f, 0.5f}, {0.5f, 1, 0.5f, 0.9f, 0.5f}};
      Ranked all = rank(made, scores, 100);
      assertThat(all.score()[1]).isNaN();
      assertThat(all.score()[0]).isEqualTo(all.score()[2]).isNotNaN();
      int[] page = new int[5];
      int shown = Fusion.top(all.score(), 5, 5, page);
      assertThat(shown).isEqualTo(4);
      assertThat(all.top()).containsExactly(page[0], page[1], page[2], page[3], 1);
      assertThat(rank(made, scores, 2).top()).containsExactly(page[0], page[1]);
    }
  }

  /** Scores below minus the bias are clipped, as in Fusion. */
  @Test
  void clipsWhereFusionDoes() throws OrtException {
    Models.Made made = Models.small(ServedPolicy.ACTOR, 1);
    float[][] scores = {{-5, 0.25f}, {0.5f, -7}};
    float[] action = new float[4];
    made.policy().of(made.networks()).get().act(new float[3], 1, action);
    float[] fused = new float[2];
    new Fusion(made.model().actionMap())
        .fuse(new float[] {-5, 0.25f, 0.5f, -7}, 0, 2, 2, action, 0, fused);
    assertThat(rank(made, scores, 1).score()).containsExactly(fused, within(1e-5f));
  }
}
