/** The whole loop: baseline, exploration log, offline training, offline evaluation, A/B test. */
package org.unifiedrl.mtf.experiment;
