package org.unifiedrl.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.FloatBuffer;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.InferencePolicy;

class OwnLoopTest {

  private static final int BATCH = 128;

  /** The reward is highest, 0, where the action is this. */
  private static float best(float first, float second) {
    return 0.6f * (float) Math.tanh(first - second);
  }

  @Test
  void theActorFindsTheBestActionAndTheLossesSaySo() {
    Random random = new Random(3);
    FloatBuffer s = Engine.directFloats(BATCH * 2);
    FloatBuffer a = Engine.directFloats(BATCH);
    FloatBuffer r = Engine.directFloats(BATCH);
    double firstLoss = 0;
    double lastLoss = 0;
    double firstError;
    double lastError;
    try (OwnLoop loop = new OwnLoop(2, 1, BATCH, 3e-3, 1)) {
      firstError = error(loop);
      for (int step = 0; step < 800; step++) {
        for (int b = 0; b < BATCH; b++) {
          float first = (float) random.nextGaussian();
          float second = (float) random.nextGaussian();
          float action = 2 * random.nextFloat() - 1;
          float off = action - best(first, second);
          s.put(2 * b, first).put(2 * b + 1, second);
          a.put(b, action);
          r.put(b, -off * off);
        }
        OwnLoop.Losses losses = loop.step(s, a, r);
        firstLoss += step < 20 ? losses.critic() / 20 : 0;
        lastLoss += step >= 780 ? losses.critic() / 20 : 0;
      }
      lastError = error(loop);
    }
    assertThat(lastLoss).isLessThan(firstLoss / 10);
    assertThat(firstError).as("before").isGreaterThan(0.2);
    assertThat(lastError).as("after").isLessThan(0.08);
  }

  /** Mean distance to the best action, of the weights that come out, in another object. */
  private static double error(OwnLoop loop) {
    int rows = 500;
    Random random = new Random(4);
    FloatBuffer x = Engine.directFloats(2L * rows);
    FloatBuffer y = Engine.directFloats(rows);
    for (int i = 0; i < 2 * rows; i++) {
      x.put(i, (float) random.nextGaussian());
    }
    double error = 0;
    try (InferencePolicy policy =
        InferencePolicy.create(
            loop.actorSizes(), Activation.TANH, loop.actorParameters(), null, null)) {
      policy.run(x, rows, y);
    }
    for (int i = 0; i < rows; i++) {
      error += Math.abs(y.get(i) - best(x.get(2 * i), x.get(2 * i + 1))) / rows;
    }
    return error;
  }
}
