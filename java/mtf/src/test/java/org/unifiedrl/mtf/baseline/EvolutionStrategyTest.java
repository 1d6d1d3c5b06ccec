package org.unifiedrl.mtf.baseline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Philox;

class EvolutionStrategyTest {

  private static EvolutionStrategy strategy(int size, int pairs, double rate, double decay) {
    float[] start = new float[size];
    Arrays.fill(start, 1);
    return new EvolutionStrategy(
        start, new EvolutionStrategy.Settings(pairs, 0.02, rate, decay), 5);
  }

  @Test
  void pairsAreMirroredAroundTheMeanAndDifferFromRoundToRound() {
    EvolutionStrategy search = strategy(50, 3, 0.01, 0);
    float[][] first = search.propose(0);
    assertThat(first).hasDimensions(6, 50);
    double squares = 0;
    for (int pair = 0; pair < 3; pair++) {
      for (int i = 0; i < 50; i++) {
        assertThat(first[2 * pair][i] + first[2 * pair + 1][i]).isCloseTo(2, within(1e-6f));
        squares += Math.pow(first[2 * pair][i] - 1, 2);
      }
    }
    // 150 draws: five standard errors of the variance are 58 %.
    assertThat(squares / 150).isCloseTo(0.02 * 0.02, within(0.58 * 0.02 * 0.02));
    search.observe(new double[6]);
    assertThat(search.propose(0)[0]).isNotEqualTo(first[0]);
  }

  /** Adam's first step is its rate in the gradient's direction, whatever the gradient's size. */
  @Test
  void theFirstStepGoesUpTheEstimatedGradient() {
    EvolutionStrategy search = strategy(4, 2, 0.01, 0);
    float[][] vectors = search.propose(0);
    double[] values = {3, -7, 0.5, 0.6}; // ranks 1/2, -1/2, -1/6, 1/6
    search.observe(values);
    float[] found = search.best();
    for (int i = 0; i < 4; i++) {
      double gradient = (vectors[0][i] - 1) * 1.0 + (vectors[2][i] - 1) * (-1 / 3.0);
      assertThat(found[i]).isCloseTo((float) (1 + 0.01 * Math.signum(gradient)), within(1e-6f));
    }
  }

  @Test
  void withoutADifferenceOnlyTheDecayMovesTheMean() {
    EvolutionStrategy search = strategy(4, 2, 0.01, 0.005);
    search.propose(0);
    search.observe(new double[] {2, 2, 2, 2});
    for (float value : search.best()) {
      assertThat(value).isCloseTo(0.99f, within(1e-5f));
    }
  }

  @Test
  void equalValuesShareTheirRank() {
    assertThat(EvolutionStrategy.centredRanks(new double[] {5, 1, 5, 9}))
        .containsExactly(0, -0.5, 0, 0.5);
    assertThat(EvolutionStrategy.centredRanks(new double[] {4, 4})).containsExactly(0, 0);
  }

  /** 300 values, of which only the distance to a target is seen, with noise. */
  @Test
  void climbsInManyDimensionsThroughNoise() {
    int size = 300;
    EvolutionStrategy search = strategy(size, 50, 0.02, 0);
    BudgetedSearch.Objective objective =
        (vector, luck, allowance) -> {
          double squares = 0;
          for (int i = 0; i < size; i++) {
            double target = i % 2 == 0 ? 1.5 : 0.5;
            squares += (vector[i] - target) * (vector[i] - target);
          }
          double noise = Philox.normal(luck, 1, Float.floatToIntBits(vector[0]));
          return allowance.take(1) ? -squares + 0.5 * noise : Double.NaN;
        };
    BudgetedSearch.Result result =
        BudgetedSearch.search(
            search, objective, SearchBudget.ofRequests(15_000), BudgetedSearch.Progress.NONE);
    assertThat(result.requests()).isEqualTo(15_000);
    double squares = 0;
    for (int i = 0; i < size; i++) {
      double target = i % 2 == 0 ? 1.5 : 0.5;
      squares += Math.pow(result.action()[i] - target, 2);
    }
    assertThat(squares).as("from 75").isLessThan(7.5);
  }

  @Test
  void badConstantsAreNamed() {
    assertThatThrownBy(() -> new EvolutionStrategy.Settings(0, 1, 1, 0))
        .hasMessageContaining("pairs of at least 1");
    assertThatThrownBy(() -> new EvolutionStrategy.Settings(1, 0, 1, 0))
        .hasMessageContaining("got 1, 0.0");
    assertThatThrownBy(() -> new EvolutionStrategy.Settings(1, 1, 1, -1))
        .hasMessageContaining("decay");
  }
}
