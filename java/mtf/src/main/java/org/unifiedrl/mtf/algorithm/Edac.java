package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * One step of EDAC as a program: soft actor-critic whose value is the least of N critics, which are
 * kept from having the same gradients with respect to actions; without that term it is SAC-N (An
 * and others, NeurIPS 2021; specification 6.6 and 6.9; in the order of CORL).
 */
public final class Edac extends SoftActorCritic {

  private static final double LOW_LOG_DEVIATION = -5;

  private final EdacConfig own;

  /** Writes the step down. */
  public Edac(CommonConfig config, EdacConfig own, Transitions transitions) {
    super(config, transitions, own.critics(), own.targetEntropy(), own.alpha(), LOW_LOG_DEVIATION);
    this.own = own;

    TensorRef state = batch.state();
    TensorRef reward = step.weightedReward();

    // alpha: -log alpha * (mean log pi(a~ | s) + target entropy).
    Program.Forward head = p.mlpForward("head", actor, state, Tape.FULL);
    alphaGradient(draw("alpha_action", head.y(), 0).logProbability());
    p.adam("log_alpha_adam", logAlpha.network(), adam("alpha_rate", own.alphaRate()));
    TensorRef newLogAlpha =
        p.mlpForward("new_log_alpha", logAlpha.network(), logAlpha.forward().x(), Tape.NONE).y();
    TensorRef alpha = factor("alpha", newLogAlpha);

    // Actor: mean (alpha log pi(a~ | s) - min_j Q_j(s, a~)), a~ = tanh(mean + sd noise).
    Program.GaussianSample drawn = draw("policy_action", head.y(), 1);
    actorGradient(head, drawn, alpha);
    TensorRef actorNorm = p.adam("actor_adam", actor, step.actorAdam);

    // Critics: y = r + gamma (1 - done) (min_j Q'_j(s', a') - alpha log pi(a' | s')), a' by the
    // updated actor; SUM_j mean (Q_j(s, a) - y)^2 + eta * the similarity of the gradients.
    TensorRef nextHead = p.mlpForward("next_head", actor, batch.nextState(), Tape.NONE).y();
    TensorRef softNextQ = softNextQ(draw("next_action", nextHead, 2), alpha);
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
}
