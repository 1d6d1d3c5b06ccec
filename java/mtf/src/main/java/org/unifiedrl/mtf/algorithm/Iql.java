package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * One step of IQL as a program: the value of logged actions only, by expectile regression, and a
 * policy that imitates them by their advantage (Kostrikov and others, ICLR 2022; specification 6.7;
 * in the order and with the policy of CORL).
 */
public final class Iql extends AdvantageWeighted {

  private static final int CRITICS = 2;

  private final NetworkRef value;

  /** Writes the step down. */
  public Iql(CommonConfig config, IqlConfig own, Transitions transitions) {
    super(config, transitions, CRITICS);
    value = step.network("value", 1, Activation.LINEAR, s, 1);

    TensorRef state = batch.state();
    TensorRef action = batch.action();
    TensorRef reward = step.weightedReward();
    TensorRef nextV = p.mlpForward("next_v", value, batch.nextState(), Tape.NONE).y();

    // V: |tau - 1(u < 0)| u^2, u = min_j Q'_j(s, a) - V(s).
    TensorRef targetQs = value("target_q", targetCritic, state, action, Tape.NONE).y();
    TensorRef targetQ = least("least_target_q", targetQs).value();
    Program.Forward v = p.mlpForward("v", value, state, Tape.FULL);
    TensorRef weight =
        p.expWeight(
            "weight",
            targetQ,
            v.y(),
            p.hyper("temperature", own.temperature()),
            p.hyper("weight_cap", own.weightCap()));
    var valueLoss =
        p.expectile("value_loss", targetQ, v.y(), p.hyper("expectile", own.expectile()));
    p.mlpBackward("value_backward", v, valueLoss.derivative());
    p.adam("value_adam", value, adam("value_rate", own.valueRate()));

    // Q: mean_j (Q_j(s, a) - r - gamma (1 - done) V(s'))^2, with V as it was.
    TensorRef y = p.tdTarget("y", reward, batch.done(), null, nextV, 1, step.discount);
    Program.Forward q = value("q", critic, state, action, Tape.FULL);
    var error = p.squaredError("critic_loss", q.y(), step.forMembers("ys", y, CRITICS));
    p.mlpBackward("critic_backward", q, scaled("q_gradient", error.gradient(), 1.0 / CRITICS));
    TensorRef criticNorm = p.adam("critic_adam", critic, step.criticAdam);
    step.track("critic_target", targetCritic, critic);

    // Actor: -mean min(exp(beta (Q' - V)), cap) log pi(a | s), with the advantage from above.
    imitate(p.mlpForward("mu", actor, state, Tape.FULL), weight);

    p.metric("value_loss", valueLoss.value());
    p.metric("critic_loss", error.loss());
    p.metric("v_mean", v.y());
    p.metric("q_mean", q.y());
    p.metric("reward", reward);
    p.metric("critic_gradient_norm", criticNorm);
  }

  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    super.initialise(engine, seed, start);
    engine.initialise(value, seed + 2);
  }
}
