package org.unifiedrl.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.FloatBuffer;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Engine;

class OwnOptimiserTest {

  private static FloatBuffer random(int count, long seed) {
    Random random = new Random(seed);
    FloatBuffer buffer = Engine.directFloats(count);
    for (int i = 0; i < count; i++) {
      buffer.put(i, (float) random.nextGaussian());
    }
    return buffer;
  }

  /** A line, y = x w + c, whose gradients are written down again here, in double. */
  @Test
  void followsTheSamePathAsAPlainComputation() {
    int batch = 32;
    FloatBuffer x = random(batch * 2, 1);
    FloatBuffer y = random(batch, 2);
    try (OwnOptimiser optimiser = new OwnOptimiser(new int[] {2, 1}, batch, 5)) {
      double[] w = new double[3];
      for (int i = 0; i < 3; i++) {
        w[i] = optimiser.weights()[i];
      }
      double[] velocity = new double[3];
      for (int step = 0; step < 60; step++) {
        double loss = 0;
        double[] gradient = new double[3];
        for (int b = 0; b < batch; b++) {
          double residual = x.get(2 * b) * w[0] + x.get(2 * b + 1) * w[1] + w[2] - y.get(b);
          loss += residual * residual / batch;
          gradient[0] += 2 * residual * x.get(2 * b) / batch;
          gradient[1] += 2 * residual * x.get(2 * b + 1) / batch;
          gradient[2] += 2 * residual / batch;
        }
        assertThat((double) optimiser.step(x, y, 0.02f)).isCloseTo(loss, within(1e-5 * loss));
        for (int i = 0; i < 3; i++) {
          velocity[i] = 0.9f * velocity[i] + gradient[i];
          w[i] -= 0.02f * velocity[i];
        }
      }
      for (int i = 0; i < 3; i++) {
        assertThat((double) optimiser.weights()[i]).isCloseTo(w[i], within(1e-5));
      }
    }
  }

  /** Where nothing is updated, the loss is a function of the inputs alone. */
  @Test
  void theGradientOfTheInputsIsThatOfTheLoss() {
    int batch = 4;
    FloatBuffer x = random(batch * 3, 3);
    FloatBuffer y = random(batch, 4);
    FloatBuffer gradient = Engine.directFloats(3L * batch);
    try (OwnOptimiser optimiser = new OwnOptimiser(new int[] {3, 16, 1}, batch, 6)) {
      optimiser.step(x, y, 0);
      optimiser.readInputGradient(gradient);
      float h = 1e-2f; // exact but for rounding: the loss is quadratic where no unit switches
      for (int i = 0; i < batch * 3; i++) {
        float value = x.get(i);
        double up = optimiser.step(x.put(i, value + h), y, 0);
        double down = optimiser.step(x.put(i, value - h), y, 0);
        x.put(i, value);
        assertThat((double) gradient.get(i)).isCloseTo((up - down) / (2 * h), within(2e-3));
      }
    }
  }
}
