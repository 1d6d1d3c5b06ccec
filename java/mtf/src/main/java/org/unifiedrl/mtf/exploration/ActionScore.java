package org.unifiedrl.mtf.exploration;

/**
 * Says how much exploring promises at each of some actions in a state: what {@link GuidedBox}
 * chooses by. One thread at a time.
 */
public interface ActionScore {

  /** Number of state features S. */
  int stateSize();

  /** Number of action dimensions A. */
  int actionSize();

  /**
   * Scores actions; the larger, the more is promised.
   *
   * @param choice uniform in [0, 1), the same at all requests of a session: for scores that are
   *     drawn once a session
   * @param state holds the state's S features from {@code stateAt} on
   * @param actions row-major {@code [count, A]}
   * @param scores receives {@code count} finite numbers
   */
  void score(
      double choice, float[] state, int stateAt, float[] actions, int count, double[] scores);
}
