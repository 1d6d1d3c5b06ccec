/**
 * Serving in the JVM: a trained policy as one file, its pure-Java evaluation for ranking services,
 * and the log of what was explored. Nothing here loads native code but {@code
 * org.unifiedrl.mtf.serving.ServingLog}'s off-heap ring, which is Agrona's and pure Java too.
 */
package org.unifiedrl.mtf.serving;
