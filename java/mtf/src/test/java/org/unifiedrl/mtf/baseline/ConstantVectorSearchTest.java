package org.unifiedrl.mtf.baseline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Simulator;

class ConstantVectorSearchTest {

  @Test
  void searchIsReproducibleImprovesAndCountsItsRequests() {
    Simulator world = new Simulator();
    float[] start = EqualWeights.of(world).action();
    ConstantVectorSearch.Settings settings =
        new ConstantVectorSearch.Settings(
            12, 3, 4, 300, 1, 0.5, 8, ConstantVectorSearch.Objective.VALID_CONSUMPTIONS);
    List<Long> spent = new ArrayList<>();
    BudgetedSearch.Result result =
        ConstantVectorSearch.search(
            world, world.trainUsers(), start, settings, (g, best, s) -> spent.add(s.requests()));
    assertThat(spent).hasSize(4).isSorted().last().isEqualTo(result.requests());
    assertThat(
            ConstantVectorSearch.search(
                    world, world.trainUsers(), start, settings, (g, best, s) -> {})
                .action())
        .containsExactly(result.action());
    Environment.UserRange judged = world.judgeUsers().slice(0, 5000);
    assertThat(uvc(world, result.action(), judged)).isGreaterThan(uvc(world, start, judged));
  }

  /** The cross-entropy search finds what it found when it knew no other method beside it. */
  @Test
  void searchStaysThatOfEarlierVersions() {
    Simulator world = new Simulator();
    BudgetedSearch.Result result =
        ConstantVectorSearch.search(
            world,
            world.trainUsers(),
            EqualWeights.of(world).action(),
            new ConstantVectorSearch.Settings(
                12, 3, 4, 300, 1, 0.5, 8, ConstantVectorSearch.Objective.VALID_CONSUMPTIONS),
            BudgetedSearch.Progress.NONE);
    assertThat(result.requests()).isEqualTo(83_590);
    assertThat(result.action())
        .containsExactly(
            -0.6053139f,
            -0.8705189f,
            -0.1745068f,
            -0.53187823f,
            -0.7726957f,
            -0.40924022f,
            -0.3090266f,
            -0.47629988f,
            -0.7843938f,
            -0.26444843f);
  }

  /** With equally many requests every method beats equal weights, on users that none has met. */
  @ParameterizedTest
  @ValueSource(strings = {"cross-entropy", "random", "coordinate", "cma-es", "bayesian"})
  void everyMethodBeatsEqualWeightsAtTheSameBudget(String method) {
    Simulator world = new Simulator();
    float[] start = EqualWeights.of(world).action();
    SearchBox box = SearchBox.actions(start.length);
    Searcher searcher =
        switch (method) {
          case "cross-entropy" -> new CrossEntropy(start, 2, 0.5, 16, 4, 8, 1);
          case "random" -> Screening.random(box, start, 8);
          case "coordinate" -> new CoordinateSearch(box, start, 5);
          case "cma-es" -> new CmaEs(box, start, 0.5, 8);
          default -> new BayesianOptimisation(box, start, 8);
        };
    BudgetedSearch.Result result =
        ConstantVectorSearch.search(
            world,
            world.trainUsers(),
            searcher,
            new ConstantVectorSearch.Trial(
                200, 1, 8, ConstantVectorSearch.Objective.VALID_CONSUMPTIONS),
            SearchBudget.ofRequests(100_000),
            BudgetedSearch.Progress.NONE);
    assertThat(result.requests()).isBetween(75_000L, 100_000L);
    Environment.UserRange judged = world.judgeUsers().slice(0, 3000);
    double lift = uvc(world, result.action(), judged) / uvc(world, start, judged) - 1;
    assertThat(lift).isGreaterThan(0.05);
  }

  private static double uvc(Simulator world, float[] action, Environment.UserRange users) {
    return Arrays.stream(
            ConstantVectorSearch.evaluate(world, action, 77, users, 1).validConsumptions())
        .sum();
  }

  @Test
  void equalWeightsMeanEqualPowers() {
    ActionMap map =
        new ActionMap(
            new double[] {0, -1},
            new double[] {4, 3},
            new double[] {1e-3, 1e-4},
            new double[] {1, 2});
    float[] action = EqualWeights.of(3, map, 1, 0.01).action();
    for (int i = 0; i < 2; i++) {
      assertThat(Math.abs(map.power(i, action[i]) - 1)).isLessThan(1e-6);
      assertThat(Math.abs(map.bias(i, action[2 + i]) - 0.01)).isLessThan(1e-7);
    }
  }

  @Test
  void constantPolicyFillsEveryRowAndRejectsBadActions() {
    ConstantPolicy policy = new ConstantPolicy(3, new float[] {0.5f, -1});
    float[] actions = new float[5];
    policy.act(new float[6], 2, actions);
    assertThat(actions).containsExactly(0.5f, -1, 0.5f, -1, 0);
    assertThatThrownBy(() -> new ConstantPolicy(3, new float[] {1.5f}))
        .hasMessageContaining("dimension 0 is 1.5");
    assertThatThrownBy(
            () ->
                new ConstantVectorSearch.Settings(
                    1, 1, 1, 1, 1, 1, 1, ConstantVectorSearch.Objective.RETURN))
        .hasMessageContaining("population >= 4");
  }
}
