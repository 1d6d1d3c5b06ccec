package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

/**
 * Coefficients of EDAC, with CORL's defaults.
 *
 * @param critics size of the ensemble (N), at least 2
 * @param diversity weight of the similarity of the critics' action gradients (eta), at least 0;
 *     with 0 the algorithm is SAC-N
 * @param targetEntropy entropy that the policy is held at, in nats for each dimension of the action
 * @param alpha weight of the entropy at first, positive
 * @param alphaRate Adam's learning rate of log alpha
 */
public record EdacConfig(
    int critics, double diversity, double targetEntropy, double alpha, double alphaRate) {

  /** Checks every range; messages name the key. */
  public EdacConfig {
    require("edac.critics", critics, critics >= 2, "at least 2");
    require("edac.diversity", diversity, diversity >= 0, "at least 0");
    require("edac.target_entropy", targetEntropy, true, "finite");
    require("edac.alpha", alpha, alpha > 0, "positive");
    require("edac.alpha_rate", alphaRate, alphaRate > 0, "positive");
  }

  /** CORL's defaults. */
  public static EdacConfig defaults() {
    return new EdacConfig(10, 1, -1, 1, 3e-4);
  }
}
