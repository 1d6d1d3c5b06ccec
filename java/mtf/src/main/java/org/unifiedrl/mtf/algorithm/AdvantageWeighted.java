package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.TensorRef;

/**
 * What learners share whose policy imitates logged actions by their advantage: N(mu(s), sd^2),
 * whose deviation is the same in all states.
 */
abstract class AdvantageWeighted extends StochasticActorCritic {

  private static final double LOW_LOG_DEVIATION = -20;
  private static final double HIGH_LOG_DEVIATION = 2;

  /** Mean of the policy, through tanh. */
  final NetworkRef actor;

  private final Parameter logDeviation;
  private final LogBounds bounds;

  /** Adds the critics and the policy. */
  AdvantageWeighted(CommonConfig config, Transitions transitions, int critics) {
    super(config, transitions, critics);
    actor = step.network("actor", 1, Activation.TANH, s, a);
    logDeviation = parameter("log_deviation", batch.size(), a);
    bounds = logBounds(LOW_LOG_DEVIATION, HIGH_LOG_DEVIATION);
  }

  /**
   * Draws an action in every state, cut to [-1, 1].
   *
   * @param mean of the policy, [1, B, A]
   * @param stream of random numbers, its own
   * @return [1, B, A]
   */
  final TensorRef draw(String name, TensorRef mean, int stream) {
    TensorRef noise =
        p.normal(name + ".noise", 1, batch.size(), a, stream, step.number(1), step.number(0));
    TensorRef head = p.concat(name + ".head", mean, logDeviation.value());
    TensorRef drawn =
        p.gaussianSample(name + ".uncut", head, noise, false, bounds.low(), bounds.high()).action();
    return p.clip(name, drawn, step.number(-1), step.number(1)).value();
  }

  /**
   * Writes the policy's update down: -mean weight log pi(a | s), of the logged actions.
   *
   * @param mean of the policy in the batch's states, [1, B, A]
   * @param weight of every action, a constant, [1, B, 1]
   */
  final void imitate(Program.Forward mean, TensorRef weight) {
    var logProbability =
        p.gaussianLogProbability(
            "log_prob",
            p.concat("head", mean.y(), logDeviation.value()),
            batch.action(),
            false,
            bounds.low(),
            bounds.high());
    TensorRef weighted = p.multiply("weighted", logProbability.derivative(), weight);
    TensorRef gradient = scaled("actor_gradient", weighted, -1.0 / batch.size());
    p.mlpBackward("actor_backward", mean, p.columns("mean_gradient", gradient, 0, a));
    p.mlpBackward(
        "log_deviation_backward",
        logDeviation.forward(),
        p.columns("log_deviation_gradient", gradient, a, a));
    TensorRef norm = p.adam("actor_adam", actor, step.actorAdam);
    p.adam("log_deviation_adam", logDeviation.network(), step.actorAdam);

    p.metric("weight", weight);
    p.metric("log_probability", logProbability.value());
    p.metric("actor_gradient_norm", norm);
  }

  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    startCritics(engine, seed);
    step.startAt(engine, actor, seed + 1, start);
    start(engine, logDeviation, 0);
  }

  @Override
  public final ServedPolicy policy() {
    return ServedPolicy.ACTOR;
  }
}
