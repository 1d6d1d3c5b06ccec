package org.unifiedrl.mtf.baseline;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * The best constant fusion vector by the cross-entropy method, the usual tuning of production
 * systems without a policy. Within a generation every vector meets the same users and the same
 * luck; each generation meets other users, so that none is fitted to particular ones.
 *
 * <p>One thread at a time; the population is evaluated on the common pool's threads. The result
 * does not depend on how many those are.
 */
public final class ConstantVectorSearch {

  private static final long DRAWS = 0x43454dL;

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
   * Budget and randomness of a search.
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

  /**
   * What a search found.
   *
   * @param action the vector: the last generation's mean
   * @param requests environment requests spent
   */
  public record Result(float[] action, long requests) {}

  /** Hears about each finished generation. */
  @FunctionalInterface
  public interface Progress {
    /**
     * Called after a generation.
     *
     * @param generation number of finished generations
     * @param best objective of its best vector
     * @param requests requests spent so far
     */
    void generation(int generation, double best, long requests);
  }

  private ConstantVectorSearch() {}

  /** Searches on all of an environment's training users. */
  public static Result search(
      Environment environment, float[] start, Settings settings, Progress progress) {
    return search(environment, environment.trainUsers(), start, settings, progress);
  }

  /**
   * Searches from a starting vector.
   *
   * @param users users to search on, none of whom the vector should be judged on
   * @param start normalised action, A values
   */
  public static Result search(
      Environment environment,
      Environment.UserRange users,
      float[] start,
      Settings settings,
      Progress progress) {
    CrossEntropy vectors =
        new CrossEntropy(
            start,
            2,
            settings.deviation(),
            settings.population(),
            settings.elite(),
            settings.seed(),
            DRAWS);
    int population = settings.population();
    int available = users.count();
    int count = Math.min(settings.users(), available);
    long requests = 0;
    for (int generation = 0; generation < settings.generations(); generation++) {
      vectors.sample(generation);
      int offset = (int) ((long) generation * count % Math.max(available - count + 1, 1));
      Environment.UserRange served = users.slice(offset, count);
      UserTotals[] totals = new UserTotals[population];
      IntStream.range(0, population)
          .parallel()
          .forEach(
              p ->
                  totals[p] =
                      evaluate(
                          environment,
                          vectors.vector(p),
                          settings.seed(),
                          served,
                          settings.days()));
      double[] values = new double[population];
      for (int p = 0; p < population; p++) {
        values[p] = Arrays.stream(settings.objective().of(totals[p])).average().orElse(0);
        requests += (long) Arrays.stream(totals[p].requests()).sum();
      }
      int best = vectors.update(values);
      progress.generation(generation + 1, values[best], requests);
    }
    return new Result(vectors.mean(), requests);
  }

  /** What users do under one constant vector. */
  public static UserTotals evaluate(
      Environment environment, float[] action, long seed, Environment.UserRange users, int days) {
    Rollout rollout = environment.rollout(seed, users, days, 64);
    ConstantPolicy policy = new ConstantPolicy(environment.stateSize(), action);
    float[] actions = new float[64 * environment.actionSize()];
    while (rollout.active() > 0) {
      policy.act(rollout.states(), rollout.active(), actions);
      rollout.serve(actions);
      rollout.advance();
    }
    return rollout.totals();
  }
}
