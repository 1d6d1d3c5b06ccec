package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

/**
 * Coefficients of AWAC, with CORL's defaults.
 *
 * @param lambda advantage that multiplies an action's weight by e, positive
 * @param weightCap largest weight of an action, positive
 */
public record AwacConfig(double lambda, double weightCap) {

  /** Checks every range; messages name the key. */
  public AwacConfig {
    require("awac.lambda", lambda, lambda > 0, "positive");
    require("awac.weight_cap", weightCap, weightCap > 0, "positive");
  }

  /** CORL's defaults. */
  public static AwacConfig defaults() {
    return new AwacConfig(1, 100);
  }
}
