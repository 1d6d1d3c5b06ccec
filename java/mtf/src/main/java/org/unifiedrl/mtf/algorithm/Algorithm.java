package org.unifiedrl.mtf.algorithm;

import java.util.List;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;

/**
 * An offline algorithm: one training step as a program, and what to know of it to run, save and
 * serve it. Written for one layout of transitions; holds no data and no parameters.
 */
public interface Algorithm {

  /** The step. */
  Program program();

  /** What a step draws, with the constants that are written before the first one. */
  Batch batch();

  /**
   * Sets all parameters for the first step, the normalisation in {@link #batch} excepted. The
   * policy starts near the served action: one that starts elsewhere starts where nothing was
   * logged.
   *
   * @param seed key of the random parameters
   * @param start the served policy's action, the same in every state, in [-1, 1]
   */
  void initialise(Engine engine, long seed, float[] start);

  /** How its networks act. */
  ServedPolicy policy();

  /** All networks, in the order of a checkpoint. */
  default List<NetworkRef> networks() {
    return program().networks();
  }

  /** Those that an optimiser moves, and which therefore have moments. */
  default List<NetworkRef> trained() {
    return program().trained();
  }

  /** Names of what a step reports; {@code NAME/I} is that of reward group I, from 0. */
  default List<String> metrics() {
    return program().metrics();
  }

  /** Multiply-adds of a step for one request, matrix products only, none that nobody needs. */
  default long multiplyAdds() {
    return program().multiplyAdds() / batch().size();
  }
}
