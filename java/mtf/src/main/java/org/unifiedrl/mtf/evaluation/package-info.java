/**
 * Judging fusion policies: ranking quality (MTF-GAUC), off-policy estimates from exploration logs,
 * and paired A/B tests in an environment, each with its interval. Knows policies and environments,
 * not how either is made.
 */
package org.unifiedrl.mtf.evaluation;
