package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * One step of CQL(H) as a program: soft actor-critic with two critics, whose values of drawn
 * actions are pressed below those of logged ones (Kumar and others, NeurIPS 2020; specification
 * 6.6; as in CORL, all gradients before all updates).
 */
public final class Cql extends SoftActorCritic {

  private static final int CRITICS = 2;
  private static final double LOW_LOG_DEVIATION = -20;
  private static final double FIRST_LOG_MULTIPLIER = 1;

  private final CqlConfig own;

  /** Logarithm of the weight's multiplier; null without Lagrange. */
  private final Parameter logMultiplier;

  /** Writes the step down. */
  public Cql(CommonConfig config, CqlConfig own, Transitions transitions) {
    super(config, transitions, CRITICS, own.targetEntropy(), own.alpha(), LOW_LOG_DEVIATION);
    this.own = own;
    logMultiplier = own.lagrange() ? parameter("log_multiplier", 1, 1) : null;

    TensorRef state = batch.state();
    TensorRef reward = step.weightedReward();

    // alpha: -log alpha * (mean log pi(a~ | s) + target entropy).
    // Actor: mean (alpha log pi(a~ | s) - min_j Q_j(s, a~)), with the same a~.
    Program.Forward head = p.mlpForward("head", actor, state, Tape.FULL);
    Program.GaussianSample drawn = draw("policy_action", head.y(), 0);
    alphaGradient(drawn.logProbability());
    TensorRef alpha = factor("alpha", logAlpha.value());
    actorGradient(head, drawn, alpha);

    // Critics: SUM_j mean (Q_j(s, a) - y)^2 + weight * gap_j, all values in one forward pass.
    TensorRef nextHead = p.mlpForward("next_head", actor, batch.nextState(), Tape.NONE).y();
    Program.GaussianSample next = draw("next_action", nextHead, 1);
    TensorRef nextQ = own.entropyBackup() ? softNextQ(next, alpha) : leastNextQ(next.action());
    TensorRef y = p.tdTarget("y", reward, batch.done(), null, nextQ, 1, step.discount);

    int n = own.samples();
    int drawnRows = 3 * n * batch.size();
    TensorRef uniform =
        p.uniform(
            "uniform_action", 1, n * batch.size(), a, 2, step.number(1), step.number(0)); // uncut
    Program.GaussianSample here = draw("state_action", p.repeat("heads", head.y(), n), 3);
    Program.GaussianSample there =
        draw("next_state_action", p.repeat("next_heads", nextHead, n), 4);
    TensorRef actions = byState("drawn_action", uniform, here.action(), there.action());
    TensorRef logDensities =
        byState(
            "log_density",
            step.filled("uniform_log_density", here.logProbability(), a * Math.log(0.5)),
            here.logProbability(),
            there.logProbability());
    Program.Forward values =
        value(
            "values",
            critic,
            p.concatRows("states", state, p.repeat("repeated_state", state, 3 * n)),
            p.concatRows("actions", batch.action(), actions),
            Tape.FULL);
    TensorRef q = p.rows("q", values.y(), 0, batch.size());
    var error = p.squaredError("critic_loss", q, step.forMembers("ys", y, CRITICS));

    // gap_j = mean (temperature log SUM exp((Q_j - log density) / temperature) - Q_j(s, a)).
    TensorRef drawnQ = p.rows("drawn_q", values.y(), batch.size(), drawnRows);
    var soft =
        p.rowReduce(
            "log_sum_exp",
            difference("weighed_q", drawnQ, logDensities),
            3 * n,
            Program.Reduction.LOG_SUM_EXP,
            true,
            p.hyper("temperature", own.temperature()));
    TensorRef gap =
        p.rowReduce(
                "gap",
                difference("gaps", soft.value(), q),
                batch.size(),
                Program.Reduction.MEAN,
                true,
                step.number(1))
            .value();
    TensorRef one = step.filled("one", alpha, 1);
    TensorRef multiplier = own.lagrange() ? factor("multiplier", logMultiplier.value()) : one;
    TensorRef perRow = scaled("gap_weight", multiplier, own.weight() / batch.size());
    p.mlpBackward(
        "critic_backward",
        values,
        p.concatRows(
            "values_gradient",
            difference("q_gradient", error.gradient(), perRow),
            p.multiply("drawn_q_gradient", soft.derivative(), perRow)));
    if (own.lagrange()) {
      multiplierGradient(gap, multiplier);
      p.adam(
          "log_multiplier_adam",
          logMultiplier.network(),
          adam("multiplier_rate", own.multiplierRate()));
      p.metric("multiplier", multiplier);
    }

    p.adam("log_alpha_adam", logAlpha.network(), adam("alpha_rate", own.alphaRate()));
    TensorRef actorNorm = p.adam("actor_adam", actor, step.actorAdam);
    TensorRef criticNorm = p.adam("critic_adam", critic, step.criticAdam);
    step.track("critic_target", targetCritic, critic);

    p.metric("critic_loss", error.loss());
    p.metric("conservative_gap", gap);
    p.metric("q_mean", q);
    p.metric("alpha", alpha);
    p.metric("log_probability", drawn.logProbability());
    p.metric("reward", reward);
    p.metric("critic_gradient_norm", criticNorm);
    p.metric("actor_gradient_norm", actorNorm);
  }

  /** Joins three draws of n rows a state so that all rows of a state are consecutive. */
  private TensorRef byState(String name, TensorRef x, TensorRef y, TensorRef z) {
    int columns = own.samples() * x.columns();
    TensorRef two =
        p.concat(
            name + ".two", p.reshape(name + ".x", x, columns), p.reshape(name + ".y", y, columns));
    TensorRef three = p.concat(name + ".three", two, p.reshape(name + ".z", z, columns));
    return p.reshape(name, three, x.columns());
  }

  private TensorRef difference(String name, TensorRef x, TensorRef y) {
    return p.combine(name, x, y, step.number(1), step.number(-1), step.number(0));
  }

  /** Forms the gradient of -mean_j multiplier * weight * (gap_j - tau), for the logarithm. */
  private void multiplierGradient(TensorRef gap, TensorRef multiplier) {
    TensorRef excess =
        p.combine(
            "minus_excess",
            p.memberSum("gap_sum", gap),
            null,
            p.hyper("minus_mean_gap_weight", -own.weight() / CRITICS),
            step.number(0),
            p.hyper("weighed_target_gap", own.weight() * own.gap()));
    p.mlpBackward(
        "log_multiplier_backward",
        logMultiplier.forward(),
        p.multiply("multiplier_gradient", excess, multiplier));
  }

  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    super.initialise(engine, seed, start);
    if (own.lagrange()) {
      start(engine, logMultiplier, FIRST_LOG_MULTIPLIER);
    }
  }
}
