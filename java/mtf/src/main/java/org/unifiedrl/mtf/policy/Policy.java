package org.unifiedrl.mtf.policy;

/**
 * A deterministic map from states to normalised actions: one vector of fusion powers and biases per
 * request, each dimension in [-1, 1] (specification 1.2).
 *
 * <p>Instances may hold scratch memory: one thread at a time.
 */
public interface Policy {

  /** Number of state features S. */
  int stateSize();

  /** Number of action dimensions A. */
  int actionSize();

  /**
   * Computes the actions of {@code rows} requests.
   *
   * @param states row-major {@code [rows, S]}; longer arrays are allowed
   * @param rows number of requests, at least 0
   * @param actions receives row-major {@code [rows, A]}
   */
  void act(float[] states, int rows, float[] actions);
}
