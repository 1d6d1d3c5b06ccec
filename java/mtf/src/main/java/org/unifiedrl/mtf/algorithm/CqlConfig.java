package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

/**
 * Coefficients of CQL, with CORL's defaults.
 *
 * @param weight weight of the conservative term, at least 0
 * @param temperature of its log-sum-exp, positive
 * @param samples actions that it draws from each of three distributions for a state, at least 1
 * @param lagrange whether a learned multiplier of the weight holds the term at {@code gap}
 * @param gap value of the term that the multiplier aims at (tau)
 * @param multiplierRate Adam's learning rate of the multiplier's logarithm
 * @param entropyBackup whether targets have the next action's entropy
 * @param targetEntropy entropy that the policy is held at, in nats for each dimension of the action
 * @param alpha weight of the entropy at first, positive
 * @param alphaRate Adam's learning rate of log alpha
 */
public record CqlConfig(
    double weight,
    double temperature,
    int samples,
    boolean lagrange,
    double gap,
    double multiplierRate,
    boolean entropyBackup,
    double targetEntropy,
    double alpha,
    double alphaRate) {

  /** Checks every range; messages name the key. */
  public CqlConfig {
    require("cql.weight", weight, weight >= 0, "at least 0");
    require("cql.temperature", temperature, temperature > 0, "positive");
    require("cql.samples", samples, samples >= 1, "at least 1");
    require("cql.gap", gap, true, "finite");
    require("cql.multiplier_rate", multiplierRate, multiplierRate > 0, "positive");
    require("cql.target_entropy", targetEntropy, true, "finite");
    require("cql.alpha", alpha, alpha > 0, "positive");
    require("cql.alpha_rate", alphaRate, alphaRate > 0, "positive");
  }

  /** CORL's defaults. */
  public static CqlConfig defaults() {
    return new CqlConfig(10, 1, 10, false, -1, 3e-4, false, -1, 1, 3e-5);
  }
}
