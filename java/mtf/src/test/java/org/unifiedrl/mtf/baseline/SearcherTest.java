package org.unifiedrl.mtf.baseline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What every method owes. */
class SearcherTest {

  private static final SearchBox BOX = SearchBox.actions(4);
  private static final float[] START = {0.9f, -0.9f, 0.9f, -0.9f};
  private static final float[] OPTIMUM = {-0.3f, 0.2f, 0.55f, -0.8f};

  enum Method {
    CROSS_ENTROPY,
    RANDOM,
    GRID,
    COORDINATE,
    CMA_ES,
    BAYESIAN;

    Searcher create(long seed) {
      return switch (this) {
        case CROSS_ENTROPY -> new CrossEntropy(START, 2, 0.5, 32, 8, seed, 7);
        case RANDOM -> Screening.random(BOX, START, seed);
        case GRID -> Screening.grid(BOX, START, 4, seed);
        case COORDINATE -> new CoordinateSearch(BOX, START, 5);
        case CMA_ES -> new CmaEs(BOX, START, 0.5, seed);
        case BAYESIAN -> new BayesianOptimisation(BOX, START, seed);
      };
    }

    /** A trial costs a Gaussian process time, and teaches it more. */
    int evaluations() {
      return this == BAYESIAN ? 100 : 400;
    }

    /** How far below 0 the found value may lie without noise. */
    double tolerance() {
      return switch (this) {
        case COORDINATE -> 1e-4;
        case CMA_ES -> 1e-2;
        case BAYESIAN -> 2e-3;
        case CROSS_ENTROPY -> 0.05; // its deviation has a floor
        // A point of the grid lies within 1/3 of the optimum in each dimension: 10 / 9 at worst.
        case GRID -> 10.0 / 9;
        // A ball of this value has 1.1 % of the box's volume; 280 points miss it with probability
        // 0.05, and the seed is fixed.
        case RANDOM -> 1;
      };
    }
  }

  private static TestObjective quadratic(double noise, long seed) {
    return new TestObjective(x -> TestObjective.quadratic(x, OPTIMUM), noise, seed);
  }

  @ParameterizedTest
  @EnumSource
  void findsAKnownOptimum(Method method) {
    TestObjective objective = quadratic(0, 1);
    double found = objective.truth(objective.search(method.create(3), method.evaluations()));
    assertThat(found).isBetween(-method.tolerance(), 0.0);
  }

  /**
   * Noise of deviation 0.5 against -11.4 at the start. A method that is fooled by one lucky value
   * would, over 10 seeds, be far off in some of them.
   */
  @ParameterizedTest
  @EnumSource
  void findsANoisyOptimumNearly(Method method) {
    double sum = 0;
    for (int seed = 0; seed < 10; seed++) {
      TestObjective objective = quadratic(0.5, seed);
      sum += objective.truth(objective.search(method.create(seed), method.evaluations())) / 10;
    }
    assertThat(sum).isGreaterThan(-0.5 - method.tolerance());
  }

  @ParameterizedTest
  @EnumSource
  void sameSeedSameResultWithinTheBoxAndTheBudget(Method method) {
    float[][] found = new float[2][];
    for (int i = 0; i < 2; i++) {
      TestObjective objective =
          new TestObjective(
              x -> {
                for (float v : x) {
                  assertThat(v).isBetween(-1f, 1f);
                }
                return x[0] + x[1]; // optima at the edge draw methods out of the box
              },
              0.3,
              5);
      BudgetedSearch.Result result =
          BudgetedSearch.search(
              method.create(11),
              objective,
              new SearchBudget(1000, 120, Double.POSITIVE_INFINITY),
              BudgetedSearch.Progress.NONE);
      assertThat(result.requests()).isEqualTo(objective.served.get()).isBetween(85L, 120L);
      found[i] = result.action();
    }
    assertThat(found[0]).containsExactly(found[1]);
    assertThat(found[0]).isNotEqualTo(START);
    if (method != Method.COORDINATE && method != Method.GRID) {
      assertThat(quadratic(0.3, 5).search(method.create(12), 100))
          .isNotEqualTo(quadratic(0.3, 5).search(method.create(11), 100));
    }
  }

  @ParameterizedTest
  @EnumSource
  void beforeAnythingIsKnownTheStartIsBest(Method method) {
    Searcher searcher = method.create(1);
    assertThat(searcher.best()).containsExactly(START);
    searcher.best()[0] = 7;
    assertThat(searcher.best()).containsExactly(START);
  }

  @ParameterizedTest
  @EnumSource
  void aConstantObjectiveIsNoProblem(Method method) {
    TestObjective objective = new TestObjective(x -> 3, 0, 1);
    assertThat(objective.search(method.create(1), 120)).hasSize(4);
  }

