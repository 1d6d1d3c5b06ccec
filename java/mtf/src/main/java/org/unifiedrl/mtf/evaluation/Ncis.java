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
 * with K_h the product over dimensions of Gaussian densities of standard deviation h around the
 * policy's action, clipped to the action range as Gaussian exploration clips (point masses at -1
 * and +1, {@link org.unifiedrl.mtf.exploration.Gaussian#logDensity}); step-level weights; and G the
 * discounted return-to-go of the step within its session (or its reward alone). Kernel and logging
 * density are thus densities with respect to the same measure, whichever explorer wrote the log,
 * and weights average to 1 under Gaussian exploration. Under a box the kernel's mass outside the
 * box is lost. Self-normalisation makes up for what is lost alike in all steps, so that this form,
 * the specification's, is kept: divided by its mass in the box ({@link KernelWeights#weightInBox})
 * a weight is four times larger in the middle of a ten-dimensional box and a thousand times at a
 * corner, so that a cap of 10, which never bites here, would shrink differences further.
 *
 * <p>What it cannot do: it shrinks differences between policies toward the mean logged value, the
 * more so the wider h; judge the baseline with the same settings and read the difference. Beyond
 * the explored box the estimate is noise, which the effective sample size shows.
 */
public final class Ncis extends WeightedMean {

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
   * @param bandwidth h, standard deviation of the kernel in units of the normalised action: one for
   *     every dimension, or A of them; each positive
   * @param cap c, upper bound of a weight; positive
   * @param value what a step is worth
   * @param discount gamma per step, in [0, 1]; used by {@link Value#RETURN_TO_GO} only
   */
  public record Settings(double[] bandwidth, double cap, Value value, double discount) {

    /** h = 0.10 (two thirds of the half-width of a +-0.15 box), cap 10, returns at gamma 0.9. */
    public static final Settings DEFAULT = new Settings(0.10, 10, Value.RETURN_TO_GO, 0.9);

    /** One bandwidth for every dimension. */
    public Settings(double bandwidth, double cap, Value value, double discount) {
      this(new double[] {bandwidth}, cap, value, discount);
    }

    public Settings {
      bandwidth = bandwidth.clone();
      boolean positive = bandwidth.length > 0 && Arrays.stream(bandwidth).allMatch(h -> h > 0);
      if (!(positive && cap > 0 && discount >= 0 && discount <= 1)) {
        throw new IllegalArgumentException(
            "NCIS settings bandwidth="
                + Arrays.toString(bandwidth)
                + " cap="
                + cap
                + " discount="
                + discount
                + ": bandwidth and cap must be positive, discount in [0, 1]");
      }
    }
  }

  private final Settings settings;
  private final KernelWeights kernel;

  // Steps of the session in progress: a return is known only at the session's end.
  private int pending;
  private long pendingSession;
  private long pendingUnit;
  private double[] pendingWeights = new double[64];
  private double[] pendingRewards = new double[64];

  /** Creates an estimator without any steps. */
  public Ncis(Settings settings, PairedBootstrap bootstrap) {
    super(true, settings.cap(), bootstrap);
    this.settings = settings;
    this.kernel = new KernelWeights(settings.bandwidth());
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
   * Adds one logged step of a session that is a unit of the bootstrap by itself; see {@link
   * #add(float[], float[], int, int, double, double, long, long)}.
   */
  public void add(
      float[] loggedActions,
      float[] targetActions,
      int offset,
      int actionSize,
      double logDensity,
      double reward,
      long session) {
    add(loggedActions, targetActions, offset, actionSize, logDensity, reward, session, session);
  }

  /**
   * Adds one logged step, whose actions are the {@code actionSize} values at {@code offset}.
   *
   * @param session session of the step; steps of a session in order and together
   * @param unit unit of the bootstrap: the user, where users have several sessions
   * @throws IllegalArgumentException if an action, the density or the reward is not finite
   */
  public void add(
      float[] loggedActions,
      float[] targetActions,
      int offset,
      int actionSize,
      double logDensity,
      double reward,
      long session,
      long unit) {
    double weight = kernel.weight(loggedActions, targetActions, offset, actionSize, logDensity);
    if (Double.isNaN(weight) || !Double.isFinite(reward)) {
      throw new IllegalArgumentException(
          "session "
              + session
              + ": actions, log-density "
              + logDensity
              + " and reward "
              + reward
              + " must be finite");
    }
    add(weight, reward, session, unit);
  }

  /**
   * Adds one logged step whose importance weight is known.
   *
   * @param weight at least 0, not NaN
   * @param reward finite
   * @param session session of the step; steps of a session in order and together
   * @param unit unit of the bootstrap: the user, where users have several sessions
   */
  public void add(double weight, double reward, long session, long unit) {
    if (pending > 0 && session != pendingSession) {
      finish();
    }
    if (pending == pendingWeights.length) {
      pendingWeights = Arrays.copyOf(pendingWeights, 2 * pending);
      pendingRewards = Arrays.copyOf(pendingRewards, 2 * pending);
    }
    pendingSession = session;
    pendingUnit = unit;
    pendingWeights[pending] = weight;
    pendingRewards[pending] = reward;
    pending++;
  }

  /** The session added last counts as ended. */
  @Override
  void finish() {
    double discount = settings.value() == Value.RETURN_TO_GO ? settings.discount() : 0;
    double value = 0;
    for (int step = pending - 1; step >= 0; step--) {
      value = pendingRewards[step] + discount * value;
      addWeighted(pendingWeights[step], value, pendingUnit);
    }
    pending = 0;
  }
}
