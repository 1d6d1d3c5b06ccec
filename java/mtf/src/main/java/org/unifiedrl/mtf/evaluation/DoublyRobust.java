package org.unifiedrl.mtf.evaluation;

import java.util.function.DoubleUnaryOperator;

/**
 * Estimators that correct a reward model by the log (specification 10):
 *
 * <pre>
 *   V = mean( rhat(s, pi_e) + u(w) (value - rhat(s, a)) )
 * </pre>
 *
 * with w the importance weight of the logged action a, and u(w) what is used of it: nothing in the
 * direct method; {@code min(w, c)} in the doubly robust one, which is unbiased without a cap if
 * either the weights or the model are right; {@code w} up to a threshold and nothing beyond it in
 * SWITCH, which leaves the steps of high variance to the model. Self-normalised, the correction is
 * {@code SUM u(w) (value - rhat) / SUM u(w)}.
 *
 * <p>The effective sample size is that of u(w); of the direct method, which uses no weights, that
 * of w: where the log holds few actions like the policy's, a model guesses. Intervals take the
 * model as given, unless {@link CrossFit#judge} added what the log says about its error. With
 * continuous actions and kernel weights, the model's difference between the policy's action and
 * actions around it is not corrected.
 */
public final class DoublyRobust extends OffPolicyEstimator {

  private static final int MODEL = 0;
  private static final int CORRECTION = 1;
  private static final int USED = 2;
  private static final int STEPS = 3;
  private static final int INFLUENCE = 4;

  private final DoubleUnaryOperator use;
  private final boolean direct;
  private final boolean selfNormalised;

  private DoublyRobust(
      DoubleUnaryOperator use, boolean direct, boolean selfNormalised, PairedBootstrap bootstrap) {
    super("steps", bootstrap);
    this.use = use;
    this.direct = direct;
    this.selfNormalised = selfNormalised;
  }

  /** The direct method (DM): the model alone. */
  public static DoublyRobust directMethod(PairedBootstrap bootstrap) {
    return new DoublyRobust(w -> 0, true, false, bootstrap);
  }

  /**
   * The doubly robust estimator (DR).
   *
   * @param cap c, upper bound of a weight; positive, infinite for none
   */
  public static DoublyRobust plain(double cap, PairedBootstrap bootstrap) {
    return new DoublyRobust(capped(cap), false, false, bootstrap);
  }

  /**
   * The self-normalised doubly robust estimator (SNDR).
   *
   * @param cap c, upper bound of a weight; positive, infinite for none
   */
  public static DoublyRobust selfNormalised(double cap, PairedBootstrap bootstrap) {
    return new DoublyRobust(capped(cap), false, true, bootstrap);
  }

  /**
   * SWITCH-DR.
   *
   * @param threshold largest weight that is used, at least 0; infinite for all
   */
  public static DoublyRobust switching(double threshold, PairedBootstrap bootstrap) {
    if (!(threshold >= 0)) {
      throw new IllegalArgumentException("threshold is " + threshold + ": expected 0 or more");
    }
    return new DoublyRobust(w -> w <= threshold ? w : 0, false, false, bootstrap);
  }

  private static DoubleUnaryOperator capped(double cap) {
    if (!(cap > 0)) {
      throw new IllegalArgumentException("cap is " + cap + ": expected a positive number");
    }
    return w -> Math.min(w, cap);
  }

  /**
   * Adds one logged step.
   *
   * @param weight importance weight of the logged action; finite, at least 0
   * @param value what followed
   * @param atLogged what the model expects of the logged action, rhat(s, a)
   * @param atTarget what it expects of the judged policy, rhat(s, pi_e)
   * @param ofUnit unit of the bootstrap: session or user
   * @throws IllegalArgumentException if a number is not finite, or the weight negative
   */
  public void add(double weight, double value, double atLogged, double atTarget, long ofUnit) {
    if (!(weight >= 0 && Double.isFinite(weight + value + atLogged + atTarget))) {
      throw new IllegalArgumentException(
          "unit "
              + ofUnit
              + ": weight "
              + weight
              + " must be at least 0, and it, the value "
              + value
              + " and the model's "
              + atLogged
              + " and "
              + atTarget
              + " finite");
    }
    int unit = unit(ofUnit);
    double used = use(weight);
    count(weight, direct ? weight : used);
    add(MODEL, unit, atTarget);
    add(CORRECTION, unit, used * (value - atLogged));
    add(USED, unit, selfNormalised ? used : 1);
    add(STEPS, unit, 1);
  }

  /**
   * Adds how far a step moves the sum over all steps through the model that it helped to fit.
   * Widens the interval; does not move the estimate.
   */
  void addInfluence(double influence, long ofUnit) {
    add(INFLUENCE, unit(ofUnit), influence);
  }

  /** What is used of a weight. */
  double use(double weight) {
    return use.applyAsDouble(weight);
  }

  /** Derivative of the sum over all steps by {@code SUM u(w) (value - rhat)}. */
  double perUse(double[] weights) {
    if (!selfNormalised) {
      return 1;
    }
    double used = 0;
    for (double weight : weights) {
      used += use(weight);
    }
    return used > 0 ? weights.length / used : 0;
  }

  @Override
  double[][] columns() {
    double[] steps = column(STEPS);
    double[] influence = column(INFLUENCE);
    double total = 0;
    double count = 0;
    for (int u = 0; u < steps.length; u++) {
      total += influence[u];
      count += steps[u];
    }
    for (int u = 0; u < steps.length; u++) {
      influence[u] -= steps[u] * total / count;
    }
    return new double[][] {column(MODEL), column(CORRECTION), column(USED), steps, influence};
  }

  @Override
  double value(double[] sums) {
    return (sums[MODEL] + sums[INFLUENCE]) / sums[STEPS] + sums[CORRECTION] / sums[USED];
  }
}
