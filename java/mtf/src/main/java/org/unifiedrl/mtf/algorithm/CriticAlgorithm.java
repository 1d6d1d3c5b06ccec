package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.TensorRef;

/** An algorithm with an ensemble of critics and their target networks; the rest is a subclass's. */
abstract class CriticAlgorithm implements Algorithm {

  final Step step;
  final Program p;
  final Batch batch;

  /** Width of states; in the critics' inputs actions stand behind them. */
  final int s;

  /** Width of actions. */
  final int a;

  /** Q and Q'. */
  final NetworkRef critic;

  final NetworkRef targetCritic;

  /** Adds the critics. */
  CriticAlgorithm(CommonConfig config, Transitions transitions, int critics) {
    step = new Step(config, transitions);
    p = step.program;
    batch = step.batch;
    s = transitions.states();
    a = transitions.actions();
    critic = step.network("critic", critics, Activation.LINEAR, s + a, 1);
    targetCritic = step.network("target_critic", critics, Activation.LINEAR, s + a, 1);
  }

  /** Critics start at random, each its own, and target networks equal to them. */
  final void startCritics(Engine engine, long seed) {
    engine.initialise(critic, seed);
    engine.copyParameters(critic, targetCritic);
    step.writeGroupWeights(engine);
  }

  /**
   * Gradient of -mean Q_1 with respect to the critics' values.
   *
   * @param values of all critics, [E, B, 1]
   * @param first 1 for the first critic and 0 for the others, [E, 1, 1]
   * @return [E, B, 1]
   */
  final TensorRef objectiveOfFirst(TensorRef values, TensorRef first) {
    return p.combine(
        "objective",
        first,
        values,
        step.number(-1.0 / batch.size()),
        step.number(0),
        step.number(0));
  }

  @Override
  public final Program program() {
    return p;
  }

  @Override
  public final Batch batch() {
    return batch;
  }
}
