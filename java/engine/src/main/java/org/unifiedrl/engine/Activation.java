package org.unifiedrl.engine;

/** Activation of a network's last layer; hidden layers use ReLU. */
public enum Activation {
  /** The layer's value as it is. */
  LINEAR(0),
  /** Hyperbolic tangent, for outputs in [-1, 1]. */
  TANH(1);

  private final int code;

  Activation(int code) {
    this.code = code;
  }

  /** Number in the C ABI. */
  int code() {
    return code;
  }
}
