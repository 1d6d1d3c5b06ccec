/**
 * Real exposures as an environment: KuaiRand's published files (Gao et al., CIKM 2022,
 * https://kuairand.com), in which a policy chooses which of a user's recorded exposures are shown.
 */
package org.unifiedrl.mtf.kuairand;
