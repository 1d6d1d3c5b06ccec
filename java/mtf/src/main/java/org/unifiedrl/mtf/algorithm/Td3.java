package org.unifiedrl.mtf.algorithm;

import java.util.OptionalDouble;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * One step of TD3 as a program: the smaller of two target critics, a smoothed target policy, and an
 * actor that learns more slowly (Fujimoto and others, ICML 2018; specification 6.3). TD3+BC also
 * pulls the actor towards the logged actions (Fujimoto and Gu, NeurIPS 2021; specification 6.4).
 */
public final class Td3 extends ActorCritic {

  private static final int CRITICS = 2;

  private final TensorRef firstCritic;

  /** Writes the step of TD3 down. */
  public Td3(CommonConfig config, Td3Config td3, Transitions transitions) {
    this(config, td3, OptionalDouble.empty(), transitions);
  }

  /** Writes the step of TD3+BC down. */
  public Td3(CommonConfig config, Td3BcConfig bc, Transitions transitions) {
    this(config, bc.td3(), OptionalDouble.of(bc.alpha()), transitions);
  }

  private Td3(CommonConfig config, Td3Config td3, OptionalDouble alpha, Transitions transitions) {
    super(config, transitions, CRITICS);
    TensorRef state = batch.state();
    TensorRef nextState = batch.nextState();
    TensorRef action = batch.action();
    TensorRef reward = step.weightedReward();
    TensorRef done = batch.done();

    // Critics: a' = clip(mu'(s') + clip(noise)), y = r + gamma (1 - done) min_j Q'_j(s', a').
    TensorRef nextAction =
        step.smoothed(
            p.mlpForward("target_mu", targetActor, nextState, Tape.NONE).y(),
            td3.policyNoise(),
            td3.noiseClip());
    TensorRef nextStateAction = p.concat("next_state_action", nextState, nextAction);
    TensorRef nextQs = p.mlpForward("next_q", targetCritic, nextStateAction, Tape.NONE).y();
    TensorRef nextQ = p.groupExtreme("least_next_q", nextQs, CRITICS, step.number(1)).value();
    TensorRef y = p.tdTarget("y", reward, done, null, nextQ, 1, step.discount);
    CriticUpdate update =
        updateCritics(p.concat("state_action", state, action), step.forMembers("ys", y, CRITICS));

    // Actor, through the first of the updated critics: -mean Q_1(s, mu(s)). With behaviour cloning
    // -lambda mean Q_1(s, mu(s)) + mean (mu(s) - a)^2, lambda = alpha / mean |Q_1|, a constant.
    Program.Forward policy = p.mlpForward("mu", actor, state, Tape.FULL);
    TensorRef stateMu = p.concat("state_mu", state, policy.y());
    Program.Forward values = p.mlpForward("q_mu", critic, stateMu, Tape.SIGNS);
    TensorRef value = p.members("first_q_mu", values.y(), 0, 1);
    firstCritic = p.constant("first_critic", CRITICS, 1, 1);
    TensorRef ofValue = objectiveOfFirst(values.y(), firstCritic);
    if (alpha.isPresent()) {
      TensorRef lambda = p.normaliser("lambda", value, p.hyper("alpha", alpha.getAsDouble()));
      ofValue = p.multiply("weighted_objective", ofValue, lambda);
    }
    TensorRef byCritic = p.mlpBackwardInput("to_action", values, ofValue, s, a);
    TensorRef gradient = p.memberSum("value_gradient", byCritic);
    if (alpha.isPresent()) {
      Step.Distance distance = step.distance("cloning_error", policy.y(), action);
      TensorRef ofCloning = step.gradient("cloning_gradient", distance, 1.0 / a);
      gradient = p.add("actor_gradient", gradient, ofCloning);
      p.metric("cloning_error", distance.squared());
    }
    TensorRef actorNorm = updateActor(policy, gradient, td3.actorPeriod());

    p.metric("critic_loss", update.loss());
    p.metric("q_mean", value);
    p.metric("reward", reward);
    p.metric("critic_gradient_norm", update.norm());
    p.metric("actor_gradient_norm", actorNorm);
  }

  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    super.initialise(engine, seed, start);
    engine.writeTensor(firstCritic, 1, 0);
  }
}
