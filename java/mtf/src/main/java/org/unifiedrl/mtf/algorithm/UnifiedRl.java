package org.unifiedrl.mtf.algorithm;

import java.util.List;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.replay.ReplaySchema;

/** One step of UnifiedRL as a program (specification section 0). */
public final class UnifiedRl {

  /** The step. */
  public final Program program = new Program();

  /** mu, mu', Q_ij and Q'_ij; critic i * m + j is critic j of group i. */
  public final NetworkRef actor;

  public final NetworkRef targetActor;
  public final NetworkRef critic;
  public final NetworkRef targetCritic;

  /** What the caller writes before the first step: normalisation, and the group weights w_i. */
  public final TensorRef stateShift;

  public final TensorRef stateScale;
  public final TensorRef rewardScale;
  public final TensorRef groupWeights;

  private final UnifiedRlConfig config;

  /**
   * Writes the step down.
   *
   * @param schema a log with the standard columns; its reward has one column a group
   */
  public UnifiedRl(UnifiedRlConfig config, ReplaySchema schema) {
    this.config = config;
    int s = width(schema, ReplaySchema.STATE);
    int a = width(schema, ReplaySchema.ACTION);
    int q = width(schema, ReplaySchema.REWARD);
    if (q != config.groups()) {
      throw new IllegalArgumentException(
          "the log has "
              + q
              + " reward groups and groupWeights "
              + config.groups()
              + ": they must be as many");
    }
    int m = config.criticsPerGroup();
    Program p = program;
    actor = p.network("actor", 1, Activation.TANH, sizes(s, a));
    targetActor = p.network("target_actor", 1, Activation.TANH, sizes(s, a));
    critic = p.network("critic", q * m, Activation.LINEAR, sizes(s + a, 1));
    targetCritic = p.network("target_critic", q * m, Activation.LINEAR, sizes(s + a, 1));
    stateShift = p.constant("state_shift", 1, 1, s);
    stateScale = p.constant("state_scale", 1, 1, s);
    rewardScale = p.constant("reward_scale", 1, 1, q);
    groupWeights = p.constant("group_weights", 1, 1, q);
    var w = p.hyper("target_rate", config.targetRate());
    var beta1 = p.hyper("adam_beta1", 0.9);
    var beta2 = p.hyper("adam_beta2", 0.999);
    var epsilon = p.hyper("adam_epsilon", 1e-8);
    var decay = p.hyper("adam_decay", 0);
    var criticAdam =
        new Program.AdamHypers(
            p.hyper("critic_rate", config.criticRate()),
            beta1,
            beta2,
            epsilon,
            decay,
            p.hyper("critic_clip", config.gradientClip()));
    var actorAdam =
        new Program.AdamHypers(
            p.hyper("actor_rate", config.actorRate()),
            beta1,
            beta2,
            epsilon,
            decay,
            p.hyper("actor_clip", config.gradientClip()));

    // Draw the batch.
    TensorRef rows = p.sample("rows", config.batch(), 0);
    TensorRef state = states(rows, schema, false);
    TensorRef nextState = states(rows, schema, true);
    TensorRef action = column(rows, schema, ReplaySchema.ACTION, false);
    TensorRef low = column(rows, schema, ReplaySchema.BOX_LOW, false);
    TensorRef high = column(rows, schema, ReplaySchema.BOX_HIGH, false);
    TensorRef nextLow = column(rows, schema, ReplaySchema.BOX_LOW, true);
    TensorRef nextHigh = column(rows, schema, ReplaySchema.BOX_HIGH, true);
    int rewards = schema.columnIndex(ReplaySchema.REWARD);
    TensorRef reward = p.gather("reward", rows, rewards, q, false, null, rewardScale);
    TensorRef done = p.gather("done", rows, Program.LAST_COLUMN, 1, false, null, null);

    // Critics: y_ij = r_i + gamma (1 - done) g(phi(mu'(s')), Q'_ij(s', mu'(s'))). What follows the
    // attenuation is one critic's own business, op after op, so that a back end can fuse it.
    TensorRef stateAction = p.concat("state_action", state, action);
    TensorRef nextAction = p.mlpForward("next_action", targetActor, nextState, Tape.NONE).y();
    TensorRef nextStateAction = p.concat("next_state_action", nextState, nextAction);
    TensorRef phi =
        p.attenuation(
            "phi",
            nextAction,
            nextLow,
            nextHigh,
            p.hyper("beta", config.beta()),
            p.hyper("theta", config.theta()));
    TensorRef nextQ = p.mlpForward("next_q", targetCritic, nextStateAction, Tape.NONE).y();
    TensorRef y = p.tdTarget("y", reward, done, phi, nextQ, m, p.hyper("gamma", config.discount()));
    var value = p.mlpForward("q", critic, stateAction, Tape.FULL);
    var error = p.squaredError("critic_loss", value.y(), y);
    p.mlpBackward("critic_backward", value, error.gradient());
    TensorRef criticNorm = p.adam("critic_adam", critic, criticAdam);
    p.softUpdate("critic_target", targetCritic, critic, config.targetPeriod(), w);

    // Actor, through the updated critics: -SUM_i w_i Qbar_i + eta d(mu(s)) + lambda SUM_i w_i sd_i.
    var policy = p.mlpForward("mu", actor, state, Tape.FULL);
    TensorRef stateMu = p.concat("state_mu", state, policy.y());
    var valueOfMu = p.mlpForward("q_mu", critic, stateMu, Tape.SIGNS);
    var objective =
        p.ensembleObjective(
            "objective", valueOfMu.y(), groupWeights, m, p.hyper("lambda", config.lambda()));
    TensorRef byCritic = p.mlpBackwardInput("to_action", valueOfMu, objective.gradient(), s, a);
    TensorRef ofValue = p.memberSum("value_gradient", byCritic);
    var penalty =
        p.boxPenalty(
            "penalty",
            policy.y(),
            low,
            high,
            config.exactPenalty(),
            p.hyper("eta", config.eta()),
            p.hyper("omega", config.omega()));
    p.mlpBackward("actor_backward", policy, p.add("actor_gradient", ofValue, penalty.gradient()));
    TensorRef actorNorm = p.adam("actor_adam", actor, actorAdam);
    p.softUpdate("actor_target", targetActor, actor, config.targetPeriod(), w);

    p.metric("critic_loss", error.loss());
    p.metric("q_mean", objective.mean());
    p.metric("q_deviation", objective.deviation());
    p.metric("box_distance", penalty.distance());
    p.metric("inside_share", penalty.inside());
    p.metric("attenuation", phi);
    p.metric("reward", reward);
    p.metric("critic_gradient_norm", criticNorm);
    p.metric("actor_gradient_norm", actorNorm);
  }

