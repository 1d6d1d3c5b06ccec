package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * One step of EnhancedRL as a program: UnifiedRL of (user, candidate) pairs, whose temporal
 * difference is that of the list that was shown (specification 8.1). A batch is B lists of l pairs;
 * networks see its B l pairs as rows. Places that showed nothing are left out of every sum.
 */
public final class EnhancedRl extends ActorCritic {

  private final GroupMetrics byGroup;

  private final int pairs;

  /**
   * Writes the step down.
   *
   * @param transitions of lists of pairs, with boxes; their reward has one column a group
   * @throws IllegalArgumentException if rows hold no pairs
   */
  public EnhancedRl(UnifiedRlConfig config, Transitions transitions) {
    super(config.common(), transitions, config.groups() * config.criticsPerGroup());
    if (!transitions.pairwise()) {
      throw new IllegalArgumentException(
          "enhancedrl needs lists of pairs: a replay with a column '" + Transitions.SHOWN + "'");
    }
    pairs = transitions.pairs();
    int m = config.criticsPerGroup();
    TensorRef state = ofPairs(batch.state(), s);
    TensorRef nextState = ofPairs(batch.nextState(), s);
    TensorRef action = ofPairs(batch.action(), a);
    TensorRef low = ofPairs(batch.column(ReplaySchema.BOX_LOW), a);
    TensorRef high = ofPairs(batch.column(ReplaySchema.BOX_HIGH), a);
    TensorRef nextLow = ofPairs(batch.next(ReplaySchema.BOX_LOW), a);
    TensorRef nextHigh = ofPairs(batch.next(ReplaySchema.BOX_HIGH), a);
    TensorRef shown = ofPairs(batch.column(Transitions.SHOWN), 1);
    TensorRef nextShown = ofPairs(batch.next(Transitions.SHOWN), 1);
    HyperRef omega = p.hyper("omega", config.omega());

    // Critics: y_ij = r_i + gamma (1 - done) SUM_l g(phi(mu'(s'_l)), Q'_ij(s'_l, mu'(s'_l))).
    TensorRef nextAction = p.mlpForward("next_action", targetActor, nextState, Tape.NONE).y();
    TensorRef phi =
        p.attenuation(
            "phi",
            nextAction,
            nextLow,
            nextHigh,
            p.hyper("beta", config.beta()),
            p.hyper("theta", config.theta()));
    TensorRef nextStateAction = p.concat("next_state_action", nextState, nextAction);
    TensorRef nextQ = p.mlpForward("next_q", targetCritic, nextStateAction, Tape.NONE).y();
    // A target without reward, end and discount is g(phi, Q').
    TensorRef nothing = p.constant("no_reward", 1, nextQ.rows(), config.groups());
    TensorRef never = p.constant("no_end", 1, nextQ.rows(), 1);
    TensorRef attenuated =
        p.tdTarget("attenuated_q", nothing, never, phi, nextQ, m, step.number(1));
    TensorRef future = ofList("next_list_q", attenuated, nextShown);
    TensorRef y = p.tdTarget("y", batch.reward(), batch.done(), null, future, m, step.discount);

    // The error is the list's, (y - SUM_l Q(s_l, a_l))^2, and every shown pair has its gradient.
    TensorRef stateAction = p.concat("state_action", state, action);
    Program.Forward value = p.mlpForward("q", critic, stateAction, Tape.FULL);
    Program.SquaredError error =
        p.squaredError("critic_loss", ofList("list_q", value.y(), shown), y);
    TensorRef ofEach = p.repeat("pair_gradient", error.gradient(), pairs);
    p.mlpBackward("critic_backward", value, p.multiply("shown_gradient", ofEach, shown));
    TensorRef criticNorm = p.adam("critic_adam", critic, step.criticAdam);
    step.track("critic_target", targetCritic, critic);

    // Actor, through the updated critics: UnifiedRL's loss of each pair, averaged over all.
    Program.Forward policy = p.mlpForward("mu", actor, state, Tape.FULL);
    TensorRef stateMu = p.concat("state_mu", state, policy.y());
    Program.Forward valueOfMu = p.mlpForward("q_mu", critic, stateMu, Tape.SIGNS);
    Program.EnsembleObjective objective =
        p.ensembleObjective(
            "objective",
            valueOfMu.y(),
            batch.groupWeights(),
            m,
            p.hyper("lambda", config.lambda()));
    TensorRef byCritic = p.mlpBackwardInput("to_action", valueOfMu, objective.gradient(), s, a);
    TensorRef ofValue = p.memberSum("value_gradient", byCritic);
    Program.BoxPenalty penalty =
        p.boxPenalty(
            "penalty",
            policy.y(),
            low,
            high,
            config.exactPenalty(),
            p.hyper("eta", config.eta()),
            omega);
    byGroup = new GroupMetrics(p, config.groups());
    byGroup.select("q_mean", objective.mean());
    byGroup.select("q_deviation", objective.deviation());
    TensorRef gradient = p.add("actor_gradient", ofValue, penalty.gradient());
    TensorRef actorNorm =
        updateActor(policy, p.multiply("shown_actor_gradient", gradient, shown), 1);

    p.metric("critic_loss", error.loss());
    p.metric("q_mean", objective.mean());
    p.metric("q_deviation", objective.deviation());
    p.metric("box_distance", penalty.distance());
    p.metric("inside_share", penalty.inside());
    p.metric("attenuation", phi);
    p.metric("reward", batch.reward());
    p.metric("critic_gradient_norm", criticNorm);
    p.metric("actor_gradient_norm", actorNorm);
    byGroup.record();
  }

  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    super.initialise(engine, seed, start);
    byGroup.write(engine);
  }

  /** A column of lists [1, B, l width] as one of pairs [1, B l, width]. */
  private TensorRef ofPairs(TensorRef column, int width) {
    return p.reshape(column.name() + ".pairs", column, width);
  }

  /** Sums over the shown pairs of each list: [E, B l, 1] becomes [E, B, 1]. */
  private TensorRef ofList(String name, TensorRef values, TensorRef shown) {
    TensorRef kept = p.multiply(name + ".shown", values, shown);
    return p.rowReduce(name, kept, pairs, Program.Reduction.SUM, false, step.number(1)).value();
  }

  @Override
  public ServedPolicy policy() {
    return ServedPolicy.PAIR_ACTOR;
  }
}
