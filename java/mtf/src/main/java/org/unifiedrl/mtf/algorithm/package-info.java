/** Learning algorithms as programs of engine operations, and their training. */
package org.unifiedrl.mtf.algorithm;
