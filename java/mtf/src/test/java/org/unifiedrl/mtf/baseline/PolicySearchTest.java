package org.unifiedrl.mtf.baseline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.baseline.ConstantVectorSearch.Objective;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.session.Simulator;

class PolicySearchTest {

  private static final Simulator WORLD = new Simulator(); // all dials on
  private static final float[] EQUAL = EqualWeights.of(WORLD).action();
  private static final int[] SIZES = PolicySearch.sizes(WORLD, List.of(16));

  private static BudgetedSearch.Result search(long seed, long requests) {
    // Larger steps than the defaults': this search is short.
    EvolutionStrategy.Settings settings = new EvolutionStrategy.Settings(16, 0.1, 0.03, 0.005);
    return PolicySearch.search(
        WORLD,
        WORLD.trainUsers(),
        SIZES,
        new EvolutionStrategy(PolicySearch.start(SIZES, EQUAL, seed), settings, seed),
        new ConstantVectorSearch.Trial(40, 1, seed, Objective.RETURN),
        SearchBudget.ofRequests(requests),
        BudgetedSearch.Progress.NONE);
  }

  @Test
  void startsAtTheVectorInEveryState() {
    float[] parameters = PolicySearch.start(SIZES, EQUAL, 3);
    MlpPolicy policy = new MlpPolicy(PolicySearch.weights(SIZES, parameters));
    float[] states = new float[2 * WORLD.stateSize()];
    for (int i = 0; i < states.length; i++) {
      states[i] = (float) Math.sin(i);
    }
    float[] actions = new float[20];
    policy.act(states, 2, actions);
    for (int i = 0; i < 20; i++) {
      // The last layer adds at most 0.01 / 4 SUM |hidden|, some 0.02.
      assertThat(actions[i]).isCloseTo(EQUAL[i % 10], within(0.03f));
    }
    assertThat(actions[0]).as("not the same, though").isNotEqualTo(actions[10]);
  }

  @Test
  void personalisedWeightsBeatEqualOnesAndASeedGivesOneResult() {
    BudgetedSearch.Result found = search(8, 300_000);
    assertThat(found.requests()).isBetween(270_000L, 300_000L);
    AbTest.Result test =
        AbTest.run(
            WORLD,
            () -> new ConstantPolicy(WORLD.stateSize(), EQUAL),
            () -> new MlpPolicy(PolicySearch.weights(SIZES, found.action())),
            new AbTest.Settings(77, WORLD.judgeUsers().slice(0, 4_000), 1, 2, 64, 200),
            AbTest.Progress.NONE);
    assertThat(test.returnsLift().low()).as("%s", test.returnsLift()).isGreaterThan(5);

    BudgetedSearch.Result once = search(9, 40_000);
    assertThat(search(9, 40_000).action()).containsExactly(once.action());
    assertThat(search(10, 40_000).action()).isNotEqualTo(once.action());
  }
}
