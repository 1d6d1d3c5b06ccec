package org.unifiedrl.engine.replay;

/**
 * What the values of one row must be. Those who log a row and those who validate a file ask the
 * same questions here, so that no row is written that its reader refuses.
 */
final class RowRules {

  /**
   * Slack of comparisons with a box or the action range, in units of its larger end: the edges and
   * the action are sums of float32 numbers of that size, each rounded by at most 6e-8, so a few
   * sums stay well below it.
   */
  private static final double RELATIVE_SLACK = 1e-6;

  private final ReplaySchema schema;
  private final int rowWidth;
  private final int actionWidth;
  private final double low;
  private final double high;
  private final double slack;

  /** The action range with its slack, rounded inwards: the same answers without a conversion. */
  private final float least;

  private final float most;

  /** Where these columns start in a row; -1 if there is no such column. */
  private final int action;

  private final int boxLow;
  private final int boxHigh;

  /** The same columns by their number; -1 if there is no such column. */
  private final int actionColumn;

  private final int boxLowColumn;
  private final int boxHighColumn;

  RowRules(ReplaySchema schema) {
    this.schema = schema;
    this.rowWidth = schema.rowWidth();
    this.low = schema.actionLow();
    this.high = schema.actionHigh();
    this.slack = RELATIVE_SLACK * Math.max(Math.abs(low), Math.abs(high));
    float below = (float) (low - slack);
    float above = (float) (high + slack);
    this.least = below < low - slack ? Math.nextUp(below) : below;
    this.most = above > high + slack ? Math.nextDown(above) : above;
    this.action = offset(ReplaySchema.ACTION);
    this.boxLow = offset(ReplaySchema.BOX_LOW);
    this.boxHigh = offset(ReplaySchema.BOX_HIGH);
    this.actionColumn = schema.find(ReplaySchema.ACTION);
    this.boxLowColumn = schema.find(ReplaySchema.BOX_LOW);
    this.boxHighColumn = schema.find(ReplaySchema.BOX_HIGH);
    int shaped = schema.find(action >= 0 ? ReplaySchema.ACTION : ReplaySchema.BOX_LOW);
    this.actionWidth = shaped < 0 ? 0 : schema.columns().get(shaped).width();
  }

  private int offset(String column) {
    int index = schema.find(column);
    return index < 0 ? -1 : schema.rowOffset(index);
  }

  static boolean finite(float value) {
    return Math.abs(value) <= Float.MAX_VALUE;
  }

  /**
   * The same of all values, several times faster than one by one: NaN stays, and 0 * inf is NaN.
   */
  private static boolean allFinite(float[] row, int count) {
    float a = 0;
    float b = 0;
    float c = 0;
    float d = 0;
    int i = 0;
    for (; i <= count - 4; i += 4) {
      a += 0 * row[i];
      b += 0 * row[i + 1];
      c += 0 * row[i + 2];
      d += 0 * row[i + 3];
    }
    for (; i < count; i++) {
      a += 0 * row[i];
    }
    return a + b + c + d == 0;
  }

  /** Whether an action or a box edge lies within the action range. */
  boolean inRange(float value) {
    return value >= least && value <= most;
  }

  /** Whether an action's element lies between the edges of its box. */
  boolean inBox(float value, float edgeLow, float edgeHigh) {
    if (value >= edgeLow && value <= edgeHigh) {
      return true;
    }
    double a = value;
    return a >= edgeLow - slack && a <= edgeHigh + slack;
  }

  String notFinite(float value) {
    return ": expected a finite number, found " + value;
  }

  String outOfRange(float value) {
    return String.format(
        ": expected a value within the action range [%s, %s], found %s; normalise it,"
            + " or set metadata %s and %s",
        low, high, value, ReplaySchema.ACTION_LOW_KEY, ReplaySchema.ACTION_HIGH_KEY);
  }

  String crossed(float edgeLow, float edgeHigh) {
    return String.format(
        ": expected box_low <= box_high, found %s > %s; swap or correct the edges",
        edgeLow, edgeHigh);
  }

