package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.replay.ReplaySchema;

/** One step of UnifiedRL as a program (specification section 0). */
public final class UnifiedRl implements Algorithm {

  private final Step step;

  /** mu, mu', Q_ij and Q'_ij; critic i * m + j is critic j of group i. */
  private final NetworkRef actor;

  private final NetworkRef targetActor;
  private final NetworkRef critic;
  private final NetworkRef targetCritic;

  /**
   * Writes the step down.
   *
   * @param transitions with boxes; their reward has one column a group
   */
  public UnifiedRl(UnifiedRlConfig config, Transitions transitions) {
    step = new Step(config.common(), transitions);
    Program p = step.program;
    Batch batch = step.batch;
    int s = transitions.states();
    int a = transitions.actions();
    int m = config.criticsPerGroup();
    int critics = config.groups() * m;
    actor = step.network("actor", 1, Activation.TANH, s, a);
    targetActor = step.network("target_actor", 1, Activation.TANH, s, a);
    critic = step.network("critic", critics, Activation.LINEAR, s + a, 1);
    targetCritic = step.network("target_critic", critics, Activation.LINEAR, s + a, 1);

    TensorRef state = batch.state();
    TensorRef nextState = batch.nextState();
    TensorRef action = batch.action();
    TensorRef low = batch.column(ReplaySchema.BOX_LOW);
    TensorRef high = batch.column(ReplaySchema.BOX_HIGH);
    TensorRef nextLow = batch.next(ReplaySchema.BOX_LOW);
    TensorRef nextHigh = batch.next(ReplaySchema.BOX_HIGH);
    TensorRef reward = batch.reward();
    TensorRef done = batch.done();

    // Critics: y_ij = r_i + gamma (1 - done) g(phi(mu'(s')), Q'_ij(s', mu'(s'))). What follows the
    // attenuation is one critic's own business, op after op, so that a back end can fuse it.
    TensorRef stateAction = p.concat("state_action", state, action);
    TensorRef nextAction = p.mlpForward("next_action", targetActor, nextState, Tape.NONE).y();
    TensorRef nextStateAction = p.concat("next_state_action", nextState, nextAction);
    TensorRef phi =
        p.attenuation(
            "phi",
            nextAction,
            nextLow,
            nextHigh,
            p.hyper("beta", config.beta()),
            p.hyper("theta", config.theta()));
    TensorRef nextQ = p.mlpForward("next_q", targetCritic, nextStateAction, Tape.NONE).y();
    TensorRef y = p.tdTarget("y", reward, done, phi, nextQ, m, step.discount);
    var value = p.mlpForward("q", critic, stateAction, Tape.FULL);
    var error = p.squaredError("critic_loss", value.y(), y);
    p.mlpBackward("critic_backward", value, error.gradient());
    TensorRef criticNorm = p.adam("critic_adam", critic, step.criticAdam);
    step.track("critic_target", targetCritic, critic);

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
            p.hyper("omega", config.omega()));
    p.mlpBackward("actor_backward", policy, p.add("actor_gradient", ofValue, penalty.gradient()));
    TensorRef actorNorm = p.adam("actor_adam", actor, step.actorAdam);
    step.track("actor_target", targetActor, actor);

    p.metric("critic_loss", error.loss());
    p.metric("q_mean", objective.mean());
    p.metric("q_deviation", objective.deviation());
    p.metric("box_distance", penalty.distance());
    p.metric("inside_share", penalty.inside());
    p.metric("attenuation", phi);
    p.metric("reward", reward);
    p.metric("critic_gradient_norm", criticNorm);
    p.metric("actor_gradient_norm", actorNorm);
  }

  @Override
  public Program program() {
    return step.program;
  }

  @Override
  public Batch batch() {
    return step.batch;
  }

  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    engine.initialise(critic, seed);
    engine.copyParameters(critic, targetCritic);
    step.startAt(engine, actor, seed + 1, start);
    engine.copyParameters(actor, targetActor);
    step.writeGroupWeights(engine);
  }

  @Override
  public ServedPolicy policy() {
    return ServedPolicy.ACTOR;
  }
}
