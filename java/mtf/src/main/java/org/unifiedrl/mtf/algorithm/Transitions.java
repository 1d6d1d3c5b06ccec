package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * Where a step finds the transitions (s, a, r, s', done) in a replay. There are two layouts:
 *
 * <ul>
 *   <li>a log of requests in session order: s' and everything else that is next stand in the
 *       following row, and the last request of a session is terminal;
 *   <li>a data set with a column {@value #NEXT_STATE}: whatever is next has a column of its own,
 *       named {@code next_} and the name of the present one, and column {@value #DONE} says which
 *       transitions are terminal. The last-of-session flag only ends episodes then: one that ran
 *       out of time goes on in its values.
 * </ul>
 *
 * <p>Rows of either may hold a list of pairs, see {@link #SHOWN}.
 *
 * @param schema columns of the replay: at least state, action and reward
 */
public record Transitions(ReplaySchema schema) {

  /** State after the action, width S; a replay that has it is no log. */
  public static final String NEXT_STATE = "next_state";

  /** 1 where a transition ends in a terminal state, else 0; width 1. */
  public static final String DONE = "done";

  /**
   * 1 for each place of a page that shows an item, else 0; width l, the places of a page. A log
   * that has it is one of pairs: states, actions and boxes are {@code [l, width]}, one for each
   * shown (user, candidate) pair, and rewards are the list's.
   */
  public static final String SHOWN = "shown";

  private static final String NEXT = "next_";

  /** Checks that the columns are there and fit each other. */
  public Transitions {
    width(schema, ReplaySchema.STATE);
    width(schema, ReplaySchema.ACTION);
    width(schema, ReplaySchema.REWARD);
    if (schema.find(NEXT_STATE) >= 0) {
      requireWidth(schema, NEXT_STATE, width(schema, ReplaySchema.STATE));
      requireWidth(schema, DONE, 1);
    }
  }

  /** Whether rows hold the pairs of a list. */
  public boolean pairwise() {
    return schema.find(SHOWN) >= 0;
  }

  /** States and actions of a row: the pairs of a list (l), or 1. */
  public int pairs() {
    return pairwise() ? width(schema, SHOWN) : 1;
  }

  /** State features S; of one pair where rows hold pairs. */
  public int states() {
    return width(schema, ReplaySchema.STATE) / pairs();
  }

  /** Action dimensions A; of one pair where rows hold pairs. */
  public int actions() {
    return width(schema, ReplaySchema.ACTION) / pairs();
  }

  /** Reward groups q. */
  public int rewardGroups() {
    return width(schema, ReplaySchema.REWARD);
  }

  /** Whether what is next has columns of its own. */
  public boolean explicit() {
    return schema.find(NEXT_STATE) >= 0;
  }

  /** Reads a column at drawn rows: [1, B, width]. */
  TensorRef gather(
      Program program, TensorRef rows, String column, TensorRef shift, TensorRef scale) {
    return gather(program, column, rows, column, false, shift, scale);
  }

  /** Reads what follows in a column: [1, B, width]. */
  TensorRef gatherNext(
      Program program, TensorRef rows, String column, TensorRef shift, TensorRef scale) {
    return explicit()
        ? gather(program, rows, NEXT + column, shift, scale)
        : gather(program, NEXT + column, rows, column, true, shift, scale);
  }

  /** Whether drawn transitions are terminal: [1, B, 1], 0 or 1. */
  TensorRef gatherDone(Program program, TensorRef rows) {
    return explicit()
        ? gather(program, rows, DONE, null, null)
        : program.gather(DONE, rows, Program.LAST_COLUMN, 1, false, null, null);
  }

  private TensorRef gather(
      Program program,
      String name,
      TensorRef rows,
      String column,
      boolean next,
      TensorRef shift,
      TensorRef scale) {
    int index = schema.columnIndex(column);
    return program.gather(name, rows, index, width(schema, column), next, shift, scale);
  }

  private static int width(ReplaySchema schema, String column) {
    return schema.columns().get(schema.columnIndex(column)).width();
  }

  private static void requireWidth(ReplaySchema schema, String column, int expected) {
    if (width(schema, column) != expected) {
      throw new IllegalArgumentException(
          "column '%s' has width %d: expected %d"
              .formatted(column, width(schema, column), expected));
    }
  }
}
