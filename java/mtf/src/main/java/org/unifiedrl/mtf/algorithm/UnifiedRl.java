package org.unifiedrl.mtf.algorithm;

import java.util.List;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Program.AdamHypers;
import org.unifiedrl.engine.Program.Forward;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * One training step of UnifiedRL as a program (specification section 0, pseudo-code 2.7): draw a
 * batch; update every critic towards its own attenuated target; update the actor through the
 * updated critics; move the target networks when due.
 */
public final class UnifiedRl {

  private final UnifiedRlConfig config;
  private final Program program = new Program();
  private final NetworkRef actor;
  private final NetworkRef targetActor;
  private final NetworkRef critics;
  private final NetworkRef targetCritics;
  private final TensorRef stateShift;
  private final TensorRef stateScale;
  private final TensorRef rewardScale;
  private final TensorRef groupWeights;

  /**
   * Writes the step down for data of this schema.
   *
   * @throws IllegalArgumentException when the schema's reward column does not have q values
   */
  public UnifiedRl(UnifiedRlConfig config, ReplaySchema schema) {
    this.config = config;
    int states = width(schema, ReplaySchema.STATE);
    int actions = width(schema, ReplaySchema.ACTION);
    int groups = config.rewardGroups();
    int groupSize = config.criticsPerGroup();
    if (width(schema, ReplaySchema.REWARD) != groups) {
      throw new IllegalArgumentException(
          "the replay has %d reward columns, but reward_groups (q) is %d: make them equal"
              .formatted(width(schema, ReplaySchema.REWARD), groups));
    }
    Program p = program;
    int[] actorSizes = sizes(states, config.actorHidden(), actions);
    int[] criticSizes = sizes(states + actions, config.criticHidden(), 1);
    actor = p.network("actor", 1, Activation.TANH, actorSizes);
    targetActor = p.network("target_actor", 1, Activation.TANH, actorSizes);
    critics = p.network("critic", config.critics(), Activation.LINEAR, criticSizes);
    targetCritics = p.network("target_critic", config.critics(), Activation.LINEAR, criticSizes);
    stateShift = p.constant("state_shift", 1, 1, states);
    stateScale = p.constant("state_scale", 1, 1, states);
    rewardScale = p.constant("reward_scale", 1, 1, groups);
    groupWeights = p.constant("group_weights", 1, 1, groups);
    HyperRef targetRate = p.hyper("target_rate", config.targetRate());

    // sample (s, a, r[1..q], s', done, box at s, box at s')
    TensorRef rows = p.sample("rows", config.batch(), 0);
    TensorRef state = gather("state", rows, schema, ReplaySchema.STATE, false);
    TensorRef nextState = gather("next_state", rows, schema, ReplaySchema.STATE, true);
    TensorRef action = gather("action", rows, schema, ReplaySchema.ACTION, false);
    TensorRef low = gather("box_low", rows, schema, ReplaySchema.BOX_LOW, false);
    TensorRef high = gather("box_high", rows, schema, ReplaySchema.BOX_HIGH, false);
    TensorRef nextLow = gather("next_box_low", rows, schema, ReplaySchema.BOX_LOW, true);
    TensorRef nextHigh = gather("next_box_high", rows, schema, ReplaySchema.BOX_HIGH, true);
    TensorRef reward = gather("reward", rows, schema, ReplaySchema.REWARD, false);
    TensorRef done = p.gather("done", rows, Program.LAST_COLUMN, 1, false, null, null);

    // a' = mu'(s');  phi = phi(a')
    TensorRef nextAction = p.mlpForward("next_action", targetActor, nextState, Tape.NONE).y();
    HyperRef beta = p.hyper("beta", config.beta());
    HyperRef theta = p.hyper("theta", config.theta());
    TensorRef phi = p.attenuation("phi", nextAction, nextLow, nextHigh, beta, theta);
    TensorRef nextInput = p.concat("next_input", nextState, nextAction);
    TensorRef input = p.concat("input", state, action);

    // y_ij = r_i + gamma (1 - done) g(phi, Q'_ij(s', a'));  each critic on its own, then its target
    TensorRef nextQ = p.mlpForward("next_q", targetCritics, nextInput, Tape.NONE).y();
    HyperRef gamma = p.hyper("gamma", config.gamma());
    TensorRef y = p.tdTarget("target", reward, done, phi, nextQ, groupSize, gamma);
    Forward q = p.mlpForward("q", critics, input, Tape.FULL);
    Program.SquaredError error = p.squaredError("critic_loss", q.y(), y);
    p.mlpBackward("critic_backward", q, error.gradient());
    TensorRef criticNorm =
        p.adam("critic_adam", critics, adam("critic", config.criticRate(), config.criticClip()));
    p.softUpdate("target_critic_update", targetCritics, critics, config.targetPeriod(), targetRate);

    // -SUM w_i Qbar_i + eta d(mu(s)) + lambda SUM w_i sd_i, through the updated critics
    Forward mu = p.mlpForward("mu", actor, state, Tape.FULL);
    TensorRef muInput = p.concat("mu_input", state, mu.y());
    Forward muQ = p.mlpForward("mu_q", critics, muInput, Tape.SIGNS);
    HyperRef lambda = p.hyper("lambda", config.lambda());
    Program.EnsembleObjective objective =
        p.ensembleObjective("objective", muQ.y(), groupWeights, groupSize, lambda);
    TensorRef memberGradient =
        p.mlpBackwardInput("member_gradient", muQ, objective.gradient(), states, actions);
    TensorRef valueGradient = p.memberSum("value_gradient", memberGradient);
    boolean exact = config.penalty() == UnifiedRlConfig.Penalty.EXACT;
    HyperRef eta = p.hyper("eta", config.eta());
    HyperRef omega = p.hyper("omega", config.omega());
    Program.BoxPenalty penalty = p.boxPenalty("penalty", mu.y(), low, high, exact, eta, omega);
    TensorRef actionGradient = p.add("action_gradient", valueGradient, penalty.gradient());
    p.mlpBackward("actor_backward", mu, actionGradient);
    TensorRef actorNorm =
        p.adam("actor_adam", actor, adam("actor", config.actorRate(), config.actorClip()));
    p.softUpdate("target_actor_update", targetActor, actor, config.targetPeriod(), targetRate);

    p.metric("critic_loss", error.loss());
    p.metric("q_mean", objective.mean());
    p.metric("q_sd", objective.deviation());
    p.metric("penalty", penalty.distance());
    p.metric("inside_share", penalty.inside());
    p.metric("critic_grad_norm", criticNorm);
    p.metric("actor_grad_norm", actorNorm);
    p.metric("reward_mean", reward);
  }

