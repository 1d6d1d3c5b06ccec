package org.unifiedrl.mtf.algorithm;

import java.util.Map;

/** Told about training after each chunk of steps, on the training thread. */
@FunctionalInterface
public interface TrainingListener {

  /**
   * Reports progress.
   *
   * @param step steps completed since the beginning, those before a resume included
   * @param metrics means over the chunk's steps, by name
   */
  void progress(long step, Map<String, Double> metrics);
}
