package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

/**
 * Coefficients of EnhancedRL beyond those of UnifiedRL (specification 8.1).
 *
 * @param criticsPerGroup critics in each reward group (m); 10 in the paper
 */
public record EnhancedRlConfig(int criticsPerGroup) {

  /** Checks the range. */
  public EnhancedRlConfig {
    require("enhancedrl.critics_per_group", criticsPerGroup, criticsPerGroup >= 1, "at least 1");
  }

  /** The paper's. */
  public static EnhancedRlConfig defaults() {
    return new EnhancedRlConfig(10);
  }
}
