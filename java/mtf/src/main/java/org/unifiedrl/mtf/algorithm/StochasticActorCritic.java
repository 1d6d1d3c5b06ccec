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

/**
 * An ensemble of critics with target networks, and what learners of a Gaussian policy share; the
 * actor is a subclass's.
 */
abstract class StochasticActorCritic implements Algorithm {

  /** No limit, as a number that float32 holds. */
  static final double UNLIMITED = 1e30;

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
    step = new Step(config, transitions);
    p = step.program;
    batch = step.batch;
    s = transitions.states();
    a = transitions.actions();
    critic = step.network("critic", critics, Activation.LINEAR, s + a, 1);
    targetCritic = step.network("target_critic", critics, Activation.LINEAR, s + a, 1);
  }

  /** Adds a learned parameter, repeated for a number of rows. */
  final Parameter parameter(String name, int rows, int columns) {
    NetworkRef network = p.network(name, 1, Activation.LINEAR, 1, columns);
    TensorRef zeros = p.constant(name + ".input", 1, rows, 1); // zero at first, and never written
    return new Parameter(network, p.mlpForward(name, network, zeros, Tape.NONE));
  }

  /** Standard normal noise [1, rows, A]. */
  final TensorRef normal(String name, int rows, int stream) {
    return p.normal(name, 1, rows, a, stream, step.number(1), step.number(0));
  }

  /** Computes x + y, sizes of 1 broadcast. */
  final TensorRef plus(String name, TensorRef x, TensorRef y) {
    return p.combine(name, x, y, step.number(1), step.number(1), step.number(0));
  }

  /** Computes x - y, sizes of 1 broadcast. */
  final TensorRef minus(String name, TensorRef x, TensorRef y) {
    return p.combine(name, x, y, step.number(1), step.number(-1), step.number(0));
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

  /**
   * Starts an actor whose linear outputs are a mean, and behind it maybe a log standard deviation.
   *
   * @param mean values of the mean, the same in all states, nearly
   * @param logDeviation value of everything behind it
   */
  final void startHead(
      Engine engine, NetworkRef actor, long seed, double[] mean, double logDeviation) {
    engine.initialise(actor, seed);
    double[] parameters = engine.readNetwork64(actor, Section.PARAMETERS);
    int outputs = actor.outputs();
    int biases = parameters.length - outputs;
    int lastHidden = actor.sizes().get(actor.sizes().size() - 2);
    for (int i = biases - lastHidden * outputs; i < biases; i++) {
      parameters[i] *= Step.LAST_LAYER;
    }
    for (int k = 0; k < outputs; k++) {
      parameters[biases + k] = k < mean.length ? mean[k] : logDeviation;
    }
    engine.writeNetwork64(actor, Section.PARAMETERS, parameters);
  }

  /** Inverse of tanh at actions cut to ±0.999. */
  final double[] unsquashed(float[] start) {
    double[] mean = requireStart(start);
    for (int k = 0; k < mean.length; k++) {
      double action = Math.max(-0.999, Math.min(0.999, mean[k]));
      mean[k] = 0.5 * Math.log((1 + action) / (1 - action));
    }
    return mean;
  }

  /** The start action in double. */
  final double[] requireStart(float[] start) {
    if (start.length != a) {
      throw new IllegalArgumentException(
          "the start action has " + start.length + " values; the actor has " + a);
    }
    double[] mean = new double[a];
    for (int k = 0; k < a; k++) {
      mean[k] = start[k];
    }
    return mean;
  }

  /** Sets a learned parameter. */
  static void start(Engine engine, Parameter parameter, double value) {
    double[] weightAndBias = new double[Math.toIntExact(parameter.network().size())];
    Arrays.fill(weightAndBias, weightAndBias.length / 2, weightAndBias.length, value);
    engine.writeNetwork64(parameter.network(), Section.PARAMETERS, weightAndBias);
  }

  /** Critics start at random, each its own, and target networks equal to them. */
  final void startCritics(Engine engine, long seed) {
    engine.initialise(critic, seed);
    engine.copyParameters(critic, targetCritic);
    step.writeGroupWeights(engine);
  }

  /** Smallest and largest log standard deviation. */
  record LogBounds(HyperRef low, HyperRef high) {}

  final LogBounds logBounds(double low, double high) {
    return new LogBounds(step.number(low), step.number(high));
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
