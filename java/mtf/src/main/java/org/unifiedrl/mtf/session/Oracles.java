package org.unifiedrl.mtf.session;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Locale;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.baseline.ConstantVectorSearch;
import org.unifiedrl.mtf.baseline.EqualWeights;

/**
 * Upper bounds of what a policy can reach in a simulated world, and the regret to them. Oracles
 * read hidden state, so they are yardsticks and not policies.
 *
 * <ul>
 *   <li>best constant vector: {@link ConstantVectorSearch};
 *   <li>action oracle: one vector per segment and hidden bucket (intent, fatigue), found by search;
 *   <li>request oracle: ranks by the true value of each candidate, which no vector can express.
 * </ul>
 */
public final class Oracles {

  private static final int BUCKETS = 4;
  private static final int LANES = 64;
  private static final int RESAMPLES = 1000;
  private static final long DRAWS = 0x4f5241L;

  private Oracles() {}

  /**
   * A mean difference per user, relative to the reference's mean, in percent.
   *
   * @param mean point estimate
   * @param low lower end of the 95 % interval of a paired bootstrap over users
   * @param high upper end
   */
  public record Lift(double mean, double low, double high) {
    @Override
    public String toString() {
      return String.format(Locale.ROOT, "%+.2f %% [%+.2f, %+.2f]", mean, low, high);
    }
  }

