package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

/**
 * Coefficients of TD3, with the authors' defaults.
 *
 * @param policyNoise standard deviation of the noise on the target policy's actions
 * @param noiseClip largest size of that noise; 0 for no limit
 * @param actorPeriod steps from one update of the actor to the next
 */
public record Td3Config(double policyNoise, double noiseClip, int actorPeriod) {

  /** Checks every range; messages name the key. */
  public Td3Config {
    requireSmoothing("td3", policyNoise, noiseClip, actorPeriod);
  }

  /** The authors' defaults. */
  public static Td3Config defaults() {
    return new Td3Config(0.2, 0.5, 2);
  }

  static void requireSmoothing(
      String section, double policyNoise, double noiseClip, int actorPeriod) {
    require(section + ".policy_noise", policyNoise, policyNoise >= 0, "at least 0");
    require(section + ".noise_clip", noiseClip, noiseClip >= 0, "at least 0");
    require(section + ".actor_period", actorPeriod, actorPeriod >= 1, "at least 1");
  }
}
