package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

/**
 * Coefficients of ReBRAC, with CORL's defaults. The authors tune the two weights for every data
 * set, from 0.001 to 0.1 and more.
 *
 * @param actorWeight weight of the squared distance to the logged action in the actor's loss
 * @param criticWeight weight of that to the next logged action in the critics' targets
 * @param policyNoise standard deviation of the noise on the target policy's actions
 * @param noiseClip largest size of that noise; 0 for no limit
 * @param actorPeriod steps from one update of the actor to the next
 */
public record ReBracConfig(
    double actorWeight,
    double criticWeight,
    double policyNoise,
    double noiseClip,
    int actorPeriod) {

  /** Checks every range; messages name the key. */
  public ReBracConfig {
    require("rebrac.actor_weight", actorWeight, actorWeight >= 0, "at least 0");
    require("rebrac.critic_weight", criticWeight, criticWeight >= 0, "at least 0");
    Td3Config.requireSmoothing("rebrac", policyNoise, noiseClip, actorPeriod);
  }

  /** CORL's defaults. */
  public static ReBracConfig defaults() {
    return new ReBracConfig(1, 1, 0.2, 0.5, 2);
  }
}
