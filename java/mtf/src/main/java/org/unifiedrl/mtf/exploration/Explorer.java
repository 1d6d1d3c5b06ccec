package org.unifiedrl.mtf.exploration;

/**
 * Random actions around a baseline policy's actions, logged with what off-policy learning and
 * evaluation need: the box and the density (specification 2.1, Eq. 3, and section 10).
 *
 * <p>Every draw is keyed by (seed, user, request), so an exploration run can be repeated in any
 * order and with any number of lanes. Most implementations are immutable and may be shared by
 * threads; no call allocates.
 *
 * <p>Some remember a user's request before ({@link OrnsteinUhlenbeck}, {@link SobolBox}, {@link
 * GuidedBox}): these take one thread at a time, one row per user in a call, every user of one call
 * again in the next until it is done, as a rollout's ticks are, and allocate when they see their
 * largest number of rows. {@link #forRollout()} gives one that starts anew.
 */
public interface Explorer {

  /** Number of action dimensions A. */
  int actionSize();

  /** An explorer for one rollout from its first request on: this one if it remembers nothing. */
  default Explorer forRollout() {
    return this;
  }

  /**
   * Shows the states of the requests that {@link #explore} is called for next, to explorers that
   * look at them.
   *
   * @param states row-major {@code [rows, S]}; must not change until that call is over
   */
  default void see(float[] states) {}

  /**
   * Explores around {@code rows} baseline actions.
   *
   * @param seed key of the run
   * @param users user of each row
   * @param sessions session of each row, unique within the rollout
   * @param requests number of each row's request, unique among its user's requests, for example its
   *     time in milliseconds
   * @param rows number of requests
   * @param baseline baseline actions, row-major {@code [rows, A]}, each in [-1, 1]
   * @param actions receives the actions, {@code [rows, A]}, each in its box if it bounds the noise;
   *     may be {@code baseline} itself
   * @param low receives the lower box edges, {@code [rows, A]}
   * @param high receives the upper box edges, {@code [rows, A]}; {@code -1 <= low < high <= 1}
   * @param logDensity receives ln q(action | state) of each row, {@code [rows]}; given the requests
   *     before, too, where the explorer's page says so
   * @throws IllegalArgumentException if a baseline action is NaN or outside [-1, 1]
   */
  void explore(
      long seed,
      int[] users,
      long[] sessions,
      long[] requests,
      int rows,
      float[] baseline,
      float[] actions,
      float[] low,
      float[] high,
      float[] logDensity);
}
