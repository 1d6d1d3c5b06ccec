package org.unifiedrl.mtf.evaluation;

import java.util.stream.IntStream;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * One step of fitted Q evaluation (specification 10), one critic Q_i a reward group:
 *
 * <pre>
 *   y_i = r_i + gamma (1 - done) Q'_i(s', mu_e(s'))
 *   L   = SUM_i mean_B [ (Q_i(s, a) - y_i)^2 + alpha (log SUM_k exp Q_i(s, a_k) - Q_i(s, a)) ]
 * </pre>
 *
 * with the second term in the conservative form only (alpha above 0): a_0 = mu_e(s), and the other
 * a_k uniform in [-1, 1], drawn anew for every row and step (CQL; specification 6.5 and 8.7).
 */
final class FittedQProgram {

  // Columns of the replay.
  static final int STATE = 0;
  static final int ACTION = 1;
  static final int TARGET = 2;
  static final int REWARD = 3;

  final Program program = new Program();
  final NetworkRef critic;
  final NetworkRef targetCritic;
  final TensorRef stateShift;
  final TensorRef stateScale;
  final TensorRef actionShift;
  final TensorRef actionScale;
  final TensorRef rewardScale;
  final HyperRef rate;

  private final FittedQEvaluation.Settings settings;
  private final Program p = program;

  FittedQProgram(
      FittedQEvaluation.Settings settings, double discount, int states, int actions, int groups) {
    this.settings = settings;
    int batch = settings.batch();
    int[] sizes =
        IntStream.concat(
                IntStream.concat(
                    IntStream.of(states + actions),
                    settings.hidden().stream().mapToInt(Integer::intValue)),
                IntStream.of(1))
            .toArray();
    critic = p.network("critic", groups, Activation.LINEAR, sizes);
    targetCritic = p.network("target_critic", groups, Activation.LINEAR, sizes);
    stateShift = p.constant("state_shift", 1, 1, states);
    stateScale = p.constant("state_scale", 1, 1, states);
    actionShift = p.constant("action_shift", 1, 1, actions);
    actionScale = p.constant("action_scale", 1, 1, actions);
    rewardScale = p.constant("reward_scale", 1, 1, groups);
    rate = p.hyper("rate", settings.rate());
    Program.AdamHypers adam =
        new Program.AdamHypers(
            rate,
            p.hyper("adam_beta1", 0.9),
            p.hyper("adam_beta2", 0.999),
            p.hyper("adam_epsilon", 1e-8),
            p.hyper("adam_decay", 0),
            p.hyper("clip", 0));

    TensorRef rows = p.sample("rows", batch, 0);
    TensorRef state = p.gather("state", rows, STATE, states, false, stateShift, stateScale);
    TensorRef next = p.gather("next_state", rows, STATE, states, true, stateShift, stateScale);
    TensorRef action = p.gather("action", rows, ACTION, actions, false, actionShift, actionScale);
    TensorRef nextTarget =
        p.gather("next_target", rows, TARGET, actions, true, actionShift, actionScale);
    TensorRef reward = p.gather("reward", rows, REWARD, groups, false, null, rewardScale);
    TensorRef done = p.gather("done", rows, Program.LAST_COLUMN, 1, false, null, null);

    TensorRef nextInput = p.concat("next_state_target", next, nextTarget);
    TensorRef nextQ = p.mlpForward("next_q", targetCritic, nextInput, Tape.NONE).y();
    TensorRef y = p.tdTarget("y", reward, done, null, nextQ, 1, p.hyper("gamma", discount));
    TensorRef stateAction = p.concat("state_action", state, action);
    if (settings.conservatism() == 0) {
      Program.Forward value = p.mlpForward("q", critic, stateAction, Tape.FULL);
      p.mlpBackward("backward", value, p.squaredError("loss", value.y(), y).gradient());
    } else {
      TensorRef target = p.gather("target", rows, TARGET, actions, false, actionShift, actionScale);
      conservative(stateAction, state, p.concat("state_target", state, target), y);
    }
    p.adam("adam", critic, adam);
    p.softUpdate("track", targetCritic, critic, 1, p.hyper("target_rate", settings.targetRate()));
  }

  /** All actions of a state pass through the critics at once: rows of the log, mu_e's, uniform. */
  private void conservative(
      TensorRef stateAction, TensorRef state, TensorRef stateTarget, TensorRef y) {
    int batch = settings.batch();
    int drawn = settings.sampledActions();
    HyperRef one = p.hyper("one", 1);
    HyperRef zero = p.hyper("zero", 0);
    TensorRef uniform = p.uniform("uniform", 1, batch * drawn, actionShift.columns(), 1, one, zero);
    TensorRef shifted =
        p.combine("shifted", uniform, actionShift, one, p.hyper("minus_one", -1), zero);
    TensorRef sampled = p.multiply("sampled", shifted, actionScale);
    TensorRef stateSampled = p.concat("state_sampled", p.repeat("states", state, drawn), sampled);
    TensorRef others = p.concatRows("others", stateTarget, stateSampled);
    Program.Forward values =
        p.mlpForward("q", critic, p.concatRows("all", stateAction, others), Tape.FULL);
    TensorRef logged = p.rows("q_logged", values.y(), 0, batch);
    TensorRef ofTarget = p.rows("q_target", values.y(), batch, batch);
    TensorRef ofSampled =
        p.reshape("q_sampled", p.rows("q_uniform", values.y(), 2 * batch, batch * drawn), drawn);
    Program.WithDerivative softMaximum =
        p.rowReduce(
            "soft_maximum",
            p.concat("q_others", ofTarget, ofSampled),
            1,
            Program.Reduction.LOG_SUM_EXP,
            true,
            one);

    // Gradients of means over the batch: alpha / B times the derivative of each row.
    HyperRef weight = p.hyper("alpha_by_batch", settings.conservatism() / batch);
    HyperRef minus = p.hyper("minus_alpha_by_batch", -settings.conservatism() / batch);
    TensorRef error = p.squaredError("loss", logged, y).gradient();
    TensorRef byLogged = p.combine("by_logged", error, null, one, zero, minus);
    TensorRef share = p.combine("share", softMaximum.derivative(), null, weight, zero, zero);
    TensorRef byTarget = p.columns("by_target", share, 0, 1);
    TensorRef bySampled = p.reshape("by_uniform", p.columns("by_sampled", share, 1, drawn), 1);
    TensorRef gradient =
        p.concatRows("by_all", byLogged, p.concatRows("by_others", byTarget, bySampled));
    p.mlpBackward("backward", values, gradient);
  }
}
