package org.unifiedrl.mtf.baseline;

import java.util.function.Supplier;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.policy.Policy;

/**
 * The policy that users were served by before anything was learned: one action for all requests, a
 * network that personalises it, or one that is known by the actions in its log alone.
 *
 * @param stateSize number of state features S
 * @param action the one action, A values in [-1, 1]; null where there is none
 * @param network the network; null where there is none
 * @param requests environment requests that were spent to find it
 */
public record Baseline(int stateSize, float[] action, MlpPolicy.Weights network, long requests) {

  /** Checks that it is not two of them. */
  public Baseline {
    if (action != null && network != null) {
      throw new IllegalArgumentException("a baseline has either one action or a network");
    }
  }

  /** What is known by its logged actions alone. */
  public static Baseline logged(int stateSize) {
    return new Baseline(stateSize, null, null, 0);
  }

  /** One action for all requests. */
  public static Baseline constant(ConstantPolicy policy, long requests) {
    return new Baseline(policy.stateSize(), policy.action(), null, requests);
  }

  /** A network. */
  public static Baseline personal(MlpPolicy.Weights network, long requests) {
    return new Baseline(network.sizes()[0], null, network, requests);
  }

  /** Whether its action depends on the state. */
  public boolean hasNetwork() {
    return network != null;
  }

  /** Whether only its logged actions are known. */
  public boolean loggedOnly() {
    return action == null && network == null;
  }

  /**
   * Gives instances of the policy, one for each thread.
   *
   * @throws IllegalStateException if only its logged actions are known
   */
  public Supplier<Policy> policy() {
    if (loggedOnly()) {
      throw new IllegalStateException("of this baseline only the logged actions are known");
    }
    return hasNetwork()
        ? () -> new MlpPolicy(network)
        : () -> new ConstantPolicy(stateSize, action);
  }
}
