package org.unifiedrl.mtf.exploration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;

class NoiseBoxTest {

  private static final int ROWS = 200;
  private static final int SIZE = 3;
  private static final float[] LOWER = {-0.1f, -0.2f, -0.3f};
  private static final float[] UPPER = {0.3f, 0.2f, 0.1f};

  /** What an explorer makes of the same rows, two requests of every user. */
  private record Drawn(float[] actions, float[] low, float[] high, float[] logDensity) {

    static Drawn of(Explorer explorer, float[] baseline) {
      int[] users = new int[ROWS];
      long[] sessions = new long[ROWS];
      long[] requests = new long[ROWS];
      for (int row = 0; row < ROWS; row++) {
        users[row] = row;
        sessions[row] = row;
      }
      Explorer rollout = explorer.forRollout();
      Drawn drawn = null;
      for (int request = 0; request < 2; request++) {
        Arrays.fill(requests, request);
        drawn =
            new Drawn(
                new float[ROWS * SIZE],
                new float[ROWS * SIZE],
                new float[ROWS * SIZE],
                new float[ROWS]);
        rollout.explore(
            5,
            users,
            sessions,
            requests,
            ROWS,
            baseline,
            drawn.actions,
            drawn.low,
            drawn.high,
            drawn.logDensity);
      }
      return drawn;
    }
  }

  @Test
  void theNoiseIsItsOwnAndTheBoxIsThatOfABoundedExplorer() {
    float[] sigma = {0.2f, 0.2f, 0.2f};
    Map<Explorer, Explorer> pairs =
        Map.of(
            new Gaussian(sigma, LOWER, UPPER), new Gaussian(sigma),
            new OrnsteinUhlenbeck(sigma, 0.9, LOWER, UPPER), new OrnsteinUhlenbeck(sigma, 0.9));
    float[] baseline = new float[ROWS * SIZE];
    for (int at = 0; at < baseline.length; at++) {
      baseline[at] = (at % 19 - 9) / 9f;
    }
    Drawn uniform = Drawn.of(new UniformBox(LOWER, UPPER), baseline);
    pairs.forEach(
        (withBox, without) -> {
          Drawn boxed = Drawn.of(withBox, baseline);
          Drawn alone = Drawn.of(without, baseline);
          assertThat(boxed.actions).isEqualTo(alone.actions);
          assertThat(boxed.logDensity).isEqualTo(alone.logDensity);
          assertThat(boxed.low).isEqualTo(uniform.low);
          assertThat(boxed.high).isEqualTo(uniform.high);
          assertThat(alone.low).containsOnly(-1);
          assertThat(alone.high).containsOnly(1);
          int outside = 0;
          for (int at = 0; at < baseline.length; at++) {
            outside +=
                boxed.actions[at] < boxed.low[at] || boxed.actions[at] > boxed.high[at] ? 1 : 0;
          }
          assertThat(outside).as("the box bounds nothing").isGreaterThan(100);
        });
  }

  @Test
  void aBoxOfOtherDimensionsIsRefused() {
    assertThatThrownBy(() -> new Gaussian(new float[] {0.1f, 0.1f}, LOWER, UPPER))
        .hasMessageContaining("the box has 3 dimensions; expected 2");
    assertThatThrownBy(() -> new OrnsteinUhlenbeck(new float[] {0.1f}, 0.5, LOWER, UPPER))
        .hasMessageContaining("the box has 3 dimensions; expected 1");
  }
}
