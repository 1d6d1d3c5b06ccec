package org.unifiedrl.mtf.algorithm;

import java.util.Arrays;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/** What learners of a Gaussian policy share; the actor is a subclass's. */
abstract class StochasticActorCritic extends CriticAlgorithm {

  /**
   * A parameter that no input bears on, as the bias of a linear layer that is fed with 0.
   *
   * @param network of the sizes (1, F)
   * @param forward its value in the present step, [1, B, F]
   */
  record Parameter(NetworkRef network, Program.Forward forward) {
    TensorRef value() {
      return forward.y();
    }
  }

  /** Adds the critics; the step is a subclass's to write. */
  StochasticActorCritic(CommonConfig config, Transitions transitions, int critics) {
    super(config, transitions, critics);
  }

  /** Adds a learned parameter, repeated for a number of rows. */
  final Parameter parameter(String name, int rows, int columns) {
    NetworkRef network = p.network(name, 1, Activation.LINEAR, 1, columns);
    TensorRef zeros = p.constant(name + ".input", 1, rows, 1); // zero at first, and never written
    return new Parameter(network, p.mlpForward(name, network, zeros, Tape.NONE));
  }

  /** Computes weight * x. */
  final TensorRef scaled(String name, TensorRef x, double weight) {
    return p.combine(name, x, null, step.number(weight), step.number(0), step.number(0));
  }

  /** Smallest value of an ensemble, [1, B, 1], and its derivative [E, B, 1]. */
  final Program.WithDerivative least(String name, TensorRef values) {
    return p.groupExtreme(name, values, values.members(), step.number(1));
  }

  /** A network's values of states and actions, [E, B, 1]. */
  final Program.Forward value(
      String name, NetworkRef network, TensorRef state, TensorRef action, Tape tape) {
    return p.mlpForward(name, network, p.concat(name + ".input", state, action), tape);
  }

  /** Settings of Adam with a rate of its own and no limit of gradient norms. */
  final Program.AdamHypers adam(String name, double rate) {
    Program.AdamHypers like = step.criticAdam;
    return new Program.AdamHypers(
        p.hyper(name, rate),
        like.beta1(),
        like.beta2(),
        like.epsilon(),
        like.decay(),
        step.number(0));
  }

  /** Sets a learned parameter. */
  static void start(Engine engine, Parameter parameter, double value) {
    double[] weightAndBias = new double[Math.toIntExact(parameter.network().size())];
    Arrays.fill(weightAndBias, weightAndBias.length / 2, weightAndBias.length, value);
    engine.writeNetwork64(parameter.network(), Section.PARAMETERS, weightAndBias);
  }

  /** Smallest and largest log standard deviation. */
  record LogBounds(HyperRef low, HyperRef high) {}

  final LogBounds logBounds(double low, double high) {
    return new LogBounds(step.number(low), step.number(high));
  }
}
