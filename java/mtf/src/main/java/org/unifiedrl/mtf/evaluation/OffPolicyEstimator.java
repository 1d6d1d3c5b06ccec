package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Importance-weighted estimators of a policy's value from another policy's log: a ratio of two sums
 * of weighted steps, its bootstrap interval over sessions, and the diagnostics that decide whether
 * it may be used at all.
 *
 * <p>The unit of the bootstrap is a session, or a user who may have several. Memory grows with
 * units, not with steps. One thread at a time.
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

  private final Map<Long, Integer> units = new HashMap<>();
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
  final void addWeighted(double weight, double value, long ofUnit) {
    int unit = units.computeIfAbsent(ofUnit, id -> units.size());
    if (unit == numerators.length) {
      numerators = Arrays.copyOf(numerators, 2 * unit);
      denominators = Arrays.copyOf(denominators, 2 * unit);
    }
    double used = Math.min(weight, cap);
    samples++;
    clipped += weight > cap ? 1 : 0;
    maxWeight = Math.max(maxWeight, weight);
    weightSum += used;
    squaredWeightSum += used * used;
    numerators[unit] += used * value;
    denominators[unit] += selfNormalised ? used : 1;
  }

  /**
   * The estimate from the steps added so far.
   *
   * @throws IllegalStateException if no step was added
   */
  public OffPolicyEstimate estimate() {
    finish();
    if (samples == 0) {
      throw new IllegalStateException("no logged steps were added; there is nothing to estimate");
    }
    double ess = squaredWeightSum > 0 ? weightSum * weightSum / squaredWeightSum : 0;
    double clippedShare = (double) clipped / samples;
    Optional<String> refusal = refusal(ess);
    Interval interval =
        weightSum > 0
            ? bootstrap.ratio(columns()[0], columns()[1])
            : new Interval(Double.NaN, Double.NaN, Double.NaN);
    return new OffPolicyEstimate(
        interval.mean(),
        interval.low(),
        interval.high(),
        samples,
        units.size(),
        ess,
        maxWeight,
        clippedShare,
        refusal);
  }

  /**
   * How much more a policy is worth than another by the same log, with its interval over the same
   * units: what they share cancels. Not a number if either estimate is refused.
   *
   * @param baseline an estimator that was given the same steps, for the other policy
   * @throws IllegalArgumentException if it was given other units
   */
  public Interval minus(OffPolicyEstimator baseline) {
    finish();
    baseline.finish();
    if (samples != baseline.samples || !units.equals(baseline.units)) {
      throw new IllegalArgumentException(
          "estimators must be given the same steps: got "
              + samples
              + " steps in "
              + units.size()
              + " units and "
              + baseline.samples
              + " in "
              + baseline.units.size());
    }
    if (estimate().refused() || baseline.estimate().refused()) {
      return new Interval(Double.NaN, Double.NaN, Double.NaN);
    }
    double[][] own = columns();
    double[][] others = baseline.columns();
    return bootstrap.interval(
        sums -> sums[0] / sums[1] - sums[2] / sums[3], own[0], own[1], others[0], others[1]);
  }

  private double[][] columns() {
    return new double[][] {
      Arrays.copyOf(numerators, units.size()), Arrays.copyOf(denominators, units.size())
    };
  }

  /** Adds what waits for the end of its session. */
  void finish() {}

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
