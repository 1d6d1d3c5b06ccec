package org.unifiedrl.examples;

import java.nio.FloatBuffer;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Program.AdamHypers;
import org.unifiedrl.engine.Program.Forward;
import org.unifiedrl.engine.Program.SquaredError;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * A training loop of one's own around one step of the engine: deterministic policy gradient for a
 * decision that ends at once. The caller brings states s, actions a that were taken and their
 * rewards r; the step fits a critic to them and moves the actor uphill on it:
 *
 * <pre>
 * critic: minimise mean_b (Q(s_b, a_b) - r_b)^2
 * actor:  minimise -mean_b Q(s_b, mu(s_b))
 * </pre>
 *
 * <p>For one thread at a time, since it keeps a buffer for the losses.
 */
public final class OwnLoop implements AutoCloseable {

  private final TensorRef states;
  private final TensorRef actions;
  private final TensorRef rewards;
  private final NetworkRef actor;
  private final Engine engine;
  private final FloatBuffer metrics = Engine.directFloats(2);

  /**
   * The losses of a step.
   *
   * @param critic mean squared error before the update
   * @param value mean of Q(s, mu(s)) before the update
   */
  public record Losses(float critic, float value) {}

  /**
   * Plans the step.
   *
   * @param stateSize values of a state
   * @param actionSize values of an action, each in [-1, 1]
   * @param batch rows of a batch
   * @param rate learning rate of both networks
   * @param seed of the first weights
   */
  public OwnLoop(int stateSize, int actionSize, int batch, double rate, long seed) {
    Program p = new Program();
    states = p.constant("states", 1, batch, stateSize);
    actions = p.constant("actions", 1, batch, actionSize);
    rewards = p.constant("rewards", 1, batch, 1);
    NetworkRef critic =
        p.network("critic", 1, Activation.LINEAR, stateSize + actionSize, 64, 64, 1);
    actor = p.network("actor", 1, Activation.TANH, stateSize, 64, actionSize);
    AdamHypers adam =
        new AdamHypers(
            p.hyper("rate", rate),
            p.hyper("beta1", 0.9),
            p.hyper("beta2", 0.999),
            p.hyper("epsilon", 1e-8),
            p.hyper("decay", 0),
            p.hyper("clip", 0));

    TensorRef taken = p.concat("taken", states, actions);
    Forward q = p.mlpForward("q", critic, taken, Tape.FULL);
    SquaredError error = p.squaredError("critic_loss", q.y(), rewards);
    p.mlpBackward("critic_backward", q, error.gradient());
    p.adam("critic_adam", critic, adam);

    Forward mu = p.mlpForward("mu", actor, states, Tape.FULL);
    TensorRef chosen = p.concat("chosen", states, mu.y());
    Forward value = p.mlpForward("value", critic, chosen, Tape.SIGNS);
    TensorRef one = p.constant("one", 1, 1, 1);
    HyperRef lambda = p.hyper("lambda", 0); // one critic has no spread
    Program.EnsembleObjective objective =
        p.ensembleObjective("objective", value.y(), one, 1, lambda);
    TensorRef uphill =
        p.mlpBackwardInput("uphill", value, objective.gradient(), stateSize, actionSize);
    p.mlpBackward("actor_backward", mu, uphill);
    p.adam("actor_adam", actor, adam);

    p.metric("critic_loss", error.loss());
    p.metric("value", objective.mean());

    engine = Engine.create(p, null, EngineOptions.DEFAULT.withSeed(seed));
    engine.writeTensor(one, 1);
    engine.initialise(critic, seed);
    engine.initialise(actor, seed + 1);
  }

  /**
   * Trains on one batch.
   *
   * @param s direct, native order, [batch, stateSize]
   * @param a [batch, actionSize]
   * @param r [batch]
   */
  public Losses step(FloatBuffer s, FloatBuffer a, FloatBuffer r) {
    engine.writeTensor(states, s);
    engine.writeTensor(actions, a);
    engine.writeTensor(rewards, r);
    engine.run(1);
    engine.drainMetrics(metrics);
    return new Losses(metrics.get(0), metrics.get(1));
  }

  /** The actor's parameters in the flat layout W_1, b_1, W_2, b_2, for an InferencePolicy. */
  public float[] actorParameters() {
    FloatBuffer buffer = Engine.directFloats(actor.size());
    engine.readNetwork(actor, Section.PARAMETERS, buffer);
    float[] parameters = new float[buffer.remaining()];
    buffer.get(parameters);
    return parameters;
  }

  /** Sizes of the actor's layers. */
  public int[] actorSizes() {
    return actor.sizes().stream().mapToInt(Integer::intValue).toArray();
  }

  @Override
  public void close() {
    engine.close();
  }
}
