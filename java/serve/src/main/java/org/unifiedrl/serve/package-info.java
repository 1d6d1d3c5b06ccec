/** Ranking over HTTP by a trained policy: an example of a service around FusionPolicy. */
package org.unifiedrl.serve;
