package org.unifiedrl.mtf.baseline;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;

/**
 * A network that personalises the fusion vector, found by search over its parameters: the paper's
 * production baseline, "ES" (specification section 7), is that with an {@link EvolutionStrategy}.
 * The network sees the state as it is, which environments give in the order of one.
 */
public final class PolicySearch {

  private static final long DRAWS = 0x5053L << 32;

  /** Share of its usual size at which the last layer starts: the others must get a signal. */
  private static final double LAST_LAYER = 0.01;

  private PolicySearch() {}

  /**
   * The shape of a network for an environment.
   *
   * @param hidden units of each hidden layer
   */
  public static int[] sizes(Environment environment, Iterable<Integer> hidden) {
    IntStream.Builder sizes = IntStream.builder();
    sizes.add(environment.stateSize());
    hidden.forEach(sizes::add);
    sizes.add(environment.actionSize());
    return sizes.build().toArray();
  }

  /**
   * Parameters of a network that acts nearly like one vector in every state: hidden layers at
   * random, uniform within one over the root of their inputs, the last layer near 0 but for its
   * bias.
   *
   * @param sizes units of each layer, inputs first
   * @param action the vector, each value in [-1, 1]
   * @param seed key of the draws
   * @return weights and biases in the engine's flat layout
   */
  public static float[] start(int[] sizes, float[] action, long seed) {
    int count = 0;
    for (int l = 1; l < sizes.length; l++) {
      count += (sizes[l - 1] + 1) * sizes[l];
    }
    float[] parameters = new float[count];
    int at = 0;
    for (int l = 1; l < sizes.length; l++) {
      boolean last = l == sizes.length - 1;
      double reach = (last ? LAST_LAYER : 1) / Math.sqrt(sizes[l - 1]);
      for (int i = 0; i < (sizes[l - 1] + 1) * sizes[l]; i++, at++) {
        parameters[at] = (float) (reach * (2 * Philox.uniform(seed, DRAWS, at) - 1));
      }
    }
    for (int k = 0; k < action.length; k++) {
      double a = Math.max(-0.999, Math.min(0.999, action[k]));
      parameters[count - action.length + k] = (float) (0.5 * Math.log((1 + a) / (1 - a)));
    }
    return parameters;
  }

  /** The network with these parameters. */
  public static MlpPolicy.Weights weights(int[] sizes, float[] parameters) {
    float[] scale = new float[sizes[0]];
    Arrays.fill(scale, 1);
    return new MlpPolicy.Weights(sizes, parameters, new float[sizes[0]], scale);
  }

  /**
   * Searches for the best network.
   *
   * @param users users to search on, none of whom the policy should be judged on
   * @param sizes units of each layer, inputs first
   * @param searcher proposes parameters
   * @return parameters, and what they took
   * @throws SearchBudgetException if the budget ends before the first round does
   */
  public static BudgetedSearch.Result search(
      Environment environment,
      UserRange users,
      int[] sizes,
      Searcher searcher,
      ConstantVectorSearch.Trial trial,
      SearchBudget budget,
      BudgetedSearch.Progress progress) {
    return BudgetedSearch.search(
        searcher,
        (parameters, luck, allowance) -> {
          try (MlpPolicy policy = new MlpPolicy(weights(sizes, parameters))) {
            return trial.value(environment, users, policy, luck, allowance);
          }
        },
        budget,
        progress);
  }
}
