package org.unifiedrl.mtf.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;

class LogStatisticsTest {

  private static final double DISCOUNT = 0.9;

  /** Sessions of three requests; the second reward group is ten times the first one's size. */
  @Test
  void returnsAreThoseThatTheActorMaximises(@TempDir Path folder) {
    ReplaySchema schema = ReplaySchema.standard(1, 2, 2, Map.of());
    Random random = new Random(4);
    int sessions = 50;
    double[] weights = {2, 0.25};
    double[] returns = new double[3 * sessions];
    int rewardAt = schema.rowOffset(schema.columnIndex(ReplaySchema.REWARD));
    int high = schema.rowOffset(schema.columnIndex(ReplaySchema.BOX_HIGH));
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      for (int row = 0; row < returns.length; row++) {
        float[] values = new float[schema.rowWidth()];
        values[high] = 1;
        values[high + 1] = 1;
        values[rewardAt] = random.nextFloat();
        values[rewardAt + 1] = 10 * random.nextFloat();
        double reward = weights[0] * values[rewardAt] + weights[1] * values[rewardAt + 1];
        for (int earlier = row - row % 3; earlier <= row; earlier++) {
          returns[earlier] += Math.pow(DISCOUNT, row - earlier) * reward;
        }
        writer.append(row / 3, row / 3, row, row % 3 == 2, values);
      }
    }
    double mean = 0;
    for (double value : returns) {
      mean += value / returns.length;
    }
    double variance = 0;
    for (double value : returns) {
      variance += (value - mean) * (value - mean) / returns.length;
    }
    try (Replay replay = Replay.open(folder)) {
      LogStatistics statistics = LogStatistics.of(replay, DISCOUNT, List.of(2.0, 0.25));
      assertThat(statistics.returnDeviation()).isCloseTo(Math.sqrt(variance), within(1e-9));
    }
  }
}
