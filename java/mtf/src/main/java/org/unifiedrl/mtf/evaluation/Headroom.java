package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;
import java.util.Locale;
import java.util.function.IntConsumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.unifiedrl.mtf.baseline.ConstantVectorSearch;
import org.unifiedrl.mtf.baseline.EqualWeights;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Simulator;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * How much there is to gain in a simulated world, measured before policies are compared in it, and
 * what a policy leaves of it. All numbers are of users that no search has met, who meet each
 * yardstick and the policy with the same luck. Immutable.
 */
public final class Headroom {

  private final Simulator world;
  private final ConstantVectorSearch.Objective objective;
  private final AbTest.Settings judged;
  private final float[] constantVector;
  private final double[] equalWeights; // (users)
  private final double[] bestConstant;
  private final double[] actionOracle;
  private final double[] requestOracle;

  private Headroom(
      Simulator world,
      ConstantVectorSearch.Objective objective,
      AbTest.Settings judged,
      float[] constantVector,
      double[][] values) {
    this.world = world;
    this.objective = objective;
    this.judged = judged;
    this.constantVector = constantVector;
    equalWeights = values[0];
    bestConstant = values[1];
    actionOracle = values[2];
    requestOracle = values[3];
  }

  /**
   * Searches the yardsticks on training users and lets them serve judged users.
   *
   * @param search budget of the searches, and the objective in which everything is measured
   * @param judged users to judge by, their draws and the bootstrap
   * @param progress hears the number of rounds done, of {@link #rounds}
   */
  public static Headroom measure(
      Simulator world,
      ConstantVectorSearch.Settings search,
      AbTest.Settings judged,
      IntConsumer progress) {
    float[] equal = EqualWeights.of(world).action();
    Oracles.Vectors vectors = Oracles.search(world, equal, 2, search, progress);
    Oracles.RequestObjective request = Oracles.searchRequestObjective(world, search);
    long seed = judged.seed();
    UserRange users = judged.users();
    int days = judged.days();
    UserTotals[] totals = new UserTotals[4];
    IntStream.range(0, totals.length)
        .parallel()
        .forEach(
            y ->
                totals[y] =
                    switch (y) {
                      case 0 -> ConstantVectorSearch.evaluate(world, equal, seed, users, days);
                      case 1 ->
                          ConstantVectorSearch.evaluate(
                              world, vectors.constant(), seed, users, days);
                      case 2 -> Oracles.evaluate(world, vectors.personal(), seed, users, days);
                      default -> Oracles.evaluate(world, request, seed, users, days);
                    });
    double[][] values = new double[totals.length][];
    for (int y = 0; y < values.length; y++) {
      values[y] = search.objective().of(totals[y]);
    }
    return new Headroom(world, search.objective(), judged, vectors.constant(), values);
  }

  /** Rounds of the searches. */
  public static int rounds(ConstantVectorSearch.Settings search) {
    return Oracles.rounds(search);
  }

  /**
   * What a policy leaves to be gained: the lift of each yardstick over the policy, in percent.
   *
   * @param overBestConstant lift of the best constant vector, negative where the policy is better
   * @param overActionOracle lift of the action oracle
   * @param overRequestOracle lift of the request oracle
   */
  public record Regret(
      Interval overBestConstant, Interval overActionOracle, Interval overRequestOracle) {}

  /** Serves the judged users by a policy and compares. */
  public Regret regret(Supplier<? extends Policy> policy) {
    double[] values = objective.of(AbTest.serve(world, policy, judged, AbTest.Progress.NONE));
    return new Regret(
        lift(values, bestConstant), lift(values, actionOracle), lift(values, requestOracle));
  }

  private Interval lift(double[] baseline, double[] values) {
    return new PairedBootstrap(judged.seed(), judged.resamples()).lift(baseline, values);
  }

  /** Judged users. */
  public int users() {
    return judged.users().count();
  }

  /** Mean objective under equal weights. */
  public double equalWeights() {
    return mean(equalWeights);
  }

  /** Mean objective under the best constant vector. */
  public double bestConstant() {
    return mean(bestConstant);
  }

  /** Mean objective under the action oracle. */
  public double actionOracle() {
    return mean(actionOracle);
  }

  /** Mean objective under the request oracle. */
  public double requestOracle() {
    return mean(requestOracle);
  }

  /** The best constant vector. */
  public float[] constantVector() {
    return constantVector.clone();
  }

  /** Lift of the best constant vector over equal weights: what tuning without a policy gains. */
  public Interval constantOverEqual() {
    return lift(equalWeights, bestConstant);
  }

  /** Lift of the action oracle over the best constant: the headroom of personal fusion. */
  public Interval oracleOverConstant() {
    return lift(bestConstant, actionOracle);
  }

  /** Lift of the request oracle over the best constant. */
  public Interval requestOverConstant() {
    return lift(bestConstant, requestOracle);
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "equal weights %.2f, best constant %.2f (%s), action oracle %.2f (%s over constant),"
            + " request oracle %.2f (%s over constant)",
        equalWeights(),
        bestConstant(),
        text(constantOverEqual()),
        actionOracle(),
        text(oracleOverConstant()),
        requestOracle(),
        text(requestOverConstant()));
  }

  private static String text(Interval lift) {
    return String.format(
        Locale.ROOT, "%+.2f %% [%+.2f, %+.2f]", lift.mean(), lift.low(), lift.high());
  }
}
