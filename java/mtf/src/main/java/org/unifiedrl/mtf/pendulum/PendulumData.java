package org.unifiedrl.mtf.pendulum;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplaySchema.Column;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.mtf.algorithm.Transitions;

/** Published transitions of the pendulum as a replay that all algorithms can read. */
public final class PendulumData {

  private static final String NEXT = "next_";
  private static final int ROWS_WIDTH = 17;

  private PendulumData() {}

  /**
   * Reads a file with the arrays observations, actions, rewards, next_observations, terminals and
   * timeouts, and writes them as a replay. Nobody knows a box around the policy that acted there:
   * it is all of the actions, and the baseline their middle.
   *
   * @return transitions written
   * @throws IOException if the file is not such a one; the message names file and array
   */
  public static int write(Path file, Path folder) throws IOException {
    float[] states;
    float[] actions;
    float[] rewards;
    float[] nextStates;
    float[] terminals;
    float[] timeouts;
    try (var archive = new NumpyArchive(file)) {
      states = archive.read("observations", Pendulum.STATES);
      actions = archive.read("actions", 1);
      rewards = archive.read("rewards", 1);
      nextStates = archive.read("next_observations", Pendulum.STATES);
      terminals = archive.read("terminals", 1);
      timeouts = archive.read("timeouts", 1);
    }
    int rows = rewards.length;
    for (float[] column : List.of(actions, terminals, timeouts)) {
      requireRows(file, column.length, rows);
    }
    requireRows(file, states.length / Pendulum.STATES, rows);
    requireRows(file, nextStates.length / Pendulum.STATES, rows);
    try (var writer = new ReplayWriter(folder, schema())) {
      long episode = 0;
      float[] row = new float[ROWS_WIDTH];
      for (int r = 0; r < rows; r++) {
        boolean last = r + 1 == rows || terminals[r] + timeouts[r] > 0;
        Arrays.fill(row, 0);
        System.arraycopy(states, r * Pendulum.STATES, row, 0, Pendulum.STATES);
        row[3] = share(actions[r]);
        row[5] = -1;
        row[6] = 1;
        row[7] = rewards[r];
        System.arraycopy(nextStates, r * Pendulum.STATES, row, 8, Pendulum.STATES);
        row[11] = share(actions[last ? r : r + 1]);
        row[13] = -1;
        row[14] = 1;
        row[16] = terminals[r];
        writer.append(episode, episode, r, last, row);
        episode += last ? 1 : 0;
      }
    }
    return rows;
  }

  private static ReplaySchema schema() {
    return new ReplaySchema(
        List.of(
            new Column(ReplaySchema.STATE, Pendulum.STATES),
            new Column(ReplaySchema.ACTION, 1),
            new Column(ReplaySchema.BASELINE_ACTION, 1),
            new Column(ReplaySchema.BOX_LOW, 1),
            new Column(ReplaySchema.BOX_HIGH, 1),
            new Column(ReplaySchema.REWARD, 1),
            new Column(Transitions.NEXT_STATE, Pendulum.STATES),
            new Column(NEXT + ReplaySchema.ACTION, 1),
            new Column(NEXT + ReplaySchema.BASELINE_ACTION, 1),
            new Column(NEXT + ReplaySchema.BOX_LOW, 1),
            new Column(NEXT + ReplaySchema.BOX_HIGH, 1),
            new Column(ReplaySchema.LOG_DENSITY, 1),
            new Column(Transitions.DONE, 1)),
        Map.of());
  }

  /** Rounding may have left an action of 2 a little above it. */
  private static float share(float torque) {
    return (float) Math.max(-1, Math.min(1, torque / Pendulum.MAX_TORQUE));
  }

  private static void requireRows(Path file, int found, int expected) throws IOException {
    if (found != expected) {
      throw new IOException(
          "%s: arrays of %d and %d rows: expected as many".formatted(file, found, expected));
    }
  }
}
