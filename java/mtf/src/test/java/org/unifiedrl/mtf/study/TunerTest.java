package org.unifiedrl.mtf.study;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unifiedrl.mtf.experiment.ExperimentConfig;

class TunerTest {

  private static final Space SPACE =
      new Space(
          List.of(
              new Space.Dimension("training.eta", 0.1, 10, true, false, null),
              new Space.Dimension("training.batch", 100, 300, false, true, null),
              new Space.Dimension("training.omega", 0, 0, false, false, List.of(1.0, 2.0, 4.0))));

  private static final Map<String, Object> START =
      Map.of("training.eta", 0.3, "training.batch", 500L, "training.omega", 4.0);

  /** A made-up training: eta is best at 1, batch at 250, omega at 2; less of it, less is seen. */
  private static double worth(Map<String, Object> settings, double share) {
    double eta = Math.log10(((Number) settings.get("training.eta")).doubleValue());
    double batch = ((Number) settings.get("training.batch")).doubleValue();
    double omega = ((Number) settings.get("training.omega")).doubleValue();
    return share * (5 - eta * eta - Math.pow((batch - 250) / 100, 2) - (omega == 2 ? 0 : 0.5));
  }

  private final List<Double> spent = new ArrayList<>();

  /** Trainings that are worth less than this diverge. */
  private double diverging = Double.NEGATIVE_INFINITY;

  private Tuning.Result tune(Tuner tuner, int budget) {
    ExperimentConfig any = ExperimentConfig.defaults();
    return new Tuning(SPACE, START, tuner, budget, Comparison.UVC, 7)
        .run(
            (settings, share) -> {
              String name = settings + " " + share + " " + worth(settings, share);
              return List.of(
                  new Cell("w", "box", name, 1, Making.TRAIN, any, null),
                  new Cell("w", "box", name, 2, Making.TRAIN, any, null));
            },
            cells -> {
              List<CellResult> results = new ArrayList<>();
              for (Cell cell : cells) {
                String[] words = cell.method().split(" ", -1);
                double value = Double.parseDouble(words[words.length - 1]);
                if (value < diverging) {
                  results.add(CellResult.diverged("", "step 3", ""));
                  continue;
                }
                spent.add(Double.parseDouble(words[words.length - 2]));
                // Seeds differ, and not in what is better.
                results.add(result((float) (value + cell.seed())));
              }
              return results;
            });
  }

  private static CellResult result(float uvc) {
    return new CellResult(
        "",
        new CellResult.Served(new float[] {uvc}, new float[] {1}, 1, 1),
        new CellResult.Offline(Double.NaN, 0, Double.NaN),
        new CellResult.Explored(-2, 0.25),
        new CellResult.Cost(Map.of(), 0, 0),
        "",
        "",
        List.of(),
        "",
        "");
  }

  @ParameterizedTest
  @EnumSource(Tuner.class)
  void everyTunerFindsAGoodPointWithinTheSameBudget(Tuner tuner) {
    Tuning.Result found = tune(tuner, 27);
    double trainings = spent.stream().mapToDouble(s -> s).sum() / 2; // two seeds
    assertThat(trainings).isLessThanOrEqualTo(27 + 1e-9);
    assertThat(trainings).as("points on the same settings are run once").isGreaterThan(20);
    assertThat(worth(found.settings(), 1)).isGreaterThan(4.5);
    assertThat(found.value()).isCloseTo(worth(found.settings(), 1) + 1.5, within(1e-5));
    double best =
        found.trials().stream()
            .filter(trial -> trial.share() == 1)
            .mapToDouble(trial -> trial.value().mean())
            .max()
            .orElseThrow();
    assertThat(found.value()).isEqualTo(best);
    assertThat(found.trials().get(0).value().seeds()).isEqualTo(2);
    assertThat(tune(tuner, 27)).isEqualTo(found);
  }

