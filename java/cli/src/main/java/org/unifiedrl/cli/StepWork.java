package org.unifiedrl.cli;

import java.util.List;

/**
 * The arithmetic of one UnifiedRL step, counted as multiply-adds of its matrix products only,
 * without input gradients that nobody needs. With an actor S - hidden - A and E critics (S + A) -
 * hidden - 1, a sample costs
 *
 * <pre>
 *   target actor and actor, forward                       2 forward(actor)
 *   target critics, critics, critics at mu(s), forward    3 E forward(critic)
 *   critics, weight gradients                             E forward(critic)
 *   critics, input gradients above layer 1                E above(critic)
 *   critics, gradient down to the action                  E (above(critic) + A h_1)
 *   actor, weight gradients, and input gradients above    forward(actor) + above(actor)
 * </pre>
 *
 * with forward the sum of in x out over layers and above the same without the first layer.
 */
final class StepWork {

  private StepWork() {}

  /** Multiply-adds per sample. */
  static long multiplyAdds(int state, int action, List<Integer> hidden, int critics) {
    long actorAbove = above(hidden, action);
    long criticAbove = above(hidden, 1);
    int first = hidden.isEmpty() ? 1 : hidden.get(0);
    long actor = actorAbove + (long) state * (hidden.isEmpty() ? action : first);
    long critic = criticAbove + (long) (state + action) * first;
    return 2 * actor
        + 3 * critics * critic
        + critics * critic
        + critics * criticAbove
        + critics * (criticAbove + (long) action * first)
        + actor
        + actorAbove;
  }

  private static long above(List<Integer> hidden, int out) {
    long sum = 0;
    for (int i = 0; i < hidden.size(); i++) {
      sum += (long) hidden.get(i) * (i + 1 < hidden.size() ? hidden.get(i + 1) : out);
    }
    return sum;
  }
}
