package org.unifiedrl.mtf.experiment;

import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;

/**
 * Who is served by which stage. Each slice starts at an offset that depends on the seed, so that
 * seeds meet different people where the environment has enough of them.
 *
 * <p>The last fifth of the training range is set aside, unless so many are to be learned from that
 * less is left: nothing is learned there, whatever the seed. It holds the users of offline
 * evaluation and those of validation.
 *
 * @param search users to find the baseline on: all but those set aside
 * @param learn users to learn from, among them
 * @param heldOut users of offline evaluation
 * @param test users of the A/B test
 */
record Populations(UserRange search, UserRange learn, UserRange heldOut, UserRange test) {

  private static final long LEARN = 0x4c45_4152L;
  private static final long HELD_OUT = 0x484f_4c44L;
  private static final long JUDGE = 0x4a55_4447L;

  static Populations of(Environment environment, ExperimentConfig config) {
    UserRange all = environment.trainUsers();
    int fifth = Math.max(1, all.count() / 5);
    int held = Math.min(config.exploration().heldOutUsers(), fifth);
    int learners = Math.min(config.exploration().users(), all.count() - held);
    int aside = Math.min(fifth, all.count() - learners);
    UserRange search = all.slice(0, all.count() - aside);
    UserRange rest = all.slice(all.count() - aside, aside);
    UserRange heldOut = slice(rest, held, config.seed(), HELD_OUT);
    int users = config.evaluation().users();
    UserRange test =
        config.evaluation().population() == ExperimentConfig.Population.JUDGE
            ? slice(environment.judgeUsers(), users, config.seed(), JUDGE)
            : downFrom(heldOut, rest, users);
    return new Populations(search, slice(search, learners, config.seed(), LEARN), heldOut, test);
  }

  /** So many users of a range, or all; which ones depends on the seed. */
  private static UserRange slice(UserRange range, int limit, long seed, long use) {
    int count = Math.min(limit, range.count());
    long room = range.count() - count + 1L;
    return range.slice((int) Long.remainderUnsigned(Philox.bits(seed, use, 0), room), count);
  }

  /** The users up to the last of {@code part}, and only if they are too few those after it. */
  private static UserRange downFrom(UserRange part, UserRange range, int limit) {
    int count = Math.min(limit, range.count());
    int end = part.first() + part.count() - range.first();
    return range.slice(end - count, count);
  }
}
