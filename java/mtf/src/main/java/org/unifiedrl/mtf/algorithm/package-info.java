/** UnifiedRL as a program of the engine, its training loop, and the policies that it makes. */
package org.unifiedrl.mtf.algorithm;
