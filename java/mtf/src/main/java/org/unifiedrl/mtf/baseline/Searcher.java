package org.unifiedrl.mtf.baseline;

/**
 * A search for the vector of highest worth in a box. It proposes vectors round after round and is
 * told what they were worth; {@link BudgetedSearch} evaluates them and keeps the accounts. The same
 * seed and the same worths give the same proposals. One thread at a time.
 */
public interface Searcher {

  /**
   * The vectors of the next round, all of them in the box; not to be changed by the caller.
   *
   * @param spent share of the budget that is spent, from 0 to below 1, for methods with phases
   */
  float[][] propose(double spent);

  /**
   * Learns what the vectors of the round were worth.
   *
   * @param values one value for each proposed vector, finite, higher is better
   */
  void observe(double[] values);

  /** What has been found so far; the start before anything was observed. A copy. */
  float[] best();

  /**
   * Whether the vectors of the next round shall meet the same luck, for methods that compare them
   * with each other; otherwise each meets its own, so that errors are independent.
   */
  default boolean sharesLuck() {
    return true;
  }
}
