package org.unifiedrl.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.FloatBuffer;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Engine;

class OnnxRuntimePipelineTest {

  private static final int BATCH = 64;
  private static final int WIDTH = 5;
  private static final int FEATURES = 8;

  @Test
  void whatTheModelWritesIsWhatTheEngineTrainsOn() throws Exception {
    Random random = new Random(7);
    float[] weight = new float[WIDTH * FEATURES];
    float[] bias = new float[FEATURES];
    for (int i = 0; i < weight.length; i++) {
      weight[i] = 0.7f * (float) random.nextGaussian();
    }
    for (int f = 0; f < FEATURES; f++) {
      bias[f] = 0.1f * f;
    }
    FloatBuffer targets = Engine.directFloats(BATCH);
    FloatBuffer expected = Engine.directFloats(BATCH * FEATURES);
    try (OnnxRuntimePipeline pipeline =
            new OnnxRuntimePipeline(FeatureModel.of(weight, bias), BATCH, WIDTH, FEATURES);
        OwnOptimiser twin = new OwnOptimiser(new int[] {FEATURES, 32, 1}, BATCH, 1)) {
      double first = 0;
      double last = 0;
      for (int step = 0; step < 300; step++) {
        for (int b = 0; b < BATCH; b++) {
          float sum = 0;
          for (int i = 0; i < WIDTH; i++) {
            float value = (float) random.nextGaussian();
            pipeline.inputs().put(b * WIDTH + i, value);
            sum += value;
          }
          targets.put(b, (float) Math.tanh(0.5 * sum));
        }
        features(pipeline.inputs(), weight, bias, expected);
        float loss = pipeline.step(targets, 0.01f);
        for (int i = 0; i < BATCH * FEATURES; i++) {
          assertThat((double) pipeline.features().get(i)).isCloseTo(expected.get(i), within(2e-6));
        }
        // The same features, computed here, give the same losses as long as weights have not
        // parted.
        if (step < 5) {
          assertThat((double) loss)
              .isCloseTo(twin.step(expected, targets, 0.01f), within(1e-4 * loss));
        }
        first += step < 10 ? loss : 0;
        last += step >= 290 ? loss : 0;
      }
      assertThat(last).isLessThan(first / 4);
    }
  }

  private static void features(
      FloatBuffer inputs, float[] weight, float[] bias, FloatBuffer features) {
    for (int b = 0; b < BATCH; b++) {
      for (int f = 0; f < FEATURES; f++) {
        double sum = bias[f];
        for (int i = 0; i < WIDTH; i++) {
          sum += (double) inputs.get(b * WIDTH + i) * weight[i * FEATURES + f];
        }
        features.put(b * FEATURES + f, (float) Math.tanh(sum));
      }
    }
  }
}
