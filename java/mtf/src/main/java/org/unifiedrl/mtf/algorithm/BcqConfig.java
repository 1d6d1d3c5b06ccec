package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

/**
 * Coefficients of BCQ, with the authors' defaults.
 *
 * @param perturbation how far an action may lie from a decoded one in each dimension (Phi), in (0,
 *     1]
 * @param leastWeight weight of the smaller of two critics in the targets, the larger one has the
 *     rest (lambda), in [0, 1]
 * @param targetCandidates decoded actions of a next state, the best of which counts (n), at least 1
 * @param servedCandidates decoded actions of a request that the policy chooses from, at least 1
 * @param generatorRate Adam's learning rate of the model of logged actions
 */
public record BcqConfig(
    double perturbation,
    double leastWeight,
    int targetCandidates,
    int servedCandidates,
    double generatorRate) {

  /** Checks every range; messages name the key. */
  public BcqConfig {
    require("bcq.perturbation", perturbation, perturbation > 0 && perturbation <= 1, "in (0, 1]");
    require("bcq.least_weight", leastWeight, leastWeight >= 0 && leastWeight <= 1, "in [0, 1]");
    require("bcq.target_candidates", targetCandidates, targetCandidates >= 1, "at least 1");
    require("bcq.served_candidates", servedCandidates, servedCandidates >= 1, "at least 1");
    require("bcq.generator_rate", generatorRate, generatorRate > 0, "positive");
  }

  /** The authors' defaults. */
  public static BcqConfig defaults() {
    return new BcqConfig(0.05, 0.75, 10, 100, 1e-3);
  }
}
