package org.unifiedrl.mtf.baseline;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Philox;
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
  private static final double SMOOTHING = 0.8;
  private static final double LEAST_DEVIATION = 0.02;

  /** What is maximised, per user. */
  public enum Objective {
    /** Valid consumptions per day. */
    VALID_CONSUMPTIONS,
    /** Sum of all rewards. */
    RETURN
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
    int size = environment.actionSize();
    double[] mean = new double[size];
    double[] deviation = new double[size];
    Arrays.fill(deviation, settings.deviation());
    for (int k = 0; k < size; k++) {
      mean[k] = start[k];
    }
    int population = settings.population();
    int available = users.count();
    int count = Math.min(settings.users(), available);
    long requests = 0;
    for (int generation = 0; generation < settings.generations(); generation++) {
      float[][] vectors = new float[population][size];
      for (int p = 0; p < population; p++) {
        for (int k = 0; k < size; k++) {
          // The first vector is the mean itself.
          double noise =
              p == 0 ? 0 : Philox.normal(settings.seed(), DRAWS + k, ((long) generation << 32) | p);
          vectors[p][k] = (float) Math.max(-1, Math.min(1, mean[k] + deviation[k] * noise));
        }
      }
      int offset = (int) ((long) generation * count % Math.max(available - count + 1, 1));
      Environment.UserRange served = users.slice(offset, count);
      UserTotals[] totals = new UserTotals[population];
      IntStream.range(0, population)
          .parallel()
          .forEach(
              p ->
                  totals[p] =
                      evaluate(environment, vectors[p], settings.seed(), served, settings.days()));
      double[] values = new double[population];
      for (int p = 0; p < population; p++) {
        values[p] =
            mean(
                settings.objective() == Objective.RETURN
                    ? totals[p].returns()
                    : totals[p].validConsumptions());
        requests += (long) Arrays.stream(totals[p].requests()).sum();
      }
      int[] order =
          IntStream.range(0, population)
              .boxed()
              .sorted(Comparator.comparingDouble((Integer p) -> -values[p]))
              .mapToInt(Integer::intValue)
              .toArray();
      for (int k = 0; k < size; k++) {
        double sum = 0;
        double squares = 0;
        for (int e = 0; e < settings.elite(); e++) {
          sum += vectors[order[e]][k];
        }
        double eliteMean = sum / settings.elite();
        for (int e = 0; e < settings.elite(); e++) {
          double d = vectors[order[e]][k] - eliteMean;
          squares += d * d;
        }
        mean[k] += SMOOTHING * (eliteMean - mean[k]);
        double spread = Math.sqrt(squares / settings.elite());
        deviation[k] =
            Math.max(deviation[k] + SMOOTHING * (spread - deviation[k]), LEAST_DEVIATION);
      }
      progress.generation(generation + 1, values[order[0]], requests);
    }
    float[] action = new float[size];
    for (int k = 0; k < size; k++) {
      action[k] = (float) mean[k];
    }
    return new Result(action, requests);
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

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(0);
  }
}
