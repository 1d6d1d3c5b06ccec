package org.unifiedrl.mtf.algorithm;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Collections;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.NativeReplay;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.exploration.ActionScore;

/**
 * Novelty of actions by random network distillation (Burda, Edwards, Storkey and Klimov,
 * "Exploration by Random Network Distillation", ICLR 2019; specification 9): a network that learns
 * on a log what a fixed random one says of (s, a) errs where the log has little. The bonus is
 * {@code SUM_e (f_e(s, a) - target_e(s, a))^2} over the {@value #FEATURES} outputs, each a small
 * network here. The usual division by the bonus's running deviation does not change which action is
 * the most novel one, and is left out.
 */
public final class RandomNetworkDistillation {

  private static final int FEATURES = 8;
  private static final int HIDDEN = 32;
  private static final int BATCH = 256;
  private static final double RATE = 1e-3;

  private final ValueNetworks.Weights target;
  private final ValueNetworks.Weights predictor;

  private RandomNetworkDistillation(ValueNetworks.Weights target, ValueNetworks.Weights predictor) {
    this.target = target;
    this.predictor = predictor;
  }

  /**
   * Learns what a log holds.
   *
   * @param steps steps of Adam, 0 for none
   * @param seed key of both networks and of the batches
   */
  public static RandomNetworkDistillation learn(
      Replay log, long steps, EngineOptions options, long seed) {
    Transitions transitions = new Transitions(log.schema());
    LogStatistics statistics =
        LogStatistics.of(log, 0, Collections.nCopies(transitions.rewardGroups(), 1.0));
    Program p = new Program();
    Batch batch = new Batch(p, transitions, BATCH);
    int inputs = transitions.states() + transitions.actions();
    int[] sizes = {inputs, HIDDEN, 1};
    NetworkRef fixed = p.network("target", FEATURES, Activation.LINEAR, sizes);
    NetworkRef learned = p.network("predictor", FEATURES, Activation.LINEAR, sizes);
    var adam =
        new Program.AdamHypers(
            p.hyper("rate", RATE),
            p.hyper("adam_beta1", 0.9),
            p.hyper("adam_beta2", 0.999),
            p.hyper("adam_epsilon", 1e-8),
            p.hyper("adam_decay", 0),
            p.hyper("clip", 0));
    TensorRef stateAction = p.concat("state_action", batch.state(), batch.action());
    TensorRef truth = p.mlpForward("target_y", fixed, stateAction, Tape.NONE).y();
    var said = p.mlpForward("predictor_y", learned, stateAction, Tape.FULL);
    var error = p.squaredError("error", said.y(), truth);
    p.mlpBackward("predictor_backward", said, error.gradient());
    p.adam("predictor_adam", learned, adam);
    p.metric("error", error.loss());
    try (NativeReplay rows = NativeReplay.of(log);
        Engine engine = Engine.create(p, rows, options.withSeed(seed))) {
      engine.initialise(fixed, seed);
      engine.initialise(learned, seed + 1);
      engine.writeTensor(batch.stateShift(), statistics.stateShift());
      engine.writeTensor(batch.stateScale(), statistics.stateScale());
      FloatBuffer metrics = Engine.directFloats(Engine.METRIC_ROWS);
      for (long left = steps; left > 0; left -= Engine.METRIC_ROWS) {
        engine.run(Math.min(left, Engine.METRIC_ROWS));
        engine.drainMetrics(metrics);
      }
      return new RandomNetworkDistillation(
          weights(engine, fixed, sizes, statistics), weights(engine, learned, sizes, statistics));
    }
  }

  private static ValueNetworks.Weights weights(
      Engine engine, NetworkRef network, int[] sizes, LogStatistics statistics) {
    FloatBuffer buffer = Engine.directFloats(network.size());
    engine.readNetwork(network, Section.PARAMETERS, buffer);
    float[] flat = new float[buffer.capacity()];
    buffer.get(0, flat);
    return ValueNetworks.Weights.of(
        sizes, network.members(), flat, statistics.stateShift(), statistics.stateScale());
  }

  /** The bonus, for one thread. */
  public ActionScore bonus() {
    return new Bonus(new ValueNetworks(target), new ValueNetworks(predictor));
  }

  private record Bonus(ValueNetworks target, ValueNetworks predictor) implements ActionScore {

    @Override
    public int stateSize() {
      return target.stateSize();
    }

    @Override
    public int actionSize() {
      return target.actionSize();
    }

    @Override
    public void score(
        double choice, float[] state, int stateAt, float[] actions, int count, double[] scores) {
      target.set(state, stateAt, actions, count);
      predictor.set(state, stateAt, actions, count);
      Arrays.fill(scores, 0, count, 0);
      for (int e = 0; e < FEATURES; e++) {
        FloatBuffer truth = target.values(e, count);
        FloatBuffer said = predictor.values(e, count);
        for (int row = 0; row < count; row++) {
          double error = (double) said.get(row) - truth.get(row);
          scores[row] += error * error;
        }
      }
    }
  }
}
