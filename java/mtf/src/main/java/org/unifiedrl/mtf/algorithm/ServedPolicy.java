package org.unifiedrl.mtf.algorithm;

import java.util.function.Function;
import java.util.function.Supplier;
import org.unifiedrl.mtf.policy.PairPolicy;
import org.unifiedrl.mtf.policy.Policy;

/** How the networks of a trained algorithm act when users are served; named in checkpoints. */
public enum ServedPolicy {
  /** Network {@code actor}, whose last layer ends in tanh. */
  ACTOR {
    @Override
    public Supplier<Policy> of(Function<String, MlpPolicy.Weights> networks) {
      MlpPolicy.Weights actor = networks.apply("actor");
      return () -> new MlpPolicy(actor);
    }
  },

  /** Network {@code actor}, which acts on every (user, candidate) pair of a request. */
  PAIR_ACTOR {
    @Override
    public Supplier<Policy> of(Function<String, MlpPolicy.Weights> networks) {
      Supplier<Policy> actor = ACTOR.of(networks);
      return () -> new PairPolicy(actor.get());
    }
  },

  /**
   * Network {@code actor}, which gives mean and log standard deviation of a Gaussian that goes
   * through tanh: its mean.
   */
  SQUASHED_MEAN {
    @Override
    public Supplier<Policy> of(Function<String, MlpPolicy.Weights> networks) {
      MlpPolicy.Weights mean = networks.apply("actor").mean();
      return () -> new MlpPolicy(mean);
    }
  },

  /** Of actions decoded from fixed latents and perturbed, the one that a critic values most. */
  BEST_OF_DECODED {
    @Override
    public Supplier<Policy> of(Function<String, MlpPolicy.Weights> networks) {
      MlpPolicy.Weights decoder = networks.apply("decoder");
      MlpPolicy.Weights perturbation = networks.apply("perturbation");
      MlpPolicy.Weights range = networks.apply("range");
      MlpPolicy.Weights latents = networks.apply("latents");
      MlpPolicy.Weights critic = networks.apply("critic");
      return () -> new BestOfDecodedPolicy(decoder, perturbation, range, latents, critic);
    }
  };

  /**
   * Gives instances of the policy, one for each thread.
   *
   * @param networks parameters of a network's first member by its name, with the normalisation of
   *     the states that stand first among its inputs
   */
  public abstract Supplier<Policy> of(Function<String, MlpPolicy.Weights> networks);
}
