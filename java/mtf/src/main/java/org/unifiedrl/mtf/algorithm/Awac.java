package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * One step of AWAC as a program: critics of the policy that is learned, and a policy that imitates
 * logged actions by their advantage over its own (Nair and others, arXiv 2006.09359; specification
 * 6.8; in the order of CORL).
 */
public final class Awac extends AdvantageWeighted {

  private static final int CRITICS = 2;

  /** Writes the step down. */
  public Awac(CommonConfig config, AwacConfig own, Transitions transitions) {
    super(config, transitions, CRITICS);
    TensorRef state = batch.state();
    TensorRef nextState = batch.nextState();
    TensorRef action = batch.action();
    TensorRef reward = step.weightedReward();

    // Critics: y = r + gamma (1 - done) min_j Q'_j(s', a'), a' ~ pi(s'), the policy as it is.
    TensorRef nextMean = p.mlpForward("next_mu", actor, nextState, Tape.NONE).y();
    TensorRef nextAction = draw("next_action", nextMean, 0);
    TensorRef nextQs = value("next_q", targetCritic, nextState, nextAction, Tape.NONE).y();
    TensorRef nextQ = least("least_next_q", nextQs).value();
    TensorRef y = p.tdTarget("y", reward, batch.done(), null, nextQ, 1, step.discount);
    Program.Forward q = value("q", critic, state, action, Tape.FULL);
    var error = p.squaredError("critic_loss", q.y(), step.forMembers("ys", y, CRITICS));
    p.mlpBackward("critic_backward", q, error.gradient());
    TensorRef criticNorm = p.adam("critic_adam", critic, step.criticAdam);
    step.track("critic_target", targetCritic, critic);

    // Actor: -mean min(exp((Q - V) / lambda), cap) log pi(a | s), with the updated critics:
    // Q = min_j Q_j(s, a), V = min_j Q_j(s, b), b ~ pi(s).
    Program.Forward mean = p.mlpForward("mu", actor, state, Tape.FULL);
    TensorRef drawn = draw("drawn_action", mean.y(), 1);
    TensorRef loggedQs = value("logged_q", critic, state, action, Tape.NONE).y();
    TensorRef loggedQ = least("least_logged_q", loggedQs).value();
    TensorRef drawnQs = value("drawn_q", critic, state, drawn, Tape.NONE).y();
    TensorRef v = least("v", drawnQs).value();
    TensorRef weight =
        p.expWeight(
            "weight",
            loggedQ,
            v,
            p.hyper("inverse_lambda", 1 / own.lambda()),
            p.hyper("weight_cap", own.weightCap()));
    imitate(mean, weight);

    p.metric("critic_loss", error.loss());
    p.metric("q_mean", loggedQ);
    p.metric("v_mean", v);
    p.metric("reward", reward);
    p.metric("critic_gradient_norm", criticNorm);
  }
}
