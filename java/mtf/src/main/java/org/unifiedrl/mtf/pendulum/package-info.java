/**
 * A small control task beside the recommender: the algorithms learn it from the files that their
 * reference implementations learn it from, so that scores can be compared.
 */
package org.unifiedrl.mtf.pendulum;
