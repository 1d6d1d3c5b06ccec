package org.unifiedrl.mtf.baseline;

import java.util.function.Supplier;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.policy.Policy;

/**
 * The policy that users were served by before anything was learned: one action for all requests, or
 * a network that personalises it.
 *
 * @param stateSize number of state features S
 * @param action the one action, A values in [-1, 1]; null where there is a network
 * @param network the network; null where there is one action
 * @param requests environment requests that were spent to find it
 */
public record Baseline(int stateSize, float[] action, MlpPolicy.Weights network, long requests) {

  /** Checks that it is one of the two. */
  public Baseline {
    if ((action == null) == (network == null)) {
      throw new IllegalArgumentException("a baseline has either one action or a network");
    }
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

  /** Gives instances of the policy, one for each thread. */
  public Supplier<Policy> policy() {
    return hasNetwork()
        ? () -> new MlpPolicy(network)
        : () -> new ConstantPolicy(stateSize, action);
  }
}
