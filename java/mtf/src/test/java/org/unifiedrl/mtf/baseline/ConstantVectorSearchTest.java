package org.unifiedrl.mtf.baseline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
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
