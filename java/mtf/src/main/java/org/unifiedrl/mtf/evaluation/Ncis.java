package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;

/**
 * Normalised capped importance sampling of a deterministic policy over continuous actions with a
 * known logging density (specification 10):
 *
 * <pre>
 *   w = K_h(mu_e(s) - a) / q_b(a | s),   V = SUM min(w, c) G / SUM min(w, c)
 * </pre>
 *
 * with K_h the product of Gaussian densities of standard deviation h, step-level weights, and G the
 * discounted return-to-go of the step within its session (or its reward alone).
 *
 * <p>What it cannot do: it shrinks differences between policies toward the mean logged value, the
 * more so the wider h; judge the baseline with the same settings and read the difference. Beyond
 * the explored box the estimate is noise, which the effective sample size shows.
 */
public final class Ncis extends OffPolicyEstimator {

  /** What a step is worth. */
  public enum Value {
    /** Discounted sum of rewards from the step to the end of its session. */
    RETURN_TO_GO,
    /** The step's reward. */
    REWARD
  }

  /**
   * Settings of the estimator.
   *
   * @param bandwidth h, standard deviation of the kernel in units of the normalised action;
   *     positive
   * @param cap c, upper bound of a weight; positive
   * @param value what a step is worth
   * @param discount gamma per step, in [0, 1]; used by {@link Value#RETURN_TO_GO} only
   */
  public record Settings(double bandwidth, double cap, Value value, double discount) {

    /** h = 0.10 (two thirds of the half-width of a +-0.15 box), cap 10, returns at gamma 0.9. */
    public static final Settings DEFAULT = new Settings(0.10, 10, Value.RETURN_TO_GO, 0.9);

    public Settings {
      if (!(bandwidth > 0 && cap > 0 && discount >= 0 && discount <= 1)) {
        throw new IllegalArgumentException(
            "NCIS settings bandwidth="
                + bandwidth
                + " cap="
                + cap
                + " discount="
                + discount
                + ": bandwidth and cap must be positive, discount in [0, 1]");
      }
    }
  }

  private final Settings settings;

  // Steps of the session in progress: a return is known only at the session's end.
  private int pending;
  private long pendingSession;
  private double[] pendingWeights = new double[64];
  private double[] pendingRewards = new double[64];

  /** Creates an estimator without any steps. */
  public Ncis(Settings settings, PairedBootstrap bootstrap) {
    super(true, settings.cap(), bootstrap);
    this.settings = settings;
  }

  /**
   * Adds {@code rows} logged steps.
   *
   * @param loggedActions actions of the log, row-major {@code [rows, A]}
   * @param targetActions actions of the judged policy in the same states, {@code [rows, A]}
   * @param actionSize A, at least 1
   * @param logDensities ln q_b(a | s) of each logged action
   * @param rewards reward of each step, summed over reward groups
   * @param sessions session of each step; steps of a session in order and together
   * @param rows number of steps
   */
  public void add(
      float[] loggedActions,
      float[] targetActions,
      int actionSize,
      float[] logDensities,
      double[] rewards,
      long[] sessions,
      int rows) {
    for (int row = 0; row < rows; row++) {
      add(
          loggedActions,
          targetActions,
          row * actionSize,
          actionSize,
          logDensities[row],
          rewards[row],
          sessions[row]);
    }
  }

  /**
   * Adds one logged step, whose actions are the {@code actionSize} values at {@code offset}.
   *
   * @throws IllegalArgumentException if an action, the density or the reward is not finite
   */
  public void add(
      float[] loggedActions,
      float[] targetActions,
      int offset,
      int actionSize,
      double logDensity,
      double reward,
      long session) {
    double squaredDistance = 0;
    for (int k = offset; k < offset + actionSize; k++) {
      double difference = (double) loggedActions[k] - targetActions[k];
      squaredDistance += difference * difference;
    }
    double h = settings.bandwidth();
    double logKernel =
        -squaredDistance / (2 * h * h) - actionSize * Math.log(h * Math.sqrt(2 * Math.PI));
    double logWeight = logKernel - logDensity;
    if (!Double.isFinite(logWeight) || !Double.isFinite(reward)) {
      throw new IllegalArgumentException(
          "session "
              + session
              + ": squared action distance "
              + squaredDistance
              + ", log-density "
              + logDensity
              + " and reward "
              + reward
              + " must be finite");
    }
    if (pending > 0 && session != pendingSession) {
      flush();
    }
    if (pending == pendingWeights.length) {
      pendingWeights = Arrays.copyOf(pendingWeights, 2 * pending);
      pendingRewards = Arrays.copyOf(pendingRewards, 2 * pending);
    }
    pendingSession = session;
    pendingWeights[pending] = Math.exp(logWeight);
    pendingRewards[pending] = reward;
    pending++;
  }

  /** {@inheritDoc} The session added last counts as ended. */
  @Override
  public OffPolicyEstimate estimate() {
    flush();
    return super.estimate();
  }

  private void flush() {
    double discount = settings.value() == Value.RETURN_TO_GO ? settings.discount() : 0;
    double value = 0;
    for (int step = pending - 1; step >= 0; step--) {
      value = pendingRewards[step] + discount * value;
      addWeighted(pendingWeights[step], value, pendingSession);
    }
    pending = 0;
  }
}
