package org.unifiedrl.engine;

/** A part of a network's state; all have the size and layout of the parameters. */
public enum Section {
  /** Weights and biases. */
  PARAMETERS(0),
  /**
   * Gradients of the last step before clipping; readable with {@link EngineOptions#materialise}.
   */
  GRADIENTS(1),
  /** First moment of Adam. */
  MOMENT1(2),
  /** Second moment of Adam. */
  MOMENT2(3);

  private final int code;

  Section(int code) {
    this.code = code;
  }

  /** Number in the C ABI. */
  int code() {
    return code;
  }
}
