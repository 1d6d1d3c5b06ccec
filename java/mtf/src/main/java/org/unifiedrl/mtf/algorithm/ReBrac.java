package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * One step of ReBRAC as a program: TD3 whose critics are layer-normed, and which keeps to the
 * logged actions in the actor's loss and in the critics' targets (Tarasov and others, NeurIPS 2023;
 * specification 6.10).
 */
public final class ReBrac implements Algorithm {

  private static final int CRITICS = 2;

  /** Flax's, in which the reference is written. */
  private static final double NORM_EPSILON = 1e-6;

  private final Step step;
  private final NetworkRef actor;
  private final NetworkRef targetActor;
  private final NormedCritics critics;
  private final NormedCritics targetCritics;

  /** Writes the step down. */
  public ReBrac(CommonConfig config, ReBracConfig own, Transitions transitions) {
    step = new Step(config, transitions);
    Program p = step.program;
    Batch batch = step.batch;
    int s = transitions.states();
    int a = transitions.actions();
    actor = step.network("actor", 1, Activation.TANH, s, a);
    targetActor = step.network("target_actor", 1, Activation.TANH, s, a);
    HyperRef epsilon = p.hyper("norm_epsilon", NORM_EPSILON);
    critics = new NormedCritics(step, "critic", CRITICS, s + a, epsilon);
    targetCritics = new NormedCritics(step, "target_critic", CRITICS, s + a, epsilon);

    TensorRef state = batch.state();
    TensorRef nextState = batch.nextState();
    TensorRef action = batch.action();
    TensorRef loggedNextAction = batch.nextAction();
    TensorRef reward = step.weightedReward();
    TensorRef done = batch.done();

    // Critics: a' = clip(mu'(s') + clip(noise)),
    // y = r + gamma (1 - done) (min_j Q'_j(s', a') - beta_c |a' - logged a'|^2).
    TensorRef nextAction =
        step.smoothed(
            p.mlpForward("target_mu", targetActor, nextState, Tape.NONE).y(),
            own.policyNoise(),
            own.noiseClip());
    TensorRef nextStateAction = p.concat("next_state_action", nextState, nextAction);
    TensorRef nextQs = targetCritics.forward("next_q", nextStateAction).y();
    TensorRef nextQ = p.groupExtreme("least_next_q", nextQs, CRITICS, step.number(1)).value();
    TensorRef nextDistance = step.distance("next_distance", nextAction, loggedNextAction).squared();
    TensorRef lowered =
        p.combine(
            "lowered_q",
            nextQ,
            nextDistance,
            step.number(1),
            p.hyper("critic_weight", -own.criticWeight()),
            step.number(0));
    TensorRef y = p.tdTarget("y", reward, done, null, lowered, 1, step.discount);
    NormedCritics.Forward value = critics.forward("q", p.concat("state_action", state, action));
    var error = p.squaredError("critic_loss", value.y(), step.forMembers("ys", y, CRITICS));
    critics.backward("critic_backward", value, error.gradient());
    critics.adam("critic_adam");
    targetCritics.track("critic_target", critics);

    // Actor, through the updated critics: beta_a |mu(s) - a|^2 - lambda min_j Q_j(s, mu(s)),
    // lambda = 1 / mean |min_j Q_j|, a constant.
    Program.Forward policy = p.mlpForward("mu", actor, state, Tape.FULL);
    TensorRef stateMu = p.concat("state_mu", state, policy.y());
    NormedCritics.Forward valueOfMu = critics.forward("q_mu", stateMu);
    var least = p.groupExtreme("least_q_mu", valueOfMu.y(), CRITICS, step.number(1));
    TensorRef lambda = p.normaliser("lambda", least.value(), step.number(-1.0 / batch.size()));
    TensorRef ofValue = p.multiply("objective", least.derivative(), lambda);
    TensorRef byCritic = critics.backwardInput("to_action", valueOfMu, ofValue, s, a);
    Step.Distance distance = step.distance("cloning_error", policy.y(), action);
    TensorRef ofCloning = step.gradient("cloning_gradient", distance, own.actorWeight());
    TensorRef gradient =
        p.add("actor_gradient", p.memberSum("value_gradient", byCritic), ofCloning);
    p.mlpBackward("actor_backward", policy, gradient);
    TensorRef actorNorm = p.adam("actor_adam", actor, step.actorAdam, own.actorPeriod());
    step.track("actor_target", targetActor, actor);

    p.metric("critic_loss", error.loss());
    p.metric("q_mean", least.value());
    p.metric("cloning_error", distance.squared());
    p.metric("next_distance", nextDistance);
    p.metric("reward", reward);
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
    step.startAt(engine, actor, seed, start);
    engine.copyParameters(actor, targetActor);
    critics.initialise(engine, seed + 1);
    targetCritics.copy(engine, critics);
    step.writeGroupWeights(engine);
  }

  @Override
  public ServedPolicy policy() {
    return ServedPolicy.ACTOR;
  }
}
