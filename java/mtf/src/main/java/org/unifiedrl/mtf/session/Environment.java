package org.unifiedrl.mtf.session;

import java.util.List;
import org.unifiedrl.mtf.fusion.ActionMap;

/**
 * A world in which a fusion policy serves users: the simulator, or recorded exposures replayed.
 *
 * <p>An environment is immutable after its construction and may be shared by threads; each {@link
 * Rollout} belongs to one thread. The same seed, users and days give the same users and the same
 * random draws whatever the policy does (common random numbers), so that two policies are compared
 * on equal luck.
 */
public interface Environment {

  /** Short name, as given on the command line: {@code simulator} or {@code kuairand}. */
  String name();

  /** Names of the S state features, in order. */
  List<String> stateNames();

  /** Number of state features S. */
  default int stateSize() {
    return stateNames().size();
  }

  /** Map between normalised actions and (power, bias) of each predicted score. */
  ActionMap actionMap();

  /** Number of action dimensions A (two per predicted score). */
  default int actionSize() {
    return actionMap().actionSize();
  }

  /** Names of the q reward groups, in order; specification 2.2 has watch time and all others. */
  List<String> rewardGroups();

  /** Names of the k predicted scores (multi-task heads), in fusion order. */
  List<String> scoreNames();

  /** Names of the behaviours in {@link Rollout#pageResponses()}, in order. */
  List<String> responseNames();

  /**
   * Instant reward of one shown item (specification 1.4): a page's rewards, summed over groups, are
   * the sum of its items'.
   *
   * @param responses holds the item's behaviours in the order of {@link #responseNames()}
   * @param at position of the first one
   */
  double reward(float[] responses, int at);

  /** Number of items on a page, l. */
  int pageSize();

  /** Users that policies may learn from. */
  UserRange trainUsers();

  /** Users that policies are judged on; disjoint from {@link #trainUsers()}. */
  UserRange judgeUsers();

  /** Whether users come back on other days, so that results are per user and day. */
  default boolean hasDays() {
    return true;
  }

  /**
   * Whether there are users to serve. A log of requests has none: it can be learned from, and
   * {@link #rollout} refuses.
   */
  default boolean hasUsers() {
    return true;
  }

  /** What a reader of this environment's results must know, one sentence each. */
  List<String> limits();

  /**
   * Starts serving a range of users.
   *
   * @param seed key of every random draw
   * @param users users to serve, each exactly once
   * @param days days per user, at least 1; environments without days ignore it
   * @param lanes upper bound of users in flight at once, at least 1; does not change any result
   */
  Rollout rollout(long seed, UserRange users, int days, int lanes);

  /** Users {@code first .. first + count - 1}. */
  record UserRange(int first, int count) {
    public UserRange {
      if (first < 0 || count < 0) {
        throw new IllegalArgumentException(
            "user range first=" + first + " count=" + count + ": both must be at least 0");
      }
    }

    /** The sub-range that starts {@code offset} users in and holds at most {@code limit} users. */
    public UserRange slice(int offset, int limit) {
      int from = Math.min(Math.max(offset, 0), count);
      return new UserRange(first + from, Math.min(limit, count - from));
    }
  }
}
