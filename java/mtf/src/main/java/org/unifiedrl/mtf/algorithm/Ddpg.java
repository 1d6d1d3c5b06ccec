package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * One step of DDPG as a program: one critic, a deterministic actor that climbs it, and nothing
 * against actions that were not logged (Lillicrap and others, ICLR 2016; specification 6.2).
 */
public final class Ddpg extends ActorCritic {

  /** Writes the step down. */
  public Ddpg(CommonConfig config, Transitions transitions) {
    super(config, transitions, 1);
    TensorRef state = batch.state();
    TensorRef nextState = batch.nextState();
    TensorRef action = batch.action();
    TensorRef reward = step.weightedReward();
    TensorRef done = batch.done();

    // Critic: y = r + gamma (1 - done) Q'(s', mu'(s')).
    TensorRef nextAction = p.mlpForward("next_action", targetActor, nextState, Tape.NONE).y();
    TensorRef nextStateAction = p.concat("next_state_action", nextState, nextAction);
    TensorRef nextQ = p.mlpForward("next_q", targetCritic, nextStateAction, Tape.NONE).y();
    TensorRef y = p.tdTarget("y", reward, done, null, nextQ, 1, step.discount);
    CriticUpdate update = updateCritics(p.concat("state_action", state, action), y);

    // Actor, through the updated critic: -mean Q(s, mu(s)).
    Program.Forward policy = p.mlpForward("mu", actor, state, Tape.FULL);
    TensorRef stateMu = p.concat("state_mu", state, policy.y());
    Program.Forward value = p.mlpForward("q_mu", critic, stateMu, Tape.SIGNS);
    TensorRef ofValue = step.filled("objective", value.y(), -1.0 / batch.size());
    TensorRef gradient = p.mlpBackwardInput("actor_gradient", value, ofValue, s, a);
    TensorRef actorNorm = updateActor(policy, gradient, 1);

    p.metric("critic_loss", update.loss());
    p.metric("q_mean", value.y());
    p.metric("reward", reward);
    p.metric("critic_gradient_norm", update.norm());
    p.metric("actor_gradient_norm", actorNorm);
  }
}
