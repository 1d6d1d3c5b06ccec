package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/** A deterministic actor and an ensemble of critics, each with a target network. */
abstract class ActorCritic extends CriticAlgorithm {

  /** mu and mu'. */
  final NetworkRef actor;

  final NetworkRef targetActor;

  /**
   * A critic's update.
   *
   * @param loss mean squared error of each critic, [E, 1, 1]
   * @param norm of each critic's gradient, [E, 1, 1]
   */
  record CriticUpdate(TensorRef loss, TensorRef norm) {}

  /** Adds the networks; the step is a subclass's to write. */
  ActorCritic(CommonConfig config, Transitions transitions, int critics) {
    super(config, transitions, critics);
    actor = step.network("actor", 1, Activation.TANH, s, a);
    targetActor = step.network("target_actor", 1, Activation.TANH, s, a);
  }

  /** Moves every critic towards its target y [E, B, 1]; target networks follow when it is due. */
  final CriticUpdate updateCritics(TensorRef stateAction, TensorRef y) {
    var value = p.mlpForward("q", critic, stateAction, Tape.FULL);
    var error = p.squaredError("critic_loss", value.y(), y);
    p.mlpBackward("critic_backward", value, error.gradient());
    TensorRef norm = p.adam("critic_adam", critic, step.criticAdam);
    step.track("critic_target", targetCritic, critic);
    return new CriticUpdate(error.loss(), norm);
  }

  /**
   * Moves the actor against a gradient of its loss; its target network follows when it is due.
   *
   * @param policy the actor's forward pass
   * @param gradient with respect to its actions, [1, B, A]
   * @param period steps from one update to the next
   * @return norm of the parameters' gradient
   */
  final TensorRef updateActor(Program.Forward policy, TensorRef gradient, int period) {
    p.mlpBackward("actor_backward", policy, gradient);
    TensorRef norm = p.adam("actor_adam", actor, step.actorAdam, period);
    step.track("actor_target", targetActor, actor);
    return norm;
  }

  /** Critics start at random, each its own; every target network equal to its network. */
  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    startCritics(engine, seed);
    step.startAt(engine, actor, seed + 1, start);
    engine.copyParameters(actor, targetActor);
  }

  @Override
  public ServedPolicy policy() {
    return ServedPolicy.ACTOR;
  }
}
