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
 * @param canary users of the canary A/B tests of progressive training, or none
 * @param test users of the A/B test
 */
record Populations(
    UserRange search, UserRange learn, UserRange heldOut, UserRange canary, UserRange test) {

  private static final long LEARN = 0x4c45_4152L;
  private static final long HELD_OUT = 0x484f_4c44L;
  private static final long JUDGE = 0x4a55_4447L;

  /** No users at all. */
  static final Populations NOBODY;

  static {
    UserRange none = new UserRange(0, 0);
    NOBODY = new Populations(none, none, none, none, none);
  }

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
    return new Populations(
        search, slice(search, learners, config.seed(), LEARN), heldOut, rest.slice(0, 0), test);
  }

  /**
   * Who is served by the rounds of progressive training, all of them together: the same people to
   * learn from and to judge as in a plain run, and among those set aside, apart from each other,
   * the users of offline evaluation, of the canaries, and of validation if that is what the
   * configuration asks for. Where they are too few, each of the three gets its share.
   *
   * @throws IllegalArgumentException if there are too few users for the rounds
   */
  static Populations progressive(Environment environment, ExperimentConfig config) {
    Populations plain = of(environment, config);
    ExperimentConfig.Progressive settings = config.progressive();
    UserRange all = environment.trainUsers();
    int searched = plain.search.count();
    UserRange rest = all.slice(searched, all.count() - searched);
    boolean validated = config.evaluation().population() == ExperimentConfig.Population.VALIDATION;
    double most = rest.count();
    double held = Math.min(most, config.exploration().heldOutUsers());
    double canary =
        Math.min(most, Math.ceil(settings.canaryShare() * all.count()) * settings.rounds());
    double test = validated ? Math.min(most, config.evaluation().users()) : 0;
    double share = Math.min(1, most / (held + canary + test));
    int heldUsers = (int) (held * share);
    int canaryUsers = (int) (canary * share);
    int testUsers = (int) (test * share);
    UserRange people = slice(rest, heldUsers + canaryUsers + testUsers, config.seed(), HELD_OUT);
    Populations whole =
        new Populations(
            plain.search,
            plain.learn,
            people.slice(0, heldUsers),
            people.slice(heldUsers, canaryUsers),
            validated ? people.slice(heldUsers + canaryUsers, testUsers) : plain.test);
    int fewest =
        Math.min(whole.learn.count(), Math.min(whole.heldOut.count(), whole.canary.count()));
    if (fewest < settings.rounds() || whole.test.count() < 1) {
      throw new IllegalArgumentException(
          ("progressive.rounds is %d, and of environment %s there are %d users to learn from, %d held"
                  + " out, %d for canaries and %d to test on: expected at least one to test on, and"
                  + " one of each of the others for every round")
              .formatted(
                  settings.rounds(),
                  environment.name(),
                  whole.learn.count(),
                  whole.heldOut.count(),
                  whole.canary.count(),
                  whole.test.count()));
    }
    return whole;
  }

  /** Users of one round, other ones in every round; number from 1. */
  Populations round(int number, int rounds) {
    return new Populations(
        search,
        part(learn, number, rounds),
        part(heldOut, number, rounds),
        part(canary, number, rounds),
        test);
  }

  /** The first share of the users to learn from, and nobody held out. */
  Populations first(double share) {
    UserRange own = learn.slice(0, before(share));
    return new Populations(search, own, heldOut.slice(0, 0), canary, test);
  }

  /** All but that share of the users to learn from. */
  Populations without(double share) {
    int before = before(share);
    UserRange own = learn.slice(before, learn.count() - before);
    return new Populations(search, own, heldOut, canary, test);
  }

  /** At least one user on both sides. */
  private int before(double share) {
    return (int) Math.max(1, Math.min(learn.count() - 1L, Math.round(share * learn.count())));
  }

  private static UserRange part(UserRange range, int number, int parts) {
    int from = (int) ((long) range.count() * (number - 1) / parts);
    int to = (int) ((long) range.count() * number / parts);
    return range.slice(from, to - from);
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
