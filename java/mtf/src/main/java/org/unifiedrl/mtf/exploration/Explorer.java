package org.unifiedrl.mtf.exploration;

/**
 * Random actions around a baseline policy's actions, logged with what off-policy learning and
 * evaluation need: the box and the density (specification 2.1, Eq. 3, and section 10).
 *
 * <p>Every draw is keyed by (seed, user, request), so an exploration run can be repeated in any
 * order and with any number of lanes. Implementations are immutable and may be shared by threads;
 * no call allocates.
 */
public interface Explorer {

  /** Number of action dimensions A. */
  int actionSize();

  /**
   * Explores around {@code rows} baseline actions.
   *
   * @param seed key of the run
   * @param users user of each row
   * @param requests number of each row's request, unique among its user's requests, for example its
   *     time in milliseconds
   * @param rows number of requests
   * @param baseline baseline actions, row-major {@code [rows, A]}, each in [-1, 1]
   * @param actions receives the actions, {@code [rows, A]}, each in its box; may be {@code
   *     baseline} itself
   * @param low receives the lower box edges, {@code [rows, A]}
   * @param high receives the upper box edges, {@code [rows, A]}; {@code -1 <= low < high <= 1}
   * @param logDensity receives ln q(action | state) of each row, {@code [rows]}
   * @throws IllegalArgumentException if a baseline action is NaN or outside [-1, 1]
   */
  void explore(
      long seed,
      int[] users,
      long[] requests,
      int rows,
      float[] baseline,
      float[] actions,
      float[] low,
      float[] high,
      float[] logDensity);
}
