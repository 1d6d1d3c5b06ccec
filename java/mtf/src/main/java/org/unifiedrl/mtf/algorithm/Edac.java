package org.unifiedrl.mtf.algorithm;

import java.util.Arrays;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * One step of EDAC as a program: soft actor-critic whose value is the least of N critics, which are
 * kept from having the same gradients with respect to actions; without that term it is SAC-N (An
 * and others, NeurIPS 2021; specification 6.6 and 6.9; in the order of CORL).
 */
public final class Edac extends StochasticActorCritic {

  private static final double LOW_LOG_DEVIATION = -5;
  private static final double HIGH_LOG_DEVIATION = 2;

  /** Entropy of a normal distribution of deviation 1, in nats. */
  private static final double STANDARD_ENTROPY = 0.5 * Math.log(2 * Math.PI * Math.E);

  private static final double ALPHA_CAP = 1e6; // keeps a run that diverges in float's range

  private final EdacConfig own;
  private final NetworkRef actor;
  private final Parameter logAlpha;
  private final LogBounds bounds = logBounds(LOW_LOG_DEVIATION, HIGH_LOG_DEVIATION);

  /** Writes the step down. */
  public Edac(CommonConfig config, EdacConfig own, Transitions transitions) {
    super(config, transitions, own.critics());
    this.own = own;
    actor = step.network("actor", 1, Activation.LINEAR, s, 2 * a);
    logAlpha = parameter("log_alpha", 1, 1);

    TensorRef state = batch.state();
    TensorRef reward = step.weightedReward();
    double perRow = 1.0 / batch.size();

    // alpha: -log alpha * (mean log pi(a~ | s) + target entropy).
    Program.Forward head = p.mlpForward("head", actor, state, Tape.FULL);
    TensorRef logProbability = draw("alpha_action", head.y(), 0).logProbability();
    TensorRef meanLogProbability =
        p.rowReduce(
                "mean_log_prob",
                logProbability,
                batch.size(),
                Program.Reduction.MEAN,
                true,
                step.number(1))
            .value();
    TensorRef alphaGradient =
        p.combine(
            "alpha_gradient",
            meanLogProbability,
            null,
            step.number(-1),
            step.number(0),
            p.hyper("minus_target_entropy", -own.targetEntropy() * a));
    p.mlpBackward("log_alpha_backward", logAlpha.forward(), alphaGradient);
    p.adam("log_alpha_adam", logAlpha.network(), adam("alpha_rate", own.alphaRate()));
    TensorRef newLogAlpha =
        p.mlpForward("new_log_alpha", logAlpha.network(), logAlpha.forward().x(), Tape.NONE).y();
    TensorRef alpha =
        p.expWeight("alpha", newLogAlpha, null, step.number(1), step.number(ALPHA_CAP));

    // Actor: mean (alpha log pi(a~ | s) - min_j Q_j(s, a~)), a~ = tanh(mean + sd noise).
    Program.GaussianSample drawn = draw("policy_action", head.y(), 1);
    Program.Forward values = value("q_policy", critic, state, drawn.action(), Tape.SIGNS);
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
    TensorRef actorNorm = p.adam("actor_adam", actor, step.actorAdam);

    // Critics: y = r + gamma (1 - done) (min_j Q'_j(s', a') - alpha log pi(a' | s')), a' by the
    // updated actor; SUM_j mean (Q_j(s, a) - y)^2 + eta * the similarity of the gradients.
    TensorRef nextHead = p.mlpForward("next_head", actor, batch.nextState(), Tape.NONE).y();
    Program.GaussianSample next = draw("next_action", nextHead, 2);
    TensorRef nextQs =
        value("next_q", targetCritic, batch.nextState(), next.action(), Tape.NONE).y();
    TensorRef softNextQ =
        p.combine(
            "soft_next_q",
            least("least_next_q", nextQs).value(),
            p.multiply("entropy_cost", next.logProbability(), alpha),
            step.number(1),
            step.number(-1),
            step.number(0));
    TensorRef y = p.tdTarget("y", reward, batch.done(), null, softNextQ, 1, step.discount);
    Program.Forward q = value("q", critic, state, batch.action(), Tape.FULL);
    var error = p.squaredError("critic_loss", q.y(), step.forMembers("ys", y, own.critics()));
    p.mlpBackward("critic_backward", q, error.gradient());
    if (own.diversity() > 0) {
      diversify(q);
    }
    TensorRef criticNorm = p.adam("critic_adam", critic, step.criticAdam);
    step.track("critic_target", targetCritic, critic);

    p.metric("critic_loss", error.loss());
    p.metric("q_mean", q.y());
    p.metric("alpha", alpha);
    p.metric("log_probability", drawn.logProbability());
    p.metric("reward", reward);
    p.metric("critic_gradient_norm", criticNorm);
    p.metric("actor_gradient_norm", actorNorm);
  }

  /** Draws actions of the policy; {@code stream} separates the draws of a step. */
  private Program.GaussianSample draw(String name, TensorRef head, int stream) {
    TensorRef noise =
        p.normal(
            name + ".noise", 1, batch.size(), a, stream, step.number(1), step.number(0)); // uncut
    return p.gaussianSample(name, head, noise, true, bounds.low(), bounds.high());
  }

  /**
   * Adds the gradient of eta * mean_B 1/(N-1) SUM_(i != j) cos(dQ_i/da, dQ_j/da) to the critics'.
   */
  private void diversify(Program.Forward q) {
    TensorRef ones = step.filled("ones", q.y(), 1);
    TensorRef slopes = p.mlpBackwardInput("q_slope", q, ones, s, a);
    var similarity = p.diversity("similarity", slopes);
    TensorRef direction = scaled("diversity_gradient", similarity.derivative(), own.diversity());
    p.mlpBackwardTangent("diversity_backward", q, ones, direction, s);
    p.metric("similarity", similarity.value());
  }

  /** The actor starts at the served action, with about the entropy that it is held at. */
  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    startCritics(engine, seed);
    double[] logDeviations = new double[a];
    double ofTarget = own.targetEntropy() - STANDARD_ENTROPY;
    Arrays.fill(logDeviations, Math.max(LOW_LOG_DEVIATION, Math.min(HIGH_LOG_DEVIATION, ofTarget)));
    step.startAt(engine, actor, seed + 1, start, logDeviations);
    start(engine, logAlpha, Math.log(own.alpha()));
  }

  @Override
  public ServedPolicy policy() {
    return ServedPolicy.SQUASHED_MEAN;
  }
}
