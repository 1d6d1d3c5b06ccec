package org.unifiedrl.mtf.algorithm;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.NativeReplay;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * Behaviour cloning of the served policy: before the first step of training, an actor learns the
 * baseline actions that the log holds, so that training starts where users are served and the log
 * explored. Minimises mean_B |mu(s) - mu_bp(s)|^2 by Adam.
 */
public final class Cloning {

  private static final int BATCH = 512;
  private static final double RATE = 1e-3;
  private static final String ACTOR = "actor";
  private static final String TARGET = "target_actor";

  private final Program program = new Program();
  private final NetworkRef actor;
  private final Batch batch;

  private Cloning(Transitions transitions, NetworkRef like, boolean squashed) {
    batch = new Batch(program, transitions, BATCH);
    int s = transitions.states();
    int a = transitions.actions();
    Activation last = squashed ? Activation.LINEAR : Activation.TANH;
    actor = program.network(ACTOR, 1, last, like.sizes().stream().mapToInt(i -> i).toArray());
    TensorRef state = ofPairs("states", batch.state(), s);
    TensorRef served = ofPairs("served", batch.column(ReplaySchema.BASELINE_ACTION), a);
    HyperRef zero = program.hyper("zero", 0);
    HyperRef one = program.hyper("one", 1);
    Program.Forward forward = program.mlpForward("mu", actor, state, Tape.FULL);
    Program.GaussianSample mean = null;
    TensorRef action = forward.y();
    if (squashed) {
      // Without noise a draw is tanh of the head's mean.
      TensorRef nothing = program.constant("no_noise", 1, served.rows(), a);
      mean =
          program.gaussianSample(
              "mean",
              forward.y(),
              nothing,
              true,
              program.hyper("low", -5),
              program.hyper("high", 2));
      action = mean.action();
    }
    HyperRef slope = program.hyper("slope", 2.0 / served.rows());
    HyperRef back = program.hyper("back", -2.0 / served.rows());
    TensorRef gradient = program.combine("gradient", action, served, slope, back, zero);
    if (transitions.pairwise()) {
      TensorRef shown = ofPairs("shown", batch.column(Transitions.SHOWN), 1);
      gradient = program.multiply("shown_gradient", gradient, shown);
    }
    if (squashed) {
      gradient = program.gaussianSampleBackward("head_gradient", mean, gradient, null);
    }
    program.mlpBackward("backward", forward, gradient);
    program.adam(
        "adam",
        actor,
        new Program.AdamHypers(
            program.hyper("rate", RATE),
            program.hyper("beta1", 0.9),
            program.hyper("beta2", 0.999),
            program.hyper("epsilon", 1e-8),
            zero,
            one));
  }

  private TensorRef ofPairs(String name, TensorRef column, int width) {
    return column.columns() == width ? column : program.reshape(name, column, width);
  }

  /**
   * Moves an algorithm's actor, and its target, to the served actions. Algorithms without an actor,
   * whose policy is learned from the log's actions alone, stay as they are.
   *
   * @param algorithm initialised in {@code engine}
   * @param engine the algorithm's; before its first step
   * @param log with baseline actions
   * @param options of the engine that clones
   * @param stateShift subtracted from states
   * @param stateScale then multiplies them
   * @param steps steps of Adam, at least 1
   */
  public static void run(
      Algorithm algorithm,
      Transitions transitions,
      Engine engine,
      NativeReplay log,
      EngineOptions options,
      float[] stateShift,
      float[] stateScale,
      long steps) {
    Optional<NetworkRef> actor = network(algorithm, ACTOR);
    if (actor.isEmpty()) {
      return;
    }
    boolean squashed = algorithm.policy() == ServedPolicy.SQUASHED_MEAN;
    Cloning cloning = new Cloning(transitions, actor.get(), squashed);
    try (Engine cloner = Engine.create(cloning.program, log, options)) {
      cloner.writeNetwork64(
          cloning.actor, Section.PARAMETERS, engine.readNetwork64(actor.get(), Section.PARAMETERS));
      cloner.writeTensor(cloning.batch.stateShift(), stateShift);
      cloner.writeTensor(cloning.batch.stateScale(), stateScale);
      cloner.run(steps);
      double[] learned = cloner.readNetwork64(cloning.actor, Section.PARAMETERS);
      List<NetworkRef> moved = new ArrayList<>(List.of(actor.get()));
      network(algorithm, TARGET).ifPresent(moved::add);
      moved.forEach(network -> engine.writeNetwork64(network, Section.PARAMETERS, learned));
    }
  }

  private static Optional<NetworkRef> network(Algorithm algorithm, String name) {
    return algorithm.networks().stream().filter(n -> n.name().equals(name)).findFirst();
  }
}