  /**
   * Checks one row that somebody wants to log; allocates only when it refuses.
   *
   * @return whether the action lies in its box; true where there is none
   * @throws ReplayException if the row has another length, a value that is not finite, an action or
   *     edge outside the action range, or a box whose edges are crossed
   */
  boolean check(long sessionId, float[] row) {
    if (row.length != rowWidth) {
      throw new ReplayException(
          "row of session "
              + sessionId
              + " has "
              + row.length
              + " values: expected "
              + rowWidth
              + ", the columns "
              + schema.columns()
              + " one after the other");
    }
    if (!allFinite(row, row.length)) {
      for (int i = 0; i < row.length; i++) {
        if (!finite(row[i])) {
          throw refusal(sessionId, i, notFinite(row[i]));
        }
      }
    }
    if (action >= 0) {
      checkRange(sessionId, row, action);
    }
    if (boxLow < 0) {
      return true;
    }
    checkRange(sessionId, row, boxLow);
    checkRange(sessionId, row, boxHigh);
    boolean inside = true;
    for (int i = 0; i < actionWidth; i++) {
      float edgeLow = row[boxLow + i];
      float edgeHigh = row[boxHigh + i];
      if (edgeLow > edgeHigh) {
        throw refusal(sessionId, boxLow + i, crossed(edgeLow, edgeHigh));
      }
      inside &= action < 0 || inBox(row[action + i], edgeLow, edgeHigh);
    }
    return inside;
  }

  /** First row of a block that {@link #check} refuses; the number of rows if there is none. */
  int firstRefused(RowBlock block) {
    if (sound(block)) {
      return block.rows();
    }
    float[] row = new float[rowWidth];
    for (int i = 0; i < block.rows(); i++) {
      try {
        check(0, row(block, i, row));
      } catch (ReplayException e) {
        return i;
      }
    }
    throw new AssertionError("a block is refused whose rows are not");
  }

  /** A row of a block, its columns one after the other, put into an array. */
  float[] row(RowBlock block, int index, float[] row) {
    int at = 0;
    for (int c = 0; c < schema.columns().size(); c++) {
      int width = schema.columns().get(c).width();
      System.arraycopy(block.column(c), index * width, row, at, width);
      at += width;
    }
    return row;
  }

  /** Whether {@link #check} takes all rows of a block. */
  private boolean sound(RowBlock block) {
    int rows = block.rows();
    for (int c = 0; c < schema.columns().size(); c++) {
      if (!allFinite(block.column(c), rows * schema.columns().get(c).width())) {
        return false;
      }
    }
    int count = rows * actionWidth;
    if (action >= 0 && !allInRange(block.column(actionColumn), count)) {
      return false;
    }
    if (boxLow < 0) {
      return true;
    }
    float[] edgesLow = block.column(boxLowColumn);
    float[] edgesHigh = block.column(boxHighColumn);
    if (!allInRange(edgesLow, count) || !allInRange(edgesHigh, count)) {
      return false;
    }
    for (int i = 0; i < count; i++) {
      if (edgesLow[i] > edgesHigh[i]) {
        return false;
      }
    }
    return true;
  }

  private boolean allInRange(float[] values, int count) {
    for (int i = 0; i < count; i++) {
      if (!inRange(values[i])) {
        return false;
      }
    }
    return true;
  }

  /** Whether the action of a block's row lies in its box; true where there is none. */
  boolean inBox(RowBlock block, int row) {
    if (action < 0 || boxLow < 0) {
      return true;
    }
    float[] actions = block.column(actionColumn);
    float[] edgesLow = block.column(boxLowColumn);
    float[] edgesHigh = block.column(boxHighColumn);
    for (int i = row * actionWidth; i < (row + 1) * actionWidth; i++) {
      if (!inBox(actions[i], edgesLow[i], edgesHigh[i])) {
        return false;
      }
    }
    return true;
  }

  private void checkRange(long sessionId, float[] row, int from) {
    for (int i = from; i < from + actionWidth; i++) {
      if (!inRange(row[i])) {
        throw refusal(sessionId, i, outOfRange(row[i]));
      }
    }
  }

  private ReplayException refusal(long sessionId, int index, String problem) {
    return new ReplayException(
        "row of session "
            + sessionId
            + ", "
            + schema.describeRowIndex(index)
            + problem
            + "; the row was not written");
  }
}
