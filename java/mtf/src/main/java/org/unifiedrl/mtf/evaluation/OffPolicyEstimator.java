package org.unifiedrl.mtf.evaluation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Estimators of a policy's value from another policy's log: a function of sums over the log's
 * units, its bootstrap interval, and the diagnostics of the importance weights that decide whether
 * it may be used at all.
 *
 * <p>The unit of the bootstrap is a session, or a user who may have several. Memory grows with
 * units, not with steps. One thread at a time.
 */
public abstract sealed class OffPolicyEstimator permits WeightedMean, DoublyRobust, PerDecision {

  /** Effective share of the samples below which an estimate is refused (specification 10). */
  public static final double MINIMUM_ESS_SHARE = 0.01;

  private final String weighted;
  private final PairedBootstrap bootstrap;

  private long judged;
  private long clipped;
  private double maxWeight;
  private double weightSum;
  private double squaredWeightSum;

  private final Map<Long, Integer> units = new HashMap<>();
  private final List<double[]> terms = new ArrayList<>();
  private Optional<String> refusedFor = Optional.empty();

  /**
   * Creates an estimator without any steps.
   *
   * @param weighted what {@link #samples} counts, in the plural: steps, sessions
   */
  OffPolicyEstimator(String weighted, PairedBootstrap bootstrap) {
    this.weighted = weighted;
    this.bootstrap = bootstrap;
  }

  /**
   * Refuses the estimate for a reason that the weights do not show, such as {@link
   * BoxSupport#refusal}. Does nothing if there is none.
   */
  public final void refuseFor(Optional<String> reason) {
    refusedFor = refusedFor.or(() -> reason);
  }

  /**
   * Counts one judged row, a logged step whose weight the estimate depends on.
   *
   * @param weight the weight, at least 0
   * @param used what the estimate uses of it, at least 0
   */
  final void count(double weight, double used) {
    judged++;
    clipped += used != weight ? 1 : 0;
    maxWeight = Math.max(maxWeight, weight);
    weightSum += used;
    squaredWeightSum += used * used;
  }

  /** Place of a unit among the units added so far. */
  final int unit(long id) {
    return units.computeIfAbsent(id, absent -> units.size());
  }

  /** Adds to a unit's part of the sum number {@code term}, from 0. */
  final void add(int term, int unit, double value) {
    while (terms.size() <= term) {
      terms.add(new double[16]);
    }
    double[] column = terms.get(term);
    if (unit >= column.length) {
      column = Arrays.copyOf(column, Math.max(unit + 1, 2 * column.length));
      terms.set(term, column);
    }
    column[unit] += value;
  }

  /** A unit's parts of one sum. */
  final double[] column(int term) {
    return Arrays.copyOf(
        term < terms.size() ? terms.get(term) : new double[units.size()], units.size());
  }

  /** Number of sums that were added to. */
  final int terms() {
    return terms.size();
  }

  /** What the effective sample size is out of: judged rows, unless sessions are weighted. */
  long samples() {
    return judged;
  }

  /** Effective sample size (SUM w)^2 / SUM w^2 of the weights in use. */
  double ess() {
    return effective(weightSum, squaredWeightSum);
  }

  static double effective(double sum, double squares) {
    return squares > 0 ? sum * sum / squares : 0;
  }

  /** Why the weights do not do, other than their effective sample size. */
  Optional<String> weightRefusal() {
    return Optional.empty();
  }

  /** The parts of every sum that {@link #value} is a function of, {@code [sums][units]}. */
  abstract double[][] columns();

  /** The estimate as a function of the sums of {@link #columns}; NaN where it is undefined. */
  abstract double value(double[] sums);

  /**
   * The estimate from the steps added so far.
   *
   * @throws IllegalStateException if no step was added
   */
  public OffPolicyEstimate estimate() {
    finish();
    if (judged == 0) {
      throw new IllegalStateException("no logged steps were added; there is nothing to estimate");
    }
    double ess = ess();
    double[][] columns = columns();
    double[] sums = Arrays.stream(columns).mapToDouble(c -> Arrays.stream(c).sum()).toArray();
    Optional<String> refusal = refusedFor.or(() -> refusal(ess)).or(this::weightRefusal);
    Interval interval =
        Double.isNaN(value(sums))
            ? new Interval(Double.NaN, Double.NaN, Double.NaN)
            : bootstrap.interval(this::value, columns);
    return new OffPolicyEstimate(
        interval.mean(),
        interval.low(),
        interval.high(),
        samples(),
        units.size(),
        ess,
        maxWeight,
        (double) clipped / judged,
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
    if (samples() != baseline.samples() || !units.equals(baseline.units)) {
      throw new IllegalArgumentException(
          "estimators must be given the same steps: got "
              + samples()
              + " "
              + weighted
              + " in "
              + units.size()
              + " units and "
              + baseline.samples()
              + " in "
              + baseline.units.size());
    }
    if (estimate().refused() || baseline.estimate().refused()) {
      return new Interval(Double.NaN, Double.NaN, Double.NaN);
    }
    double[][] own = columns();
    double[][] both = Arrays.copyOf(own, own.length + baseline.columns().length);
    System.arraycopy(baseline.columns(), 0, both, own.length, both.length - own.length);
    return bootstrap.interval(
        sums ->
            value(Arrays.copyOf(sums, own.length))
                - baseline.value(Arrays.copyOfRange(sums, own.length, sums.length)),
        both);
  }

  /** Adds what waits for the end of its session. */
  void finish() {}

  private Optional<String> refusal(double ess) {
    if (ess >= MINIMUM_ESS_SHARE * samples()) {
      return Optional.empty();
    }
    return Optional.of(
        String.format(
            Locale.ROOT,
            "effective sample size %.4g of %d %s is below %.3g %% (largest weight %.6g): the log"
                + " holds too few actions like this policy's; explore nearer to it, or judge a"
                + " policy nearer to the logging one",
            ess,
            samples(),
            weighted,
            100 * MINIMUM_ESS_SHARE,
            maxWeight));
  }
}