  private TensorRef gather(
      String name, TensorRef rows, ReplaySchema schema, String column, boolean next) {
    TensorRef shift = column.equals(ReplaySchema.STATE) ? stateShift : null;
    TensorRef scale =
        column.equals(ReplaySchema.STATE)
            ? stateScale
            : column.equals(ReplaySchema.REWARD) ? rewardScale : null;
    int index = schema.columnIndex(column);
    return program.gather(name, rows, index, width(schema, column), next, shift, scale);
  }

  private AdamHypers adam(String name, double rate, double clip) {
    return new AdamHypers(
        program.hyper(name + "_rate", rate),
        program.hyper(name + "_beta1", config.adamBeta1()),
        program.hyper(name + "_beta2", config.adamBeta2()),
        program.hyper(name + "_epsilon", config.adamEpsilon()),
        program.hyper(name + "_decay", 0),
        program.hyper(name + "_clip", clip));
  }

  private static int width(ReplaySchema schema, String column) {
    return schema.columns().get(schema.columnIndex(column)).width();
  }

  private static int[] sizes(int inputs, List<Integer> hidden, int outputs) {
    int[] sizes = new int[hidden.size() + 2];
    sizes[0] = inputs;
    for (int i = 0; i < hidden.size(); i++) {
      sizes[i + 1] = hidden.get(i);
    }
    sizes[sizes.length - 1] = outputs;
    return sizes;
  }

  /** The step. */
  public Program program() {
    return program;
  }

  /** Its coefficients. */
  public UnifiedRlConfig config() {
    return config;
  }

  /** mu, S to A, tanh. */
  public NetworkRef actor() {
    return actor;
  }

  /** mu'. */
  public NetworkRef targetActor() {
    return targetActor;
  }

  /** Q_ij: member i m + j is critic j of group i; S + A to 1. */
  public NetworkRef critics() {
    return critics;
  }

  /** Q'_ij. */
  public NetworkRef targetCritics() {
    return targetCritics;
  }

  /** Constant [1, 1, S] that is subtracted from states. */
  public TensorRef stateShift() {
    return stateShift;
  }

  /** Constant [1, 1, S] that multiplies states after the shift. */
  public TensorRef stateScale() {
    return stateScale;
  }

  /** Constant [1, 1, q] that multiplies rewards. */
  public TensorRef rewardScale() {
    return rewardScale;
  }

  /** Constant [1, 1, q], the weights w_i. */
  public TensorRef groupWeights() {
    return groupWeights;
  }
}