  /** Nobody ends up worse than without tuning, as far as trials can tell. */
  @ParameterizedTest
  @EnumSource(Tuner.class)
  void theSettingsAsTheyAreAreAmongTheFirstTrials(Tuner tuner) {
    assertThat(tune(tuner, 27).trials().subList(0, 7))
        .extracting(Tuning.Trial::settings)
        // Batches end at 300 in this space.
        .contains(Map.of("training.eta", 0.3, "training.batch", 300L, "training.omega", 4.0));
  }

  /** Of what is not in the space nothing is known. */
  @Test
  void theStartIsTheNearestPoint() {
    assertThat(SPACE.point(Map.of("training.eta", 1, "training.omega", 1.0)))
        .containsExactly(new float[] {0.5f, 0.5f, 1 / 6f}, within(1e-6f));
    assertThat(SPACE.point(Map.of("training.eta", 1e-9, "training.omega", 3.0)))
        .containsExactly(new float[] {0, 0.5f, 0.5f}, within(1e-6f));
    assertThat(SPACE.point(Map.of("training.batch", 150)))
        .containsExactly(new float[] {0.5f, 0.25f, 0.5f}, within(1e-6f));
  }

  @Test
  void theBayesianTunerRepeatsNothing() {
    Tuning.Result found = tune(Tuner.BAYESIAN, 27);
    assertThat(found.trials()).hasSize(27);
    // Whole numbers and choices may coincide; the points at the end do not fall back on the best.
    assertThat(found.trials().get(25).settings()).isNotEqualTo(found.trials().get(26).settings());
  }

  @ParameterizedTest
  @EnumSource(Tuner.class)
  void trainingsThatDivergeAreWorthLeast(Tuner tuner) {
    diverging = tuner == Tuner.HALVING ? 0.3 : 2.5;
    Tuning.Result found = tune(tuner, 27);
    assertThat(found.trials()).anyMatch(trial -> trial.value().seeds() == 0);
    assertThat(found.value()).isCloseTo(worth(found.settings(), 1) + 1.5, within(1e-5));
    assertThat(worth(found.settings(), 1)).isGreaterThan(4);
    diverging = 100;
    assertThatThrownBy(() -> tune(tuner, 27))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("every training diverged");
  }

  @Test
  void halvingKeepsTheBestThird() {
    Tuning.Result found = tune(Tuner.HALVING, 9);
    assertThat(found.trials()).extracting(Tuning.Trial::share).filteredOn(s -> s < 0.2).hasSize(27);
    assertThat(found.trials()).extracting(Tuning.Trial::share).filteredOn(s -> s == 1).hasSize(3);
    List<Double> first =
        found.trials().subList(0, 27).stream().map(trial -> trial.value().mean()).sorted().toList();
    for (Tuning.Trial second : found.trials().subList(27, 36)) {
      double before = worth(second.settings(), Tuner.SHARES[0]) + 1.5;
      assertThat(before).isGreaterThanOrEqualTo(first.get(18) - 1e-5);
    }
    assertThat(Tuner.cost(27)).isCloseTo(9, within(1e-12));
  }

  @Test
  void aBudgetThatIsTooSmallIsRefused() {
    assertThatThrownBy(() -> tune(Tuner.BAYESIAN, 6))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a budget of 6 trainings is too small: tuner bayesian needs 7 for 3 settings");
  }

  @Test
  void settingsAreReadable() {
    assertThat(SPACE.settings(new float[] {0.5f, 0.25f, 0.99f}))
        .containsEntry("training.eta", 1.0)
        .containsEntry("training.batch", 150L)
        .containsEntry("training.omega", 4.0);
    assertThat(SPACE.settings(new float[] {0, 1, 1}))
        .containsEntry("training.eta", 0.1)
        .containsEntry("training.batch", 300L)
        .containsEntry("training.omega", 4.0);
    assertThat(SPACE.settings(new float[] {0.123f, 0, 0}).get("training.eta")).isEqualTo(0.1762);
    assertThatThrownBy(() -> new Space.Dimension("x", 0, 1, true, false, null))
        .hasMessage("x: a logarithmic range begins above 0, found 0.0");
    assertThatThrownBy(() -> new Space.Dimension("x", 1, 1, false, false, List.of()))
        .hasMessageContaining("expected a range from a number to a larger one");
  }
}