  @Test
  void gridVisitsEachPointOnceAndItsEdges() {
    Screening grid = Screening.grid(SearchBox.actions(2), new float[2], 3, 5);
    float[][] points = grid.propose(0);
    assertThat(Arrays.stream(points).map(Arrays::toString))
        .containsExactlyInAnyOrder(
            "[-1.0, -1.0]",
            "[-1.0, 0.0]",
            "[-1.0, 1.0]",
            "[0.0, -1.0]",
            "[0.0, 0.0]",
            "[0.0, 1.0]",
            "[1.0, -1.0]",
            "[1.0, 0.0]",
            "[1.0, 1.0]");
    assertThat(Screening.levels(2, 13)).isEqualTo(3);
    assertThat(Screening.levels(2, 12)).isEqualTo(2); // 0.7 * 12 is below 9
    assertThat(Screening.levels(10, 320)).isEqualTo(1);
  }

  /** The lucky one of the screening loses the play-off. */
  @Test
  void screeningChoosesByThePlayOff() {
    Screening random = Screening.random(SearchBox.actions(1), new float[1], 5);
    float[][] points = random.propose(0);
    double[] values = new double[points.length];
    values[3] = 100;
    values[4] = 50;
    random.observe(values);
    assertThat(random.best()).containsExactly(points[3]);
    assertThat(random.sharesLuck()).isFalse();
    float[][] finalists = random.propose(0.8);
    assertThat(random.sharesLuck()).isTrue();
    assertThat(finalists).hasDimensions(9, 1);
    assertThat(finalists[0]).containsExactly(points[3]);
    assertThat(finalists[8]).containsExactly(0);
    double[] again = new double[finalists.length];
    again[1] = 1;
    random.observe(again);
    assertThat(finalists[1]).containsExactly(points[4]);
    assertThat(random.best()).containsExactly(points[4]);
    assertThat(random.propose(0.9)).hasDimensions(7, 1);
  }

  @Test
  void coordinateSearchTakesOnlyWhatWinsTwice() {
    CoordinateSearch search = new CoordinateSearch(SearchBox.actions(1), new float[] {0}, 3);
    assertThat(search.propose(0)).isDeepEqualTo(new float[][] {{0}, {-1}, {1}});
    search.observe(new double[] {0, -1, 1});
    assertThat(search.propose(0)).isDeepEqualTo(new float[][] {{0}, {1}});
    search.observe(new double[] {2, 0});
    assertThat(search.best()).containsExactly(0);
    assertThat(search.propose(0)).isDeepEqualTo(new float[][] {{0}, {-0.5f}, {0.5f}});
    search.observe(new double[] {0, 30, 1});
    search.propose(0);
    search.observe(new double[] {2, 1}); // however far ahead it was with the luck it was chosen by
    assertThat(search.best()).containsExactly(0);
    search = new CoordinateSearch(SearchBox.actions(1), new float[] {0}, 3);
    search.propose(0);
    search.observe(new double[] {2, 1, 0});
    search.propose(0);
    search.observe(new double[] {0, 3, 1});
    search.propose(0);
    search.observe(new double[] {0, 2});
    assertThat(search.best()).containsExactly(-0.5f);
    // Half as wide again, and moved into the box where it would leave it.
    assertThat(search.propose(0)).isDeepEqualTo(new float[][] {{-0.5f}, {-0.75f}, {-0.25f}});
  }

  @Test
  void badArgumentsAreNamed() {
    assertThatThrownBy(() -> new CmaEs(BOX, new float[3], 0.5, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("the start has 3 values, the box 4");
    assertThatThrownBy(() -> new CoordinateSearch(BOX, new float[] {0, 0, 2, 0}, 5))
        .hasMessageContaining("dimension 2 of the start is 2.0; expected a number in [-1.0, 1.0]");
    assertThatThrownBy(() -> new CoordinateSearch(BOX, START, 1)).hasMessageContaining("1 levels");
    assertThatThrownBy(() -> new CmaEs(BOX, START, 0, 1)).hasMessageContaining("deviation");
    assertThatThrownBy(() -> new CmaEs(BOX, START, 0.5, 3, 1)).hasMessageContaining("at least 4");
    assertThatThrownBy(() -> Screening.grid(SearchBox.actions(30), new float[30], 2, 1))
        .hasMessageContaining("2 levels in 30 dimensions");
    assertThatThrownBy(() -> new SearchBox(new float[] {1}, new float[] {1}))
        .hasMessageContaining("dimension 0 of the box is [1.0, 1.0]");
    assertThatThrownBy(() -> new SearchBox(new float[1], new float[2]))
        .hasMessageContaining("1 and 2");
    assertThatThrownBy(() -> new SearchBudget(1, 0, 1)).hasMessageContaining("got 1, 0, 1.0");
    assertThat(BOX.width(0)).isCloseTo(2, within(0.0));
  }
}