  /**
   * Sets all parameters for the first step: critics at random, each its own; the actor at the
   * served policy, since one that starts elsewhere starts outside the box (specification 5); every
   * target equal to its network.
   *
   * @param start the served policy's action, the same in every state
   */
  public void initialise(Engine engine, long seed, float[] start) {
    if (start.length != actor.outputs()) {
      throw new IllegalArgumentException(
          "the start action has " + start.length + " values; the actor has " + actor.outputs());
    }
    engine.initialise(critic, seed);
    engine.copyParameters(critic, targetCritic);
    engine.initialise(actor, seed + 1);
    double[] parameters = engine.readNetwork64(actor, Section.PARAMETERS);
    int biases = parameters.length - start.length;
    int weights = biases - config.hidden().get(config.hidden().size() - 1) * start.length;
    for (int i = weights; i < biases; i++) {
      parameters[i] *= 0.01; // near 0, not 0: the layers below must get a gradient
    }
    for (int k = 0; k < start.length; k++) {
      double a = Math.max(-0.999, Math.min(0.999, start[k]));
      parameters[biases + k] = 0.5 * Math.log((1 + a) / (1 - a)); // tanh's inverse
    }
    engine.writeNetwork64(actor, Section.PARAMETERS, parameters);
    engine.copyParameters(actor, targetActor);
    float[] weightsOfGroups = new float[config.groups()];
    for (int i = 0; i < weightsOfGroups.length; i++) {
      weightsOfGroups[i] = config.groupWeights().get(i).floatValue();
    }
    engine.writeTensor(groupWeights, weightsOfGroups);
  }

  /** All networks, in the order of a checkpoint. */
  public List<NetworkRef> networks() {
    return program.networks();
  }

  /** Multiply-adds of a step for one request, matrix products only, none that nobody needs. */
  public long multiplyAdds() {
    long actorForward = products(actor);
    long criticForward = products(critic) * critic.members();
    long criticLayer1 = (long) critic.inputs() * critic.sizes().get(1) * critic.members();
    long actorLayer1 = (long) actor.inputs() * actor.sizes().get(1);
    long action = (long) actor.outputs() * critic.sizes().get(1) * critic.members();
    return 2 * actorForward // mu'(s'), mu(s)
        + 3 * criticForward // Q', Q, Q(s, mu(s))
        + criticForward // weight gradients
        + (criticForward - criticLayer1) // input gradients, not below layer 1
        + (criticForward - criticLayer1 + action) // down to the action only
        + actorForward // the actor's weight gradients
        + (actorForward - actorLayer1);
  }

  private static long products(NetworkRef network) {
    return IntStream.range(1, network.sizes().size())
        .mapToLong(l -> (long) network.sizes().get(l - 1) * network.sizes().get(l))
        .sum();
  }

  private int[] sizes(int inputs, int outputs) {
    return IntStream.concat(
            IntStream.concat(
                IntStream.of(inputs), config.hidden().stream().mapToInt(Integer::intValue)),
            IntStream.of(outputs))
        .toArray();
  }

  private TensorRef states(TensorRef rows, ReplaySchema schema, boolean next) {
    int column = schema.columnIndex(ReplaySchema.STATE);
    int width = schema.columns().get(column).width();
    return program.gather(
        next ? "next_state" : "state", rows, column, width, next, stateShift, stateScale);
  }

  private TensorRef column(TensorRef rows, ReplaySchema schema, String name, boolean next) {
    int column = schema.columnIndex(name);
    int width = schema.columns().get(column).width();
    return program.gather((next ? "next_" : "") + name, rows, column, width, next, null, null);
  }

  private static int width(ReplaySchema schema, String column) {
    return schema.columns().get(schema.columnIndex(column)).width();
  }
}
