package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

/**
 * Coefficients of TD3+BC, with the authors' defaults.
 *
 * @param alpha weight of the value in the actor's loss, relative to the mean absolute value
 * @param policyNoise standard deviation of the noise on the target policy's actions
 * @param noiseClip largest size of that noise; 0 for no limit
 * @param actorPeriod steps from one update of the actor to the next
 */
public record Td3BcConfig(double alpha, double policyNoise, double noiseClip, int actorPeriod) {

  /** Checks every range; messages name the key. */
  public Td3BcConfig {
    require("td3_bc.alpha", alpha, alpha >= 0, "at least 0");
    Td3Config.requireSmoothing("td3_bc", policyNoise, noiseClip, actorPeriod);
  }

  /** The authors' defaults. */
  public static Td3BcConfig defaults() {
    return new Td3BcConfig(2.5, 0.2, 0.5, 2);
  }

  /** What TD3 has too. */
  public Td3Config td3() {
    return new Td3Config(policyNoise, noiseClip, actorPeriod);
  }
}
