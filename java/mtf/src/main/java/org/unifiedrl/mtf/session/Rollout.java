package org.unifiedrl.mtf.session;

/**
 * Users being served, several at a time: each tick, {@link #active()} requests wait in lanes {@code
 * 0 .. active - 1}, {@link #serve} answers all of them, the outcome arrays then describe those same
 * lanes, and {@link #advance} moves on to the next request of each lane.
 *
 * <pre>{@code
 * while (rollout.active() > 0) {
 *   policy.act(rollout.states(), rollout.active(), actions);
 *   rollout.serve(actions);
 *   // read rewards(), last(), ...
 *   rollout.advance();
 * }
 * }</pre>
 *
 * <p>Arrays are owned by the rollout, reused at every tick, and may be longer than needed. One
 * thread at a time. No call allocates.
 */
public interface Rollout {

  /** Requests that wait for an action; 0 when every user is done. */
  int active();

  /**
   * States of the waiting requests, row-major {@code [active, S]}. {@link #serve} may change them:
   * copy what is needed after it.
   */
  float[] states();

  /** User of each lane. */
  int[] users();

  /**
   * Session of each lane: unique within the rollout, and constant from the first request to the
   * last.
   */
  long[] sessions();

  /** Time of each lane's request, milliseconds (simulated or recorded). */
  long[] times();

  /**
   * Fuses, ranks and shows one page per lane and draws the responses.
   *
   * @param actions normalised actions, row-major {@code [active, A]}, each in [-1, 1]
   * @throws IllegalArgumentException if an action is not a number in [-1, 1]
   */
  void serve(float[] actions);

  /**
   * Predicts before {@link #serve} what it will predict again: {@link #candidateScores()} are then
   * those of the waiting requests.
   */
  void predict();

  /**
   * Serves like {@link #serve}, but fuses the scores of each candidate by an action of its own.
   *
   * @param actions normalised actions, row-major {@code [active, n, A]}, each in [-1, 1]; those
   *     beyond a request's candidates change nothing
   * @throws IllegalArgumentException if an action is not a number in [-1, 1]
   */
  void serveEach(float[] actions);

  /** After {@link #serve}: rewards, row-major {@code [active, q]}. */
  float[] rewards();

  /** After {@link #serve}: whether the request was the last of its session. */
  boolean[] last();

  /**
   * After {@link #serve}: predicted scores of the shown items, {@code [active, l, k]}; 0 if none.
   */
  float[] pageScores();

  /** After {@link #serve}: responses to the shown items, {@code [active, l, responses]}. */
  float[] pageResponses();

  /** After {@link #serve}: number of items shown in each lane, at most l. */
  int[] pageItems();

  /** Most candidates that a request can have, n. */
  int candidates();

  /**
   * After {@link #predict} or {@link #serve}: predicted scores of all candidates, task by task,
   * {@code [active, k, n]}; 0 beyond the candidates of a request that has fewer than n.
   */
  float[] candidateScores();

  /**
   * After {@link #serve}: the place of each shown item among the candidates, {@code [active, l]};
   * -1 beyond {@link #pageItems()}.
   */
  int[] pageCandidates();

  /** Moves each lane to its next request; lanes whose user is done are refilled or removed. */
  void advance();

  /** Sums per user so far; complete once {@link #active()} is 0. */
  UserTotals totals();
}
