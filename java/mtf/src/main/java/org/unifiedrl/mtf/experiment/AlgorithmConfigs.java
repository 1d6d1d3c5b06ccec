package org.unifiedrl.mtf.experiment;

import org.unifiedrl.mtf.algorithm.AwacConfig;
import org.unifiedrl.mtf.algorithm.BcqConfig;
import org.unifiedrl.mtf.algorithm.CqlConfig;
import org.unifiedrl.mtf.algorithm.EdacConfig;
import org.unifiedrl.mtf.algorithm.EnhancedRlConfig;
import org.unifiedrl.mtf.algorithm.IqlConfig;
import org.unifiedrl.mtf.algorithm.ReBracConfig;
import org.unifiedrl.mtf.algorithm.Td3BcConfig;
import org.unifiedrl.mtf.algorithm.Td3Config;
import org.unifiedrl.mtf.algorithm.UnifiedRlV4Config;

/**
 * What only one algorithm has, a section of the configuration for each; what all have is in {@link
 * ExperimentConfig.Training}. Defaults are those of the reference implementations.
 *
 * @param unifiedrlV4 UnifiedRL v4
 * @param enhancedrl EnhancedRL
 * @param td3 TD3
 * @param td3Bc TD3+BC
 * @param rebrac ReBRAC
 * @param iql IQL
 * @param awac AWAC
 * @param cql CQL
 * @param edac EDAC, and SAC-N
 * @param bcq BCQ
 */
public record AlgorithmConfigs(
    UnifiedRlV4Config unifiedrlV4,
    EnhancedRlConfig enhancedrl,
    Td3Config td3,
    Td3BcConfig td3Bc,
    ReBracConfig rebrac,
    IqlConfig iql,
    AwacConfig awac,
    CqlConfig cql,
    EdacConfig edac,
    BcqConfig bcq) {

  /** All defaults. */
  public static AlgorithmConfigs defaults() {
    return new AlgorithmConfigs(
        UnifiedRlV4Config.defaults(),
        EnhancedRlConfig.defaults(),
        Td3Config.defaults(),
        Td3BcConfig.defaults(),
        ReBracConfig.defaults(),
        IqlConfig.defaults(),
        AwacConfig.defaults(),
        CqlConfig.defaults(),
        EdacConfig.defaults(),
        BcqConfig.defaults());
  }
}
