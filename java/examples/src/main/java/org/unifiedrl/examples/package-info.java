/** Programs that use the engine as a library; {@code docs/linking.md} explains them. */
package org.unifiedrl.examples;
