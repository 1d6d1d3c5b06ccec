package org.unifiedrl.mtf.evaluation;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Per-decision importance sampling of the discounted return of a session (specification 10):
 *
 * <pre>
 *   V  = (1/n) SUM_i SUM_t gamma^t min(w_it, c) r_it,   w_it = PROD of step ratios up to step t
 *   or = SUM_t gamma^t SUM_i min(w_it, c) r_it / SUM_i min(w_it, c)    self-normalised per step
 * </pre>
 *
 * over n sessions. A session that has ended keeps its last weight and earns nothing: the sums over
 * i are over all sessions at every t, else the second form would estimate the worth of sessions
 * that go on. Unlike the step-level estimators, this one follows the policy through whole sessions;
 * the price is weights that explode or vanish after a few steps in ten dimensions.
 *
 * <p>The effective sample size is that of the worst step: the smallest share (SUM w)^2 / SUM w^2 of
 * the sessions that reach a step, of all steps whose rewards count for at least 1 % of the first
 * one's in the estimate (gamma^t times the share of sessions that get so far). Without
 * self-normalisation, weights of a step average to 1 over all sessions but for chance, a cap, or
 * mass of the policy where the log has no actions; if they are off by more than {@value
 * #MAXIMUM_MEAN_ERROR}, so would the worth of constant rewards be, and the estimate is refused.
 *
 * <p>Memory grows with units times the steps of the longest session when self-normalised.
 */
public final class PerDecision extends OffPolicyEstimator {

  /** Largest distance from 1 of a step's mean weight, if the estimate divides by sessions. */
  public static final double MAXIMUM_MEAN_ERROR = 0.1;

  // Per step t of the self-normalised form: rewards, weights, and last weights of sessions over.
  private static final int TERMS = 3;

  /**
   * Settings of the estimator.
   *
   * @param selfNormalised divide by the sum of weights at each step (true) or by the number of
   *     sessions (false)
   * @param cap c, upper bound of a cumulative weight; positive, infinite for none. A cap shrinks
   *     the estimate toward that of the logging policy, the more so the longer the sessions
   * @param discount gamma per step, in [0, 1]
   */
  public record Settings(boolean selfNormalised, double cap, double discount) {

    public Settings {
      if (!(cap > 0 && discount >= 0 && discount <= 1)) {
        throw new IllegalArgumentException(
            "per-decision settings cap="
                + cap
                + " discount="
                + discount
                + ": cap must be positive, discount in [0, 1]");
      }
    }
  }

  private final Settings settings;

  /** Weights in use at one step of the sessions. */
  private static final class StepWeights {
    private long sessions; // that reach it
    private double sum;
    private double squares;
    private double over; // last weights of the sessions that end with it
  }

  private final List<StepWeights> steps = new ArrayList<>();
  private long sessions;

  // The session in progress.
  private int step;
  private long session;
  private int unit;
  private double logWeight;
  private double discount;

  /** Creates an estimator without any steps. */
  public PerDecision(Settings settings, PairedBootstrap bootstrap) {
    super("sessions", bootstrap);
    this.settings = settings;
  }

  /**
   * Adds one logged step.
   *
   * @param ratio importance ratio of the step alone; finite, at least 0
   * @param reward its reward
   * @param ofSession session of the step; steps of a session in order and together
   * @param ofUnit unit of the bootstrap: the session, or its user
   * @throws IllegalArgumentException if a number is not finite, or the ratio negative
   */
  public void add(double ratio, double reward, long ofSession, long ofUnit) {
    if (!(ratio >= 0 && Double.isFinite(ratio + reward))) {
      throw new IllegalArgumentException(
          "session "
              + ofSession
              + ": ratio "
              + ratio
              + " must be at least 0, and it and the reward "
              + reward
              + " finite");
    }
    if (step > 0 && ofSession != session) {
      finish();
    }
    if (step == 0) {
      session = ofSession;
      unit = unit(ofUnit);
      logWeight = 0;
      discount = 1;
    }
    logWeight += Math.log(ratio);
    double used = Math.min(weight(), settings.cap());
    count(weight(), used);
    if (step == steps.size()) {
      steps.add(new StepWeights());
    }
    StepWeights all = steps.get(step);
    all.sessions++;
    all.sum += used;
    all.squares += used * used;
    if (settings.selfNormalised()) {
      add(TERMS * step, unit, discount * used * reward);
      add(TERMS * step + 1, unit, used);
    } else {
      add(0, unit, discount * used * reward);
    }
    discount *= settings.discount();
    step++;
  }

  /** Product of the ratios so far; beyond 1e100 it counts as that, whose square is a number. */
  private double weight() {
    return Math.min(Math.exp(logWeight), 1e100);
  }

  /** The session added last counts as ended. */
  @Override
  void finish() {
    if (step == 0) {
      return;
    }
    double used = Math.min(weight(), settings.cap());
    sessions++;
    steps.get(step - 1).over += used;
    if (settings.selfNormalised()) {
      add(TERMS * (step - 1) + 2, unit, used);
    } else {
      add(1, unit, 1);
    }
    step = 0;
  }

  @Override
  long samples() {
    return sessions;
  }

  /** Number of first steps whose rewards count. */
  private int counting() {
    int counting = 0;
    double weight = 1;
    while (counting < steps.size()
        && weight * steps.get(counting).sessions >= MINIMUM_ESS_SHARE * sessions) {
      weight *= settings.discount();
      counting++;
    }
    return counting;
  }

  @Override
  double ess() {
    double least = 1;
    for (StepWeights at : steps.subList(0, counting())) {
      least = Math.min(least, effective(at.sum, at.squares) / at.sessions);
    }
    return least * sessions;
  }

  @Override
  Optional<String> weightRefusal() {
    double over = 0;
    for (int t = 0; t < counting() && !settings.selfNormalised(); t++) {
      double mean = (steps.get(t).sum + over) / sessions;
      if (Math.abs(mean - 1) > MAXIMUM_MEAN_ERROR) {
        return Optional.of(
            String.format(
                Locale.ROOT,
                "weights of step %d average %.3g, and 1 is expected: capped, or too few of the"
                    + " log's sessions are like this policy's; explore nearer to it, raise the cap,"
                    + " or take the self-normalised form",
                t + 1,
                mean));
      }
      over += steps.get(t).over;
    }
    return Optional.empty();
  }

  @Override
  double[][] columns() {
    if (!settings.selfNormalised()) {
      return new double[][] {column(0), column(1)};
    }
    int longest = terms() / TERMS;
    double[][] columns = new double[2 * longest][];
    double[] over = new double[column(0).length];
    for (int t = 0; t < longest; t++) {
      columns[2 * t] = column(TERMS * t);
      columns[2 * t + 1] = column(TERMS * t + 1);
      double[] last = column(TERMS * t + 2);
      for (int u = 0; u < over.length; u++) {
        columns[2 * t + 1][u] += over[u];
        over[u] += last[u];
      }
    }
    return columns;
  }

  @Override
  double value(double[] sums) {
    double value = 0;
    for (int t = 0; t < sums.length; t += 2) {
      value += sums[t] / sums[t + 1];
    }
    return value;
  }
}
