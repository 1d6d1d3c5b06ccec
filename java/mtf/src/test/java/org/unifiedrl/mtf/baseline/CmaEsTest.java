package org.unifiedrl.mtf.baseline;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unifiedrl.engine.Philox;

class CmaEsTest {

  private static final int SIZE = 10;

  private static float[] filled(float value) {
    float[] vector = new float[SIZE];
    Arrays.fill(vector, value);
    return vector;
  }

  /** Some 6,000 evaluations solve it in the literature; a local optimum lies near (-1, 1, ..). */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void solvesRosenbrockInTenDimensions(long seed) {
    SearchBox box = new SearchBox(filled(-2), filled(2));
    TestObjective objective = new TestObjective(TestObjective::rosenbrock, 0, 1);
    float[] found = objective.search(new CmaEs(box, filled(0), 0.5, seed), 12_000);
    assertThat(objective.truth(found)).isBetween(-1e-8, 0.0);
  }

  /**
   * The covariance follows the function: axes of a rotated ellipsoid differ by 1,000 in length.
   * With C = I, 6,000 evaluations end above 1.
   */
  @Test
  void adaptsToARotatedEllipsoid() {
    double[][] axes = new double[SIZE][SIZE];
    for (int a = 0; a < SIZE; a++) { // Gram and Schmidt
      for (int k = 0; k < SIZE; k++) {
        axes[a][k] = Philox.normal(9, a, k);
      }
      for (int b = 0; b < a; b++) {
        double along = 0;
        for (int k = 0; k < SIZE; k++) {
          along += axes[a][k] * axes[b][k];
        }
        for (int k = 0; k < SIZE; k++) {
          axes[a][k] -= along * axes[b][k];
        }
      }
      double norm = Math.sqrt(Arrays.stream(axes[a]).map(v -> v * v).sum());
      for (int k = 0; k < SIZE; k++) {
        axes[a][k] /= norm;
      }
    }
    TestObjective objective =
        new TestObjective(
            x -> {
              double sum = 0;
              for (int a = 0; a < SIZE; a++) {
                double along = 0;
                for (int k = 0; k < SIZE; k++) {
                  along += axes[a][k] * (x[k] - 0.1);
                }
                sum -= Math.pow(1e6, a / (SIZE - 1.0)) * along * along;
              }
              return sum;
            },
            0,
            1);
    float[] found =
        objective.search(new CmaEs(SearchBox.actions(SIZE), filled(0.5f), 0.5, 4), 6_000);
    assertThat(objective.truth(found)).isBetween(-1e-6, 0.0);
  }

  @Test
  void findsOptimaAtTheEdge() {
    TestObjective objective = new TestObjective(x -> TestObjective.quadratic(x, filled(3)), 0, 1);
    float[] found = objective.search(new CmaEs(SearchBox.actions(SIZE), filled(0), 0.5, 4), 3_000);
    for (float v : found) {
      assertThat(v).isBetween(0.999f, 1f);
    }
  }

  @Test
  void averagesWhereNoiseDecidesTheOrder() {
    float[] optimum = filled(0.25f);
    double sum = 0;
    for (int seed = 0; seed < 5; seed++) {
      TestObjective objective =
          new TestObjective(x -> TestObjective.quadratic(x, optimum), 1, seed);
      float[] found =
          objective.search(new CmaEs(SearchBox.actions(SIZE), filled(-0.9f), 0.5, seed), 4_000);
      sum += objective.truth(found) / 5;
    }
    // -72.7 at the start; noise of deviation 1.
    assertThat(sum).isGreaterThan(-0.6);
  }

  @Test
  void examinesNoiseOnlyWhereThereIsSome() {
    for (double noise : new double[] {0, 1e6}) {
      CmaEs search = new CmaEs(SearchBox.actions(SIZE), filled(0), 0.5, 1);
      int repeated = 0;
      float[][] before = {};
      for (int round = 0; round < 60; round++) {
        float[][] vectors = search.propose(0);
        repeated += Arrays.deepEquals(vectors, before) ? 1 : 0;
        before = vectors;
        double[] values = new double[vectors.length];
        for (int i = 0; i < values.length; i++) {
          values[i] =
              TestObjective.quadratic(vectors[i], filled(0.2f))
                  + noise * Philox.normal(3, i, round);
        }
        search.observe(values);
      }
      if (noise == 0) {
        assertThat(repeated).isEqualTo(1); // once, to see that there is none
      } else {
        assertThat(repeated).isGreaterThan(40);
      }
    }
  }
}
