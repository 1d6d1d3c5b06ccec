/**
 * Fusion policies without learning: one vector for all requests, given or found by search. They are
 * what a learned policy starts from and has to beat.
 */
package org.unifiedrl.mtf.baseline;
