package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/**
 * Importance-weighted estimators of a policy's value from another policy's log: a ratio of two sums
 * of weighted steps, its bootstrap interval over sessions, and the diagnostics that decide whether
 * it may be used at all.
 *
 * <p>Steps of one session must be added one after the other: a change of session identifier starts
 * a new unit of the bootstrap. Memory grows with sessions, not with steps. One thread at a time.
 */
public abstract sealed class OffPolicyEstimator permits Ncis, Ipw, Snipw {

  /** Effective share of the samples below which an estimate is refused (specification 10). */
  public static final double MINIMUM_ESS_SHARE = 0.01;

  private final boolean selfNormalised;
  private final double cap;
  private final PairedBootstrap bootstrap;

  private long samples;
  private long clipped;
  private double maxWeight;
  private double weightSum;
  private double squaredWeightSum;

  private int sessions;
  private long session;
  private double[] numerators = new double[1024];
  private double[] denominators = new double[1024];

  /**
   * Creates an estimator without any steps.
   *
   * @param selfNormalised divide by the sum of weights (true) or by the number of steps (false)
   * @param cap upper bound of a weight in use, infinite for none
   */
  OffPolicyEstimator(boolean selfNormalised, double cap, PairedBootstrap bootstrap) {
    this.selfNormalised = selfNormalised;
    this.cap = cap;
    this.bootstrap = bootstrap;
  }

  /** Adds one step with the importance weight {@code weight}, at least 0 and not NaN. */
  final void addWeighted(double weight, double value, long ofSession) {
    if (samples == 0 || ofSession != session) {
      if (sessions == numerators.length) {
        numerators = Arrays.copyOf(numerators, 2 * sessions);
        denominators = Arrays.copyOf(denominators, 2 * sessions);
      }
      session = ofSession;
      sessions++;
    }
    double used = Math.min(weight, cap);
    samples++;
    clipped += weight > cap ? 1 : 0;
    maxWeight = Math.max(maxWeight, weight);
    weightSum += used;
    squaredWeightSum += used * used;
    numerators[sessions - 1] += used * value;
    denominators[sessions - 1] += selfNormalised ? used : 1;
  }

  /**
   * The estimate from the steps added so far.
   *
   * @throws IllegalStateException if no step was added
   */
  public OffPolicyEstimate estimate() {
    if (samples == 0) {
      throw new IllegalStateException("no logged steps were added; there is nothing to estimate");
    }
    double ess = squaredWeightSum > 0 ? weightSum * weightSum / squaredWeightSum : 0;
    double clippedShare = (double) clipped / samples;
    Optional<String> refusal = refusal(ess);
    Interval interval =
        weightSum > 0
            ? bootstrap.ratio(
                Arrays.copyOf(numerators, sessions), Arrays.copyOf(denominators, sessions))
            : new Interval(Double.NaN, Double.NaN, Double.NaN);
    return new OffPolicyEstimate(
        interval.mean(),
        interval.low(),
        interval.high(),
        samples,
        sessions,
        ess,
        maxWeight,
        clippedShare,
        refusal);
  }

  private Optional<String> refusal(double ess) {
    if (ess >= MINIMUM_ESS_SHARE * samples) {
      return Optional.empty();
    }
    return Optional.of(
        String.format(
            Locale.ROOT,
            "effective sample size %.4g of %d steps is below %.3g %% (largest weight %.6g): the log"
                + " holds too few actions like this policy's; explore nearer to it, or judge a"
                + " policy nearer to the logging one",
            ess,
            samples,
            100 * MINIMUM_ESS_SHARE,
            maxWeight));
  }
}
