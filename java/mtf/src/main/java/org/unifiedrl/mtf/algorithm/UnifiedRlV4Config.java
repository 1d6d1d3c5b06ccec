package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

/**
 * What UnifiedRL v4 has instead of the attenuation; the rest is {@link UnifiedRlConfig}'s.
 *
 * @param targetPenalty weight of the box penalty in the critics' targets (c); 1.2, as eta
 */
public record UnifiedRlV4Config(double targetPenalty) {

  /** Checks every range; messages name the key. */
  public UnifiedRlV4Config {
    require("unifiedrl_v4.target_penalty", targetPenalty, targetPenalty >= 0, "at least 0");
  }

  /** The specification's default. */
  public static UnifiedRlV4Config defaults() {
    return new UnifiedRlV4Config(1.2);
  }
}
