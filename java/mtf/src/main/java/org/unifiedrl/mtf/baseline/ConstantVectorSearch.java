package org.unifiedrl.mtf.baseline;

import java.math.BigInteger;
import java.util.Arrays;
import java.util.function.LongPredicate;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * The best constant fusion vector in an environment, the usual tuning of production systems without
 * a policy: by any {@link Searcher}, or by the cross-entropy method. Vectors that share their luck
 * meet the same users with the same draws; each round meets other users, so that no vector is
 * fitted to particular ones, unless a trial needs all there are.
 *
 * <p>One thread at a time; vectors are evaluated on the common pool's threads. The result does not
 * depend on how many those are.
 */
public final class ConstantVectorSearch {

  private static final long DRAWS = 0x43454dL;
  private static final int LANES = 64;

  /** What is maximised, per user. */
  public enum Objective {
    /** Valid consumptions per day. */
    VALID_CONSUMPTIONS,
    /** Sum of all rewards. */
    RETURN;

    /** The maximised value of each user. */
    public double[] of(UserTotals totals) {
      return this == RETURN ? totals.returns() : totals.validConsumptions();
    }
  }

  /**
   * Budget and randomness of a cross-entropy search.
   *
   * @param population vectors per generation, at least 4
   * @param elite vectors that shape the next generation, 2 .. population
   * @param generations at least 1
   * @param users users that each vector serves in a generation
   * @param days days that each user is followed
   * @param deviation initial standard deviation of every dimension
   * @param seed key of all draws
   * @param objective what is maximised
   */
  public record Settings(
      int population,
      int elite,
      int generations,
      int users,
      int days,
      double deviation,
      long seed,
      Objective objective) {

    /** Checks every value. */
    public Settings {
      if (population < 4
          || elite < 2
          || elite > population
          || generations < 1
          || users < 1
          || days < 1
          || !(deviation > 0 && deviation <= 2)) {
        throw new IllegalArgumentException(
            "search settings need population >= 4, 2 <= elite <= population, generations, users and"
                + " days >= 1, deviation in (0, 2]; got "
                + population
                + ", "
                + elite
                + ", "
                + generations
                + ", "
                + users
                + ", "
                + days
                + ", "
                + deviation);
      }
    }

    /** 32 vectors, 12 generations, 1,500 users each. */
    public static Settings defaults(long seed) {
      return new Settings(32, 8, 12, 1500, 1, 0.5, seed, Objective.VALID_CONSUMPTIONS);
    }
  }

  private ConstantVectorSearch() {}

  /** A cross-entropy search on all of an environment's training users. */
  public static BudgetedSearch.Result search(
      Environment environment, float[] start, Settings settings, BudgetedSearch.Progress progress) {
    return search(environment, environment.trainUsers(), start, settings, progress);
  }

  /**
   * A cross-entropy search from a starting vector.
   *
   * @param users users to search on, none of whom the vector should be judged on
   * @param start normalised action, A values
   */
  public static BudgetedSearch.Result search(
      Environment environment,
      UserRange users,
      float[] start,
      Settings settings,
      BudgetedSearch.Progress progress) {
    return search(
        environment,
        users,
        crossEntropy(start, settings),
        new Trial(settings.users(), settings.days(), settings.seed(), settings.objective()),
        SearchBudget.ofEvaluations((long) settings.population() * settings.generations()),
        progress);
  }

  /** The cross-entropy method with the settings' population, elite and deviation. */
  public static Searcher crossEntropy(float[] start, Settings settings) {
    return new CrossEntropy(
        start,
        2,
        settings.deviation(),
        settings.population(),
        settings.elite(),
        settings.seed(),
        DRAWS);
  }

  /**
   * How a vector is tried.
   *
   * @param users users that it serves; fewer if there are fewer
   * @param days days that each user is followed
   * @param seed key of all draws
   * @param objective what is maximised: its mean over the users
   */
  public record Trial(int users, int days, long seed, Objective objective) {

    /** Checks every value. */
    public Trial {
      if (users < 1 || days < 1) {
        throw new IllegalArgumentException(
            "a trial needs users and days of at least 1; got " + users + ", " + days);
      }
    }

    /**
     * What a policy is worth to the users that a trial's luck chooses from a range: the mean over
     * them; not a number if the allowance does not last for all.
     */
    double value(
        Environment environment,
        UserRange range,
        Policy policy,
        long luck,
        BudgetedSearch.Allowance allowance) {
      int count = Math.min(users, range.count());
      int places = range.count() - count + 1;
      UserRange served = range.slice((int) (luck * stride(count, places) % places), count);
      Rollout rollout = environment.rollout(seed, served, days, LANES);
      if (!serve(policy, rollout, allowance::take)) {
        return Double.NaN;
      }
      return Arrays.stream(objective.of(rollout.totals())).average().orElse(0);
    }
  }

  /** The least distance from one luck's users to the next one's that comes by all places. */
  static long stride(int count, int places) {
    long stride = count;
    while (BigInteger.valueOf(stride).gcd(BigInteger.valueOf(places)).longValue() > 1) {
      stride++;
    }
    return stride;
  }

  /**
   * A search by any method.
   *
   * @param users users to search on, none of whom the vector should be judged on
   * @param searcher proposes normalised actions of A values
   * @throws IllegalArgumentException if the budget ends before the first round does
   */
  public static BudgetedSearch.Result search(
      Environment environment,
      UserRange users,
      Searcher searcher,
      Trial trial,
      SearchBudget budget,
      BudgetedSearch.Progress progress) {
    return BudgetedSearch.search(
        searcher,
        (vector, luck, allowance) ->
            trial.value(
                environment,
                users,
                new ConstantPolicy(environment.stateSize(), vector),
                luck,
                allowance),
        budget,
        progress);
  }

  /** What users do under one constant vector. */
  public static UserTotals evaluate(
      Environment environment, float[] action, long seed, UserRange users, int days) {
    Rollout rollout = environment.rollout(seed, users, days, LANES);
    serve(new ConstantPolicy(environment.stateSize(), action), rollout, requests -> true);
    return rollout.totals();
  }

  /** Serves all users, or as many requests as are allowed; says whether that was all. */
  private static boolean serve(Policy policy, Rollout rollout, LongPredicate allowed) {
    float[] actions = new float[LANES * policy.actionSize()];
    while (rollout.active() > 0) {
      if (!allowed.test(rollout.active())) {
        return false;
      }
      policy.act(rollout.states(), rollout.active(), actions);
      rollout.serve(actions);
      rollout.advance();
    }
    return true;
  }
}
