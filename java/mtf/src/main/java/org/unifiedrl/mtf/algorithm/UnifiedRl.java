package org.unifiedrl.mtf.algorithm;

import java.util.Optional;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * One step of UnifiedRL as a program (specification section 0), or of its earlier form, v4, whose
 * targets are lowered outside the box instead of attenuated (section 2.4, U4).
 */
public final class UnifiedRl extends ActorCritic {

  private final GroupMetrics byGroup;

  /**
   * Writes the step down.
   *
   * @param transitions with boxes; their reward has one column a group
   */
  public UnifiedRl(UnifiedRlConfig config, Transitions transitions) {
    this(config, Optional.empty(), transitions);
  }

  /** Writes the step of v4 down. */
  public UnifiedRl(UnifiedRlConfig config, UnifiedRlV4Config v4, Transitions transitions) {
    this(config, Optional.of(v4), transitions);
  }

  private UnifiedRl(
      UnifiedRlConfig config, Optional<UnifiedRlV4Config> v4, Transitions transitions) {
    // Critic i * m + j is critic j of group i.
    super(config.common(), transitions, config.groups() * config.criticsPerGroup());
    int m = config.criticsPerGroup();
    TensorRef state = batch.state();
    TensorRef nextState = batch.nextState();
    TensorRef action = batch.action();
    TensorRef low = batch.column(ReplaySchema.BOX_LOW);
    TensorRef high = batch.column(ReplaySchema.BOX_HIGH);
    TensorRef nextLow = batch.next(ReplaySchema.BOX_LOW);
    TensorRef nextHigh = batch.next(ReplaySchema.BOX_HIGH);
    TensorRef reward = batch.reward();
    TensorRef done = batch.done();
    var omega = p.hyper("omega", config.omega());

    // Critics: y_ij = r_i + gamma (1 - done) g(phi(mu'(s')), Q'_ij(s', mu'(s'))). What follows the
    // attenuation is one critic's own business, op after op, so that a back end can fuse it.
    TensorRef stateAction = p.concat("state_action", state, action);
    TensorRef nextAction = p.mlpForward("next_action", targetActor, nextState, Tape.NONE).y();
    TensorRef nextStateAction = p.concat("next_state_action", nextState, nextAction);
    TensorRef outside;
    TensorRef y;
    if (v4.isEmpty()) {
      outside =
          p.attenuation(
              "phi",
              nextAction,
              nextLow,
              nextHigh,
              p.hyper("beta", config.beta()),
              p.hyper("theta", config.theta()));
      TensorRef nextQ = p.mlpForward("next_q", targetCritic, nextStateAction, Tape.NONE).y();
      y = p.tdTarget("y", reward, done, outside, nextQ, m, step.discount);
    } else {
      // In v4 y_ij = r_i + gamma (1 - done) (Q'_ij(s', mu'(s')) - c d(mu'(s'))).
      var c = p.hyper("target_penalty", -v4.get().targetPenalty());
      outside =
          p.boxPenalty(
                  "next_penalty",
                  nextAction,
                  nextLow,
                  nextHigh,
                  config.exactPenalty(),
                  step.number(1),
                  omega)
              .distance();
      TensorRef nextQ = p.mlpForward("next_q", targetCritic, nextStateAction, Tape.NONE).y();
      TensorRef lowered = p.combine("lowered_q", nextQ, outside, step.number(1), c, step.number(0));
      y = p.tdTarget("y", reward, done, null, lowered, m, step.discount);
    }
    CriticUpdate update = updateCritics(stateAction, y);

    // Actor, through the updated critics: -SUM_i w_i Qbar_i + eta d(mu(s)) + lambda SUM_i w_i sd_i.
    var policy = p.mlpForward("mu", actor, state, Tape.FULL);
    TensorRef stateMu = p.concat("state_mu", state, policy.y());
    var valueOfMu = p.mlpForward("q_mu", critic, stateMu, Tape.SIGNS);
    var objective =
        p.ensembleObjective(
            "objective",
            valueOfMu.y(),
            batch.groupWeights(),
            m,
            p.hyper("lambda", config.lambda()));
    TensorRef byCritic = p.mlpBackwardInput("to_action", valueOfMu, objective.gradient(), s, a);
    TensorRef ofValue = p.memberSum("value_gradient", byCritic);
    var penalty =
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
    TensorRef actorNorm = updateActor(policy, gradient, 1);

    p.metric("critic_loss", update.loss());
    p.metric("q_mean", objective.mean());
    p.metric("q_deviation", objective.deviation());
    p.metric("box_distance", penalty.distance());
    p.metric("inside_share", penalty.inside());
    p.metric(v4.isEmpty() ? "attenuation" : "target_box_distance", outside);
    p.metric("reward", reward);
    p.metric("critic_gradient_norm", update.norm());
    p.metric("actor_gradient_norm", actorNorm);
    byGroup.record();
  }

  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    super.initialise(engine, seed, start);
    byGroup.write(engine);
  }
}
