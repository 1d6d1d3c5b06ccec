package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.mtf.policy.Policy;

class BoxPositionsTest {

  private static final int ROWS = 2560; // ten for each state that is looked at

  @TempDir Path folder;

  /** Answers state s by (s, 0.1, 0). */
  private static final Policy POLICY =
      new Policy() {
        @Override
        public int stateSize() {
          return 1;
        }

        @Override
        public int actionSize() {
          return 3;
        }

        @Override
        public void act(float[] states, int rows, float[] actions) {
          for (int row = 0; row < rows; row++) {
            actions[3 * row] = states[row];
            actions[3 * row + 1] = 0.1f;
            actions[3 * row + 2] = 0;
          }
        }
      };

  /** Boxes [0, 0.5], [0, 0.4] and, without width, [0, 0]; states from 0 on, evenly below 1. */
  @Test
  void positionsAreThoseOfTheActionsInEachStatesOwnBox() {
    ReplaySchema schema = ReplaySchema.standard(1, 3, 1, Map.of());
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      for (int i = 0; i < ROWS; i++) {
        float s = i / (float) ROWS;
        float[] row = {s, 0.25f, 0.2f, 0, 0.25f, 0.2f, 0, 0, 0, 0, 0.5f, 0.4f, 0, 1, 0};
        writer.append(i, i, 0, true, row);
      }
    }
    try (Replay log = Replay.open(folder)) {
      Map<String, Double> values =
          BoxPositions.of(log, List.of("a", "b", "c")).orElseThrow().of(POLICY);
      assertThat(values.keySet())
          .containsExactly(
              "box_inside_share",
              "box_position/a",
              "box_position_low/a",
              "box_position_high/a",
              "box_position/b",
              "box_position_low/b",
              "box_position_high/b");
      // s = j / 256 in its box [0, 0.5] stands at 4 s - 1; mean of s is 255 / 512.
      assertThat(values.get("box_position/a")).isCloseTo(4 * 255 / 512.0 - 1, within(1e-7));
      assertThat(values.get("box_position_low/a")).isCloseTo(4 * 12 / 256.0 - 1, within(1e-7));
      assertThat(values.get("box_position_high/a")).isCloseTo(4 * 243 / 256.0 - 1, within(1e-7));
      for (String quantile : List.of("box_position/b", "box_position_low/b")) {
        assertThat(values.get(quantile)).isCloseTo(-0.5, within(1e-6));
      }
      // s <= 0.5 in 129 states of 256, always in the second, and on the box in the third.
      assertThat(values.get("box_inside_share"))
          .isCloseTo((129 + 2 * 256) / (3 * 256.0), within(1e-12));
    }
  }
}
