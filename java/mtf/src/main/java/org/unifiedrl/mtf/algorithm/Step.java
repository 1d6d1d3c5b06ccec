package org.unifiedrl.mtf.algorithm;

import java.util.stream.IntStream;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Section;

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
   * Sets a deterministic actor with tanh at its end to one action in all states, nearly.
   *
   * @param start in [-1, 1], one value a dimension
   */
  void startAt(Engine engine, NetworkRef actor, long seed, float[] start) {
    if (start.length != actor.outputs()) {
      throw new IllegalArgumentException(
          "the start action has " + start.length + " values; the actor has " + actor.outputs());
    }
    engine.initialise(actor, seed);
    double[] parameters = engine.readNetwork64(actor, Section.PARAMETERS);
    int biases = parameters.length - start.length;
    int weights = biases - config.hidden().get(config.hidden().size() - 1) * start.length;
    for (int i = weights; i < biases; i++) {
      parameters[i] *= LAST_LAYER;
    }
    for (int k = 0; k < start.length; k++) {
      double a = Math.max(-0.999, Math.min(0.999, start[k]));
      parameters[biases + k] = 0.5 * Math.log((1 + a) / (1 - a)); // tanh's inverse
    }
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
