package org.unifiedrl.data;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.engine.replay.ReplayException;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;

/** Cuts sorted rows into sessions; a row is written when the next one is known. */
final class SessionWriter implements UserPartitions.Sink {

  private static final long HELD_OUT = 0x494d_504fL;

  /** Least width of a box that a configuration takes. */
  private static final double LEAST = 1e-6;

  private final LogMapping mapping;
  private final LogImport.Options options;
  private final ReplayWriter learn;
  private final ReplayWriter kept;
  private final int states;
  private final int actions;
  private final boolean edges;
  private final long gap;
  private final double halfWidth; // NaN if it goes by a column
  private final int rewards;
  private final boolean density; // whether the log has it
  private final float[] row;
  private final float[] served;
  private final double[] lower; // narrowest box so far, relative to the baseline action
  private final double[] upper;
  private final double[] cutLower; // widest one that the action range cut
  private final double[] cutUpper;
  private boolean constant = true;
  private boolean open;
  private boolean held;
  private long user;
  private long session;
  private long time;
  private long number;
  private long sessions;
  private long learned;
  private long rows;
  private long heldRows;
  private long outOfBox;

  SessionWriter(
      LogMapping mapping,
      LogImport.Options options,
      ImportQuery query,
      ReplaySchema schema,
      ReplayWriter learn,
      ReplayWriter kept) {
    this.mapping = mapping;
    this.options = options;
    this.learn = learn;
    this.kept = kept;
    states = query.stateNames().size();
    actions = query.actionSize();
    edges = query.edges();
    gap = mapping.gapMillis();
    Double width = mapping.box().halfWidth();
    halfWidth = width == null ? Double.NaN : width;
    rewards = mapping.reward().size();
    density = mapping.logDensity() != null;
    row = new float[schema.rowWidth()];
    served = new float[actions];
    lower = filled(Double.NEGATIVE_INFINITY);
    upper = filled(Double.POSITIVE_INFINITY);
    cutLower = filled(0);
    cutUpper = filled(0);
  }

  private double[] filled(double value) {
    double[] values = new double[actions];
    Arrays.fill(values, value);
    return values;
  }

  @Override
  public void accept(int[] head, float[] read) throws LogRows.BadRowException {
    long newUser = RowLayout.getLong(head, RowLayout.USER);
    long newSession = RowLayout.getLong(head, RowLayout.SESSION);
    long newTime = RowLayout.getLong(head, RowLayout.TIME);
    boolean other = newUser != user || newSession != session || (gap > 0 && newTime - time > gap);
    if (open) {
      if (!other && newTime < time) {
        throw new LogRows.BadRowException(
            ("user %d, session %d: time goes back from %d to %d ms in the order of column '%s';"
                    + " correct the times, or leave order out")
                .formatted(user, session, time, newTime, mapping.order()));
      }
      put(other);
    }
    if (other || !open) {
      sessions++;
      held =
          Philox.uniformFloat((int) Philox.bits(options.seed() ^ HELD_OUT, 0, newUser))
              < options.heldOut();
      learned += held ? 0 : 1;
    }
    noteServed(read);
    open = true;
    user = newUser;
    session = newSession;
    time = newTime;
    number = RowLayout.getLong(head, RowLayout.NUMBER);
    fill(
        read,
        Float.intBitsToFloat(head[RowLayout.DENSITY]),
        Float.intBitsToFloat(head[RowLayout.HALF_WIDTH]));
  }

  private void noteServed(float[] next) {
    if (rows == 0 && !open) {
      System.arraycopy(next, states + actions, served, 0, actions);
    } else if (constant) {
      int from = states + actions;
      constant = Arrays.equals(served, 0, actions, next, from, from + actions);
    }
  }

  private void put(boolean last) throws LogRows.BadRowException {
    ReplayWriter writer = held ? kept : learn;
    try {
      writer.append(sessions, user, time, last, row);
    } catch (ReplayException e) {
      throw new LogRows.BadRowException("user " + user + " at " + time + " ms: " + e.getMessage());
    }
    if (outOfBox == 0 && writer.outOfBoxRows() > 0) {
      outOfBox = number;
    }
    rows++;
    heldRows += held ? 1 : 0;
  }

  /** Writes the last row. */
  void finish() throws LogRows.BadRowException {
    if (open) {
      put(true);
    }
  }

  /** The row in the order of the schema: what the box leaves open is made here. */
  private void fill(float[] next, float logDensity, float versionWidth) {
    System.arraycopy(next, 0, row, 0, states + 2 * actions);
    int low = states + 2 * actions;
    int high = low + actions;
    if (edges) {
      System.arraycopy(next, low, row, low, 2 * actions);
    } else {
      double width = Double.isNaN(halfWidth) ? versionWidth : halfWidth;
      for (int k = 0; k < actions; k++) {
        double centre = next[states + actions + k];
        row[low + k] = (float) (centre - width < -1 ? -1 : centre - width);
        row[high + k] = (float) (centre + width > 1 ? 1 : centre + width);
      }
    }
    double volume = 1; // one logarithm a row: at most 2 to the power of A
    double logVolume = 0;
    for (int k = 0; k < actions; k++) {
      double centre = next[states + actions + k];
      noteBox(k, row[low + k], row[high + k], centre);
      double width = (double) row[high + k] - row[low + k];
      if (width > 0) { // elsewhere nothing was drawn
        volume *= width;
      }
      if (volume < 1e-100) {
        logVolume += Math.log(volume);
        volume = 1;
      }
    }
    System.arraycopy(next, next.length - rewards, row, high + actions, rewards);
    row[row.length - 1] = density ? logDensity : (float) -(logVolume + Math.log(volume));
  }

  private void noteBox(int k, float low, float high, double centre) {
    double below = low - centre;
    double above = high - centre;
    if (low > -1) {
      if (below > lower[k]) {
        lower[k] = below;
      }
    } else if (below < cutLower[k]) {
      cutLower[k] = below;
    }
    if (high < 1) {
      if (above < upper[k]) {
        upper[k] = above;
      }
    } else if (above > cutUpper[k]) {
      cutUpper[k] = above;
    }
  }

  /** How far below the baseline action all requests were explored, each below 0. */
  List<Double> lowerBounds() {
    return IntStream.range(0, actions)
        .mapToObj(k -> Math.min(-LEAST, Double.isInfinite(lower[k]) ? cutLower[k] : lower[k]))
        .toList();
  }

  /** How far above it, each above 0. */
  List<Double> upperBounds() {
    return IntStream.range(0, actions)
        .mapToObj(k -> Math.max(LEAST, Double.isInfinite(upper[k]) ? cutUpper[k] : upper[k]))
        .toList();
  }

  /** Rows written so far. */
  long rows() {
    return rows;
  }

  /** Rows of held-out users. */
  long heldRows() {
    return heldRows;
  }

  /** Sessions of the users to learn from. */
  long learned() {
    return learned;
  }

  /** Number in the log of the first row whose action lies outside its box; 0 if there is none. */
  long firstOutOfBox() {
    return outOfBox;
  }

  /** The baseline action, if all rows have the same one; else null. */
  float[] served() {
    return constant ? served.clone() : null;
  }
}
