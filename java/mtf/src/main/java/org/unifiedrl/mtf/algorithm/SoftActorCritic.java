package org.unifiedrl.mtf.algorithm;

import java.util.Arrays;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * What learners of a squashed Gaussian policy with an entropy weight alpha share: the parts of soft
 * actor-critic (specification 6.6), for a subclass to put in its order.
 */
abstract class SoftActorCritic extends StochasticActorCritic {

  /** Largest factor that a learned logarithm stands for: a run that diverges stays in range. */
  static final double FACTOR_CAP = 1e6;

  /** Entropy of a normal distribution of deviation 1, in nats. */
  private static final double STANDARD_ENTROPY = 0.5 * Math.log(2 * Math.PI * Math.E);

  private static final double HIGH_LOG_DEVIATION = 2;

  /** Mean and log standard deviation of the draw before tanh, by columns. */
  final NetworkRef actor;

  final Parameter logAlpha;
  private final double targetEntropy;
  private final double firstAlpha;
  private final double lowLogDeviation;
  private final LogBounds bounds;

  /**
   * Adds critics, actor and alpha.
   *
   * @param targetEntropy in nats for each dimension of the action
   * @param firstAlpha alpha at first, positive
   * @param lowLogDeviation smallest log standard deviation
   */
  SoftActorCritic(
      CommonConfig config,
      Transitions transitions,
      int critics,
      double targetEntropy,
      double firstAlpha,
      double lowLogDeviation) {
    super(config, transitions, critics);
    this.targetEntropy = targetEntropy;
    this.firstAlpha = firstAlpha;
    this.lowLogDeviation = lowLogDeviation;
    bounds = logBounds(lowLogDeviation, HIGH_LOG_DEVIATION);
    actor = step.network("actor", 1, Activation.LINEAR, s, 2 * a);
    logAlpha = parameter("log_alpha", 1, 1);
  }

  /** Draws an action for every row of a head; {@code stream} separates the draws of a step. */
  final Program.GaussianSample draw(String name, TensorRef head, int stream) {
    TensorRef noise =
        p.normal(
            name + ".noise", 1, head.rows(), a, stream, step.number(1), step.number(0)); // uncut
    return p.gaussianSample(name, head, noise, true, bounds.low(), bounds.high());
  }

  /** Forms the gradient of -log alpha * (mean log pi(a~ | s) + target entropy). */
  final void alphaGradient(TensorRef logProbability) {
    TensorRef meanLogProbability =
        p.rowReduce(
                "mean_log_prob",
                logProbability,
                batch.size(),
                Program.Reduction.MEAN,
                true,
                step.number(1))
            .value();
    TensorRef gradient =
        p.combine(
            "alpha_gradient",
            meanLogProbability,
            null,
            step.number(-1),
            step.number(0),
            p.hyper("minus_target_entropy", -targetEntropy * a));
    p.mlpBackward("log_alpha_backward", logAlpha.forward(), gradient);
  }

  /** The factor of a logarithm, [1, 1, 1]. */
  final TensorRef factor(String name, TensorRef logarithm) {
    return p.expWeight(name, logarithm, null, step.number(1), step.number(FACTOR_CAP));
  }

  /**
   * Forms the gradient of mean (alpha log pi(a~ | s) - min_j Q_j(s, a~)).
   *
   * @param head of the states, made with {@link Tape#FULL}
   * @param drawn a~, drawn by it
   */
  final void actorGradient(Program.Forward head, Program.GaussianSample drawn, TensorRef alpha) {
    double perRow = 1.0 / batch.size();
    Program.Forward values = value("q_policy", critic, batch.state(), drawn.action(), Tape.SIGNS);
    Program.WithDerivative leastValue = least("least_q_policy", values.y());
    TensorRef objective = scaled("objective", leastValue.derivative(), -perRow);
    TensorRef byCritic = p.mlpBackwardInput("to_action", values, objective, s, a);
    TensorRef entropyWeight =
        p.multiply(
            "entropy_weight", step.filled("mean_weight", drawn.logProbability(), perRow), alpha);
    TensorRef headGradient =
        p.gaussianSampleBackward(
            "head_gradient", drawn, p.memberSum("action_gradient", byCritic), entropyWeight);
    p.mlpBackward("actor_backward", head, headGradient);
  }

  /** The least of the target critics' values of the next states, [1, B, 1]. */
  final TensorRef leastNextQ(TensorRef nextAction) {
    TensorRef values = value("next_q", targetCritic, batch.nextState(), nextAction, Tape.NONE).y();
    return least("least_next_q", values).value();
  }

  /** Computes min_j Q'_j(s', a') - alpha log pi(a' | s'), [1, B, 1]. */
  final TensorRef softNextQ(Program.GaussianSample next, TensorRef alpha) {
    return p.combine(
        "soft_next_q",
        leastNextQ(next.action()),
        p.multiply("entropy_cost", next.logProbability(), alpha),
        step.number(1),
        step.number(-1),
        step.number(0));
  }

  /** The actor starts at the served action, with about the entropy that it is held at. */
  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    startCritics(engine, seed);
    double[] logDeviations = new double[a];
    double ofTarget = targetEntropy - STANDARD_ENTROPY;
    Arrays.fill(logDeviations, Math.max(lowLogDeviation, Math.min(HIGH_LOG_DEVIATION, ofTarget)));
    step.startAt(engine, actor, seed + 1, start, logDeviations);
    start(engine, logAlpha, Math.log(firstAlpha));
  }

  @Override
  public final ServedPolicy policy() {
    return ServedPolicy.SQUASHED_MEAN;
  }
}
