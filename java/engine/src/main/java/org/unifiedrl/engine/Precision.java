package org.unifiedrl.engine;

/**
 * Arithmetic of matrix products, which are nearly all of a step's work. Parameters, moments, sums
 * and every other op are float32 in all of them.
 */
public enum Precision {
  /** Factors and sums are float32: what results of different back ends are compared in. */
  FP32(0),
  /**
   * Factors are rounded to 10 bits of mantissa, sums are float32; on NVIDIA's tensor cores only.
   */
  TF32(1),
  /**
   * Factors and stored activations are bfloat16, with 7 bits of mantissa; sums are float32, and
   * Adam works on float32 copies of the parameters. On NVIDIA's tensor cores only.
   */
  BF16(2);

  private final int code;

  Precision(int code) {
    this.code = code;
  }

  /** Number in the C ABI. */
  int code() {
    return code;
  }
}
