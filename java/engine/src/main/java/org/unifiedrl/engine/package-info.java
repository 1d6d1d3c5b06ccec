/** Programs, the native engine, replay and checkpoints; knows nothing of recommenders. */
package org.unifiedrl.engine;
