package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * The transitions that a step draws, and the constants that they are normalised by. A column is
 * read where it is first asked for, and once; a program reads what its algorithm uses.
 */
public final class Batch {

  private final Program program;
  private final Transitions transitions;
  private final TensorRef rows;
  private final TensorRef stateShift;
  private final TensorRef stateScale;
  private final TensorRef rewardScale;
  private final TensorRef groupWeights;
  private TensorRef state;
  private TensorRef nextState;
  private TensorRef action;
  private TensorRef nextAction;
  private TensorRef reward;
  private TensorRef done;

  /** Draws {@code size} transitions. */
  Batch(Program program, Transitions transitions, int size) {
    this.program = program;
    this.transitions = transitions;
    int width = transitions.pairs() * transitions.states();
    stateShift = program.constant("state_shift", 1, 1, width);
    stateScale = program.constant("state_scale", 1, 1, width);
    rewardScale = program.constant("reward_scale", 1, 1, transitions.rewardGroups());
    groupWeights = program.constant("group_weights", 1, 1, transitions.rewardGroups());
    rows = program.sample("rows", size, 0);
  }

  /** Transitions a step draws (B). */
  public int size() {
    return rows.rows();
  }

  /**
   * Subtracted from states, [1, 1, S], or [1, 1, l S] where rows hold l pairs, the same for each.
   */
  public TensorRef stateShift() {
    return stateShift;
  }

  /** Then multiplies them, of the same shape. */
  public TensorRef stateScale() {
    return stateScale;
  }

  /** Multiplies rewards, [1, 1, q]. */
  public TensorRef rewardScale() {
    return rewardScale;
  }

  /** Weight of each reward group (w_i), [1, 1, q]. */
  public TensorRef groupWeights() {
    return groupWeights;
  }

  /** Normalised s, [1, B, S]. */
  TensorRef state() {
    if (state == null) {
      state = transitions.gather(program, rows, ReplaySchema.STATE, stateShift, stateScale);
    }
    return state;
  }

  /** Normalised s', [1, B, S]. */
  TensorRef nextState() {
    if (nextState == null) {
      nextState = transitions.gatherNext(program, rows, ReplaySchema.STATE, stateShift, stateScale);
    }
    return nextState;
  }

  /** Logged a, [1, B, A]. */
  TensorRef action() {
    if (action == null) {
      action = column(ReplaySchema.ACTION);
    }
    return action;
  }

  /** Logged a', [1, B, A]; where a log's session ends, a again, which (1 - done) masks. */
  TensorRef nextAction() {
    if (nextAction == null) {
      nextAction = next(ReplaySchema.ACTION);
    }
    return nextAction;
  }

  /** Scaled rewards of all groups, [1, B, q]. */
  TensorRef reward() {
    if (reward == null) {
      reward = transitions.gather(program, rows, ReplaySchema.REWARD, null, rewardScale);
    }
    return reward;
  }

  /** 1 where the transition is terminal, else 0, [1, B, 1]. */
  TensorRef done() {
    if (done == null) {
      done = transitions.gatherDone(program, rows);
    }
    return done;
  }

  /** Any other column as it is, [1, B, width]; to be asked for once. */
  TensorRef column(String name) {
    return transitions.gather(program, rows, name, null, null);
  }

  /** What follows in it, [1, B, width]; to be asked for once. */
  TensorRef next(String name) {
    return transitions.gatherNext(program, rows, name, null, null);
  }
}