  /**
   * Valid consumptions per user and day, on users that no search has met.
   *
   * @param equalWeights under equal weights
   * @param bestConstant under the best constant vector
   * @param actionOracle under the action oracle
   * @param requestOracle under the request oracle
   * @param constantVector the best constant vector
   * @param constantOverEqual lift of the best constant over equal weights
   * @param oracleOverConstant lift of the action oracle over the best constant: the headroom of
   *     personal fusion
   * @param requestOverConstant lift of the request oracle over the best constant
   */
  public record Headroom(
      double equalWeights,
      double bestConstant,
      double actionOracle,
      double requestOracle,
      float[] constantVector,
      Lift constantOverEqual,
      Lift oracleOverConstant,
      Lift requestOverConstant) {

    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "UVC: equal weights %.2f, best constant %.2f (%s), action oracle %.2f (%s over constant),"
              + " request oracle %.2f (%s over constant)",
          equalWeights,
          bestConstant,
          constantOverEqual,
          actionOracle,
          oracleOverConstant,
          requestOracle,
          requestOverConstant);
    }
  }

  /**
   * Measures a world's headroom.
   *
   * @param search budget of the search for the constant vector; the oracle's search takes as many
   *     generations twice (per segment, then per bucket)
   * @param users judged users
   * @param days days per user
   */
  public static Headroom headroom(
      Simulator world, ConstantVectorSearch.Settings search, int users, int days) {
    float[] equal = EqualWeights.of(world).action();
    float[] constant =
        ConstantVectorSearch.search(world, equal, search, (g, best, requests) -> {}).action();
    float[][][] oracle = actionOracle(world, constant, 2, search);
    Environment.UserRange judged = world.judgeUsers().slice(0, users);
    long seed = search.seed() + 1;
    double[] equalTotals =
        ConstantVectorSearch.evaluate(world, equal, seed, judged, days).validConsumptions();
    double[] constantTotals =
        ConstantVectorSearch.evaluate(world, constant, seed, judged, days).validConsumptions();
    double[] oracleTotals = evaluate(world, oracle, seed, judged, days).validConsumptions();
    double[] requestTotals = null;
    for (float longTerm : new float[] {0, 0.5f, 1, 2, 4, 8, 16}) {
      double[] totals =
          evaluateByTrueValue(world, longTerm, seed, judged, days).validConsumptions();
      if (requestTotals == null || mean(totals) > mean(requestTotals)) {
        requestTotals = totals;
      }
    }
    return new Headroom(
        mean(equalTotals),
        mean(constantTotals),
        mean(oracleTotals),
        mean(requestTotals),
        constant,
        lift(constantTotals, equalTotals, seed),
        lift(oracleTotals, constantTotals, seed),
        lift(requestTotals, constantTotals, seed));
  }

  /**
   * Searches one vector per segment, then one per segment and hidden bucket, by the cross-entropy
   * method. Users do not affect each other, so all segments are searched in the same rollouts.
   *
   * @param start vector to start from
   * @param reach largest distance from {@code start} in each dimension; 2 is no bound
   * @return vectors {@code [segment][bucket][A]}
   */
  public static float[][][] actionOracle(
      Simulator world, float[] start, double reach, ConstantVectorSearch.Settings settings) {
    int size = start.length;
    double[][] mean = new double[Simulator.SEGMENTS][BUCKETS * size];
    double[][] deviation = new double[Simulator.SEGMENTS][BUCKETS * size];
    for (int s = 0; s < Simulator.SEGMENTS; s++) {
      for (int k = 0; k < mean[s].length; k++) {
        mean[s][k] = start[k % size];
      }
    }
    int round = 0;
    for (boolean perBucket : new boolean[] {false, true}) {
      for (double[] row : deviation) {
        Arrays.fill(row, Math.min(settings.deviation(), reach) * (perBucket ? 0.4 : 1));
      }
      for (int generation = 0; generation < settings.generations(); generation++) {
        improve(world, start, reach, settings, mean, deviation, perBucket, round++);
      }
    }
    return vectors(mean, size);
  }

  private static void improve(
      Simulator world,
      float[] start,
      double reach,
      ConstantVectorSearch.Settings settings,
      double[][] mean,
      double[][] deviation,
      boolean perBucket,
      int round) {
    int size = start.length;
    int population = settings.population();
    double[][][] sampled = new double[population][Simulator.SEGMENTS][BUCKETS * size];
    for (int p = 0; p < population; p++) {
      for (int s = 0; s < Simulator.SEGMENTS; s++) {
        for (int k = 0; k < BUCKETS * size; k++) {
          int draw = perBucket ? k : k % size;
          double noise =
              p == 0
                  ? 0
                  : Philox.normal(
                      settings.seed(), DRAWS + ((long) s << 32) + draw, ((long) round << 32) | p);
          double low = Math.max(-1, start[k % size] - reach);
          double high = Math.min(1, start[k % size] + reach);
          sampled[p][s][k] = Math.max(low, Math.min(high, mean[s][k] + deviation[s][k] * noise));
        }
      }
    }
    int count = Math.min(settings.users() * Simulator.SEGMENTS / 2, world.trainUsers().count());
    int offset = (int) ((long) round * count % (world.trainUsers().count() - count + 1));
    Environment.UserRange users = world.trainUsers().slice(offset, count);
    double[][] values = new double[population][];
    IntStream.range(0, population)
        .parallel()
        .forEach(
            p ->
                values[p] =
                    bySegment(
                        world,
                        vectors(sampled[p], size),
                        settings.seed(),
                        users,
                        settings.days(),
                        settings.objective()));
    for (int s = 0; s < Simulator.SEGMENTS; s++) {
      int segment = s;
      int[] order =
          IntStream.range(0, population)
              .boxed()
              .sorted(Comparator.comparingDouble((Integer p) -> -values[p][segment]))
              .mapToInt(Integer::intValue)
              .toArray();
      for (int k = 0; k < BUCKETS * size; k++) {
        double sum = 0;
        double squares = 0;
        for (int e = 0; e < settings.elite(); e++) {
          double x = sampled[order[e]][s][k];
          sum += x;
          squares += x * x;
        }
        double elite = sum / settings.elite();
        double spread = Math.sqrt(Math.max(squares / settings.elite() - elite * elite, 0));
        mean[s][k] += 0.7 * (elite - mean[s][k]);
        deviation[s][k] = Math.max(deviation[s][k] + 0.7 * (spread - deviation[s][k]), 0.02);
      }
    }
  }

  private static float[][][] vectors(double[][] flat, int size) {
    float[][][] vectors = new float[flat.length][BUCKETS][size];
    for (int s = 0; s < flat.length; s++) {
      for (int k = 0; k < flat[s].length; k++) {
        vectors[s][k / size][k % size] = (float) flat[s][k];
      }
    }
    return vectors;
  }

  private static double[] bySegment(
      Simulator world,
      float[][][] vectors,
      long seed,
      Environment.UserRange users,
      int days,
      ConstantVectorSearch.Objective objective) {
    int[] segments = new int[users.count()];
    UserTotals totals = run(world, vectors, 0, seed, users, days, segments);
    double[] of =
        objective == ConstantVectorSearch.Objective.RETURN
            ? totals.returns()
            : totals.validConsumptions();
    double[] sums = new double[Simulator.SEGMENTS];
    for (int u = 0; u < of.length; u++) {
      sums[segments[u]] += of[u];
    }
    return sums;
  }

  /** What users do when served by an action oracle's vectors {@code [segment][bucket][A]}. */
  public static UserTotals evaluate(
      Simulator world, float[][][] vectors, long seed, Environment.UserRange users, int days) {
    return run(world, vectors, 0, seed, users, days, new int[users.count()]);
  }

  /**
   * What users do when candidates are ranked by their true expected reward plus {@code longTerm}
   * times the user's true satisfaction.
   */
  public static UserTotals evaluateByTrueValue(
      Simulator world, float longTerm, long seed, Environment.UserRange users, int days) {
    return run(world, null, longTerm, seed, users, days, new int[users.count()]);
  }

  private static UserTotals run(
      Simulator world,
      float[][][] vectors,
      float longTerm,
      long seed,
      Environment.UserRange users,
      int days,
      int[] segments) {
    SimulatorRollout rollout = world.rollout(seed, users, days, LANES);
    int size = world.actionSize();
    float[] actions = new float[LANES * size];
    while (rollout.active() > 0) {
      for (int i = 0; i < rollout.active(); i++) {
        int segment = rollout.segment(i);
        segments[rollout.users()[i] - users.first()] = segment;
        if (vectors != null) {
          System.arraycopy(vectors[segment][rollout.bucket(i)], 0, actions, i * size, size);
        }
      }
      if (vectors == null) {
        rollout.serveByTrueValue(longTerm);
      } else {
        rollout.serve(actions);
      }
      rollout.advance();
    }
    return rollout.totals();
  }

  /**
   * Relative difference of two policies on the same users, with a paired bootstrap over users. The
   * regret of a policy is the lift of an oracle over it.
   *
   * @param values one value per user
   * @param reference one value per user, same users
   */
  public static Lift lift(double[] values, double[] reference, long seed) {
    if (values.length != reference.length || values.length == 0) {
      throw new IllegalArgumentException(
          "got "
              + values.length
              + " and "
              + reference.length
              + " users; a paired comparison needs the same users, at least one");
    }
    double[] lifts = new double[RESAMPLES];
    int n = values.length;
    for (int r = 0; r < RESAMPLES; r++) {
      double a = 0;
      double b = 0;
      for (int i = 0; i < n; i += 2) {
        long bits = Philox.bits(seed, DRAWS - 1, ((long) r << 32) | i);
        int first = (int) (((bits & 0xFFFFFFFFL) * n) >>> 32);
        a += values[first];
        b += reference[first];
        if (i + 1 < n) {
          int second = (int) (((bits >>> 32) * n) >>> 32);
          a += values[second];
          b += reference[second];
        }
      }
      lifts[r] = 100 * (a / b - 1);
    }
    Arrays.sort(lifts);
    return new Lift(
        100 * (mean(values) / mean(reference) - 1),
        lifts[(int) (0.025 * RESAMPLES)],
        lifts[(int) (0.975 * RESAMPLES) - 1]);
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(0);
  }
}
