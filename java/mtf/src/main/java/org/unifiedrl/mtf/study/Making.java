package org.unifiedrl.mtf.study;

/** How a method comes to its policy. */
public enum Making {
  /** It is the baseline that the configuration's {@code baseline.kind} finds; no log is needed. */
  BASELINE,
  /** {@code training} learns it offline, from a log of exploration around the baseline. */
  TRAIN,
  /**
   * {@code progressive} learns it in rounds, each from a log of exploration around what the rounds
   * before came to; all rounds together have the users and the steps of one training.
   */
  PROGRESSIVE
}
