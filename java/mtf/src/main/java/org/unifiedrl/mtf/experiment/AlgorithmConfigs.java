package org.unifiedrl.mtf.experiment;

import org.unifiedrl.mtf.algorithm.Td3BcConfig;
import org.unifiedrl.mtf.algorithm.Td3Config;

/**
 * What only one algorithm has, a section of the configuration for each; what all have is in {@link
 * ExperimentConfig.Training}. Defaults are those of the reference implementations.
 *
 * @param td3 TD3
 * @param td3Bc TD3+BC
 */
public record AlgorithmConfigs(Td3Config td3, Td3BcConfig td3Bc) {

  /** All defaults. */
  public static AlgorithmConfigs defaults() {
    return new AlgorithmConfigs(Td3Config.defaults(), Td3BcConfig.defaults());
  }
}
