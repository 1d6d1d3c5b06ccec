package org.unifiedrl.mtf.study;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.experiment.ExperimentConfig;

class ComparisonTest {

  private final List<Cell> cells = new ArrayList<>();
  private final List<CellResult> results = new ArrayList<>();

  private void add(String world, String data, String method, long seed, float[] uvc, double ncis) {
    ExperimentConfig any = ExperimentConfig.defaults();
    Cell cell = new Cell(world, data, method, seed, Making.TRAIN, any, any);
    cells.add(cell);
    results.add(
        new CellResult(
            cell.identity(),
            new CellResult.Served(uvc, new float[] {100, 200, 300, 400}, 7, 5),
            new CellResult.Offline(ncis, 10, 0.5),
            new CellResult.Explored(-2, 0.25),
            new CellResult.Cost(Map.of("train", 3.0), 11, 13),
            "",
            "",
            List.of(),
            "",
            ""));
  }

  private static float[] times(double factor, float... values) {
    float[] scaled = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      scaled[i] = (float) (factor * values[i]);
    }
    return scaled;
  }

  /** Users differ by a factor of 100; pairs differ by 10 % to the last bit. */
  @Test
  void usersAreComparedInPairs() {
    float[] users = {1, 8, 64, 128};
    add("w", Cell.NO_DATA, "es", 1, users, 1);
    add("w", "box", "rl", 1, times(1.25, users), 1);
    Interval lift = Comparison.of(cells, results, "es", 200).rows().get(1).seeds().get(0).uvc();
    assertThat(lift.mean()).isCloseTo(25, within(1e-9));
    assertThat(lift.high() - lift.low()).isCloseTo(0, within(1e-9));
  }

  @Test
  void seedsAreSummarisedByStudentsTAndCorrectedWithinAWorld() {
    for (int seed = 1; seed <= 3; seed++) {
      float[] users = times(seed, 1, 2, 3, 4);
      for (String world : List.of("a", "b")) {
        add(world, Cell.NO_DATA, "es", seed, users, 1);
        add(world, "box", "rl", seed, times(1 + 0.25 * seed, users), seed == 2 ? Double.NaN : 4);
        add(world, "box", "worse", seed, times(1 - 0.125 * seed, users), 1);
      }
    }
    Comparison comparison = Comparison.of(cells, results, "es", 100);
    assertThat(comparison.worlds()).containsExactly("a", "b");
    List<Comparison.Row> rows = comparison.rows("a");
    assertThat(rows).extracting(row -> row.cell().method()).containsExactly("es", "rl", "worse");
    SeedSummary better = rows.get(1).metrics().get(Comparison.UVC_LIFT);
    assertThat(better.mean()).isCloseTo(50, within(1e-9));
    assertThat(better.deviation()).isCloseTo(25, within(1e-9));
    // t = 50 / (25 / sqrt 3) for both, of 2 degrees of freedom: p = .0741799; times 2.
    assertThat(better.p()).isCloseTo(0.07417990, within(1e-7));
    assertThat(rows.get(1).corrected().get(Comparison.UVC_LIFT))
        .isCloseTo(2 * better.p(), within(1e-9));
    assertThat(rows.get(2).metrics().get(Comparison.UVC_LIFT).mean()).isCloseTo(-25, within(1e-9));
    assertThat(rows.get(0).corrected()).isEmpty();
    assertThat(rows.get(1).metrics().get("ncis").seeds()).isEqualTo(2);
    assertThat(rows.get(1).metrics().get("ncis").mean()).isEqualTo(4);
    assertThat(rows.get(1).metrics().get(Comparison.UVC).mean())
        .isCloseTo((2.5 * 1.25 + 5 * 1.5 + 7.5 * 1.75) / 3, within(1e-6));
    assertThat(rows.get(1).metrics().get("train_seconds").mean()).isEqualTo(3);
    // No watch time differs: nothing to test, whatever the seeds.
    assertThat(rows.get(1).corrected().get(Comparison.UDT_LIFT)).isNaN();
  }

  @Test
  void theReferenceOnTheSameDataComesFirst() {
    float[] users = {1, 2, 3, 4};
    add("w", "box", "rl", 1, users, 1);
    add("w", "gaussian", "rl", 1, times(2, users), 1);
    add("w", "gaussian", "other", 1, times(4, users), 1);
    Comparison comparison = Comparison.of(cells, results, "rl", 100);
    assertThat(comparison.rows().get(2).metrics().get(Comparison.UVC_LIFT).mean())
        .isCloseTo(100, within(1e-9));
    assertThatThrownBy(() -> Comparison.of(cells, results, "es", 100))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("there is no cell of the reference 'es' for w--box--rl--1");
  }
}
