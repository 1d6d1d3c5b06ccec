package org.unifiedrl.mtf.algorithm;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.mtf.exploration.ActionScore;

class RandomNetworkDistillationTest {

  private static final int ROWS = 2_000;

  /** States at random; the first of two actions is from -0.5 to 0 only. */
  private static Path log(Path folder) {
    ReplaySchema schema = ReplaySchema.standard(3, 2, 1, Map.of());
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      float[] row = new float[schema.rowWidth()];
      for (int i = 0; i < ROWS; i++) {
        for (int s = 0; s < 3; s++) {
          row[s] = (float) Philox.normal(1, s, i);
        }
        row[3] = (float) (0.5 * Philox.uniform(1, 3, i) - 0.5);
        row[4] = (float) (Philox.uniform(1, 4, i) - 0.5);
        Arrays.fill(row, 7, 9, -0.5f);
        Arrays.fill(row, 9, 11, 0.5f);
        writer.append(i, i, 0, true, row);
      }
    }
    return folder;
  }

  private static double bonus(ActionScore score, float first, int states) {
    double sum = 0;
    double[] scores = new double[1];
    for (int i = 0; i < states; i++) {
      float[] state = new float[3];
      for (int s = 0; s < 3; s++) {
        state[s] = (float) Philox.normal(2, s, i);
      }
      float second = (float) (Philox.uniform(2, 4, i) - 0.5);
      score.score(0, state, 0, new float[] {first, second}, 1, scores);
      sum += scores[0];
    }
    return sum / states;
  }

  @Test
  void whatALogHoldsIsLessNovelThanWhatItLacks(@TempDir Path folder) {
    try (Replay log = Replay.open(log(folder.resolve("log")))) {
      EngineOptions options = EngineOptions.DEFAULT.withBackend("cpu").withThreads(1);
      ActionScore score = RandomNetworkDistillation.learn(log, 3_000, options, 5).bonus();
      assertThat(score.stateSize()).isEqualTo(3);
      double known = bonus(score, -0.25f, 500);
      double unknown = bonus(score, 0.5f, 500);
      assertThat(unknown).isGreaterThan(2 * known);
      double untrained = bonus(RandomNetworkDistillation.learn(log, 1, options, 5).bonus(), 0, 500);
      assertThat(unknown).isLessThan(untrained);
      assertThat(bonus(RandomNetworkDistillation.learn(log, 3_000, options, 5).bonus(), 0.5f, 500))
          .isEqualTo(unknown);
      assertThat(bonus(RandomNetworkDistillation.learn(log, 100, options, 6).bonus(), 0.5f, 500))
          .isNotEqualTo(
              bonus(RandomNetworkDistillation.learn(log, 100, options, 5).bonus(), 0.5f, 500));
    }
  }
}
