package org.unifiedrl.engine.replay;

import java.nio.file.Path;
import java.util.Map;
import java.util.SplittableRandom;

/** Small replays for tests: every value follows from the seed and the row's place. */
final class SampleData {

  static final int STATE = 3;
  static final int ACTION = 2;
  static final int REWARDS = 2;

  private SampleData() {}

  static ReplaySchema schema() {
    return schema(Map.of("environment", "sample", "seed", "7"));
  }

  static ReplaySchema schema(Map<String, String> metadata) {
    return ReplaySchema.standard(STATE, ACTION, REWARDS, metadata);
  }

  /** A row whose action lies in its box within [-1, 1]. */
  static float[] row(SplittableRandom random) {
    float[] row = new float[schema().rowWidth()];
    for (int i = 0; i < STATE; i++) {
      row[i] = (float) (random.nextDouble() * 10 - 5);
    }
    for (int i = 0; i < ACTION; i++) {
      float baseline = (float) (random.nextDouble() - 0.5);
      row[STATE + i] = baseline + (float) (random.nextDouble() * 0.4 - 0.2);
      row[STATE + ACTION + i] = baseline;
      row[STATE + 2 * ACTION + i] = baseline - 0.2f;
      row[STATE + 3 * ACTION + i] = baseline + 0.2f;
    }
    for (int i = STATE + 4 * ACTION; i < row.length; i++) {
      row[i] = (float) random.nextDouble();
    }
    return row;
  }

  /** Writes sessions of 1 to 5 rows with ids 0, 1, 2, ...; returns the number of rows. */
  static long write(Path folder, long seed, int sessions, ReplayWriter.Options options) {
    SplittableRandom random = new SplittableRandom(seed);
    long rows = 0;
    try (ReplayWriter writer = new ReplayWriter(folder, schema(), options)) {
      for (long session = 0; session < sessions; session++) {
        int length = 1 + random.nextInt(5);
        for (int i = 0; i < length; i++, rows++) {
          writer.append(session, session / 2, 1000 * rows, i == length - 1, row(random));
        }
      }
    }
    return rows;
  }
}
