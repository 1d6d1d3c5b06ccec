package org.unifiedrl.mtf.algorithm;

import java.util.HashMap;
import java.util.Map;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.TensorRef;

/** A step that is being written down, with what all algorithms share. */
final class Step {

  /** Size of the actor's last weights at first: near 0, not 0, so that layers below it learn. */
  private static final double LAST_LAYER = 0.01;

  final Program program = new Program();
  final CommonConfig config;
  final Transitions transitions;
  final Batch batch;
  final HyperRef discount;
  final Program.AdamHypers actorAdam;
  final Program.AdamHypers criticAdam;
  private final HyperRef targetRate;
  private final Map<Double, HyperRef> numbers = new HashMap<>();

  /**
   * Draws the batch.
   *
   * @throws IllegalArgumentException if there are not as many rewards as weights of groups
   */
  Step(CommonConfig config, Transitions transitions) {
    this.config = config;
    this.transitions = transitions;
    if (transitions.rewardGroups() != config.groups()) {
      throw new IllegalArgumentException(
          "the log has "
              + transitions.rewardGroups()
              + " reward groups and groupWeights "
              + config.groups()
              + ": they must be as many");
    }
    batch = new Batch(program, transitions, config.batch());
    discount = program.hyper("gamma", config.discount());
    targetRate = program.hyper("target_rate", config.targetRate());
    HyperRef beta1 = program.hyper("adam_beta1", 0.9);
    HyperRef beta2 = program.hyper("adam_beta2", 0.999);
    HyperRef epsilon = program.hyper("adam_epsilon", 1e-8);
    HyperRef decay = program.hyper("adam_decay", 0);
    actorAdam =
        new Program.AdamHypers(
            program.hyper("actor_rate", config.actorRate()),
            beta1,
            beta2,
            epsilon,
            decay,
            program.hyper("actor_clip", config.gradientClip()));
    criticAdam =
        new Program.AdamHypers(
            program.hyper("critic_rate", config.criticRate()),
            beta1,
            beta2,
            epsilon,
            decay,
            program.hyper("critic_clip", config.gradientClip()));
  }

  /**
   * Distance of two actions.
   *
   * @param difference x - y, [1, B, A]
   * @param squared SUM_k (x_k - y_k)^2, [1, B, 1]
   */
  record Distance(TensorRef difference, TensorRef squared) {}

  /** A number that stays as it is. */
  HyperRef number(double value) {
    return numbers.computeIfAbsent(value, v -> program.hyper(String.valueOf(v), v));
  }

  /** The same number everywhere, in the shape of {@code like}; not a number where that is none. */
  TensorRef filled(String name, TensorRef like, double value) {
    return program.combine(name, like, null, number(0), number(0), number(value));
  }

  /** The same for every member: [1, B, F] becomes [E, B, F]. */
  TensorRef forMembers(String name, TensorRef x, int members) {
    return program.forMembers(name, x, members, number(1), number(0));
  }

  /** What algorithms with one value function are rewarded by: SUM_i w_i r_i, [1, B, 1]. */
  TensorRef weightedReward() {
    TensorRef parts = program.multiply("weighted_rewards", batch.reward(), batch.groupWeights());
    return program
        .rowReduce("weighted_reward", parts, 1, Program.Reduction.SUM, true, number(1))
        .value();
  }

  /** A target policy's actions with cut normal noise, within [-1, 1]. */
  TensorRef smoothed(TensorRef action, double deviation, double largest) {
    TensorRef noise =
        program.normal(
            "policy_noise",
            1,
            action.rows(),
            action.columns(),
            0,
            program.hyper("policy_noise", deviation),
            program.hyper("noise_clip", largest));
    TensorRef noisy =
        program.combine("noisy_action", action, noise, number(1), number(1), number(0));
    return program.clip("smoothed_action", noisy, number(-1), number(1)).value();
  }

  /** How far apart two actions are in every row. */
  Distance distance(String name, TensorRef x, TensorRef y) {
    TensorRef difference =
        program.combine(name + ".difference", x, y, number(1), number(-1), number(0));
    TensorRef squares = program.multiply(name + ".squares", difference, difference);
    TensorRef sum =
        program.rowReduce(name, squares, 1, Program.Reduction.SUM, true, number(1)).value();
    return new Distance(difference, sum);
  }

  /** Gradient of weight * mean_B |x - y|^2 with respect to x, [1, B, A]. */
  TensorRef gradient(String name, Distance distance, double weight) {
    HyperRef factor = program.hyper(name, 2 * weight / batch.size());
    return program.combine(name, distance.difference(), null, factor, number(0), number(0));
  }

  /** A network with the hidden layers that all have. */
  NetworkRef network(String name, int members, Activation last, int inputs, int outputs) {
    IntStream hidden = config.hidden().stream().mapToInt(Integer::intValue);
    int[] sizes =
        IntStream.concat(IntStream.concat(IntStream.of(inputs), hidden), IntStream.of(outputs))
            .toArray();
    return program.network(name, members, last, sizes);
  }

  /** Soft update of a target network when it is due. */
  void track(String name, NetworkRef target, NetworkRef source) {
    program.softUpdate(name, target, source, config.targetPeriod(), targetRate);
  }

  /**
   * Sets an actor whose first outputs go through tanh to one action in all states, nearly.
   *
   * @param start in [-1, 1], one value a dimension
   * @param further what the outputs behind the action start at
   */
  void startAt(Engine engine, NetworkRef actor, long seed, float[] start, double... further) {
    int outputs = actor.outputs();
    if (start.length + further.length != outputs) {
      throw new IllegalArgumentException(
          "the start action has %d values; the actor has %d"
              .formatted(start.length, outputs - further.length));
    }
    engine.initialise(actor, seed);
    double[] parameters = engine.readNetwork64(actor, Section.PARAMETERS);
    int biases = parameters.length - outputs;
    int weights = biases - config.hidden().get(config.hidden().size() - 1) * outputs;
    for (int i = weights; i < biases; i++) {
      parameters[i] *= LAST_LAYER;
    }
    for (int k = 0; k < start.length; k++) {
      double a = Math.max(-0.999, Math.min(0.999, start[k]));
      parameters[biases + k] = 0.5 * Math.log((1 + a) / (1 - a)); // tanh's inverse
    }
    System.arraycopy(further, 0, parameters, biases + start.length, further.length);
    engine.writeNetwork64(actor, Section.PARAMETERS, parameters);
  }

  /** Writes the weights of the reward groups. */
  void writeGroupWeights(Engine engine) {
    float[] weights = new float[config.groups()];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = config.groupWeights().get(i).floatValue();
    }
    engine.writeTensor(batch.groupWeights(), weights);
  }
}
