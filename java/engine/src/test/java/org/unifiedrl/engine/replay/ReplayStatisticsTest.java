package org.unifiedrl.engine.replay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReplayStatisticsTest {

  @TempDir Path folder;

  @Test
  void countsWhatIsThere() {
    ReplaySchema schema =
        new ReplaySchema(
            List.of(
                new ReplaySchema.Column("state", 2),
                new ReplaySchema.Column("action", 1),
                new ReplaySchema.Column("box_low", 1),
                new ReplaySchema.Column("box_high", 1)),
            Map.of(ReplaySchema.BOX_CHECK_KEY, "off"));
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      writer.append(1, 10, 0, false, new float[] {1, 2, 0, -0.5f, 0.5f});
      writer.append(1, 10, 0, true, new float[] {3, 4, 0.6f, -0.5f, 0.5f});
      writer.append(2, 10, 0, true, new float[] {5, 6, 0.5f, -0.5f, 0.5f});
      writer.append(3, 11, 0, true, new float[] {7, 8, -0.5f, -0.5f, 0.5f});
    }
    try (Replay replay = Replay.open(folder)) {
      ReplayStatistics statistics = ReplayStatistics.of(replay);
      assertThat(statistics.rows()).isEqualTo(4);
      assertThat(statistics.sessions()).isEqualTo(3);
      assertThat(statistics.users()).isEqualTo(2);
      assertThat(statistics.inBoxShare()).isEqualTo(0.75);
      assertThat(statistics.sessionLength())
          .isEqualTo(new ReplayStatistics.LengthDistribution(1, 4 / 3.0, 1, 2, 2, 2));
      ReplayStatistics.ColumnStatistics state = statistics.columns().get(0);
      assertThat(state.min()).isEqualTo(1);
      assertThat(state.max()).isEqualTo(8);
      assertThat(state.mean()).isEqualTo(4.5, within(1e-12));
      // Mean square distance of 1..8 from 4.5: (64 - 1) / 12.
      assertThat(state.standardDeviation()).isEqualTo(Math.sqrt(63 / 12.0), within(1e-12));
    }
  }
}
