package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.mtf.policy.Policy;

class DriftTest {

  private static final int ROWS = 3000; // more than one batch

  @TempDir Path folder;

  /** The served policy answers state s by (s / 4, 0); this one by (s / 2, 0.25). */
  private static final Policy POLICY =
      new Policy() {
        @Override
        public int stateSize() {
          return 1;
        }

        @Override
        public int actionSize() {
          return 2;
        }

        @Override
        public void act(float[] states, int rows, float[] actions) {
          for (int row = 0; row < rows; row++) {
            actions[2 * row] = states[row] / 2;
            actions[2 * row + 1] = 0.25f;
          }
        }
      };

  @Test
  void percentilesAndSharesAreThoseOfTheStates() {
    ReplaySchema schema = ReplaySchema.standard(1, 2, 1, Map.of());
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      for (int i = 0; i < ROWS; i++) {
        float s = i / (float) ROWS;
        float half = 0.125f;
        float[] row = {
          s, s / 4, 0, s / 4, 0, s / 4 - half, -half, s / 4 + half, half, 1, 0,
        };
        writer.append(i, i, 0, true, row);
      }
    }
    try (Replay log = Replay.open(folder)) {
      Drift drift = Drift.of(log, POLICY, 95);
      // |s / 2 - s / 4| = s / 4, s uniform on [0, 1): 2850 of 3000 are at most that of s = 2849.
      assertThat(drift.moved().get(0)).isCloseTo(2849 / 3000.0 / 4, within(1e-7));
      assertThat(drift.moved().get(1)).isEqualTo(0.25);
      // s / 4 <= 0.125 for s <= 0.5, the first 1501 states; in the other dimension never.
      assertThat(drift.insideShare()).isCloseTo(1501 / 6000.0, within(1e-12));
      assertThat(Drift.of(log, POLICY, 100).moved().get(0))
          .isCloseTo(2999 / 3000.0 / 4, within(1e-7));
      assertThat(Drift.of(log, POLICY, 1e-9).moved().get(0)).isZero();
    }
  }
}
