package org.unifiedrl.data;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.engine.replay.ReplayException;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.engine.replay.RowBlock;

/** Cuts sorted rows into sessions, and writes them some at a time. */
final class SessionWriter implements UserPartitions.Sink {

  private static final long HELD_OUT = 0x494d_504fL;

  /** Least width of a box that a configuration takes. */
  private static final double LEAST = 1e-6;

  /** Rows that go to a writer at a time: they stay in a processor's cache. */
  private static final int BLOCK = 256;

  /** Where the rows of some users go; its last row waits until it is known what follows. */
  private static final class Output {
    final ReplayWriter writer;
    final RowBlock block;
    final float[] state;
    final float[] action;
    final float[] baseline;
    final float[] low;
    final float[] high;
    final float[] reward;
    final float[] density;
    final long[] numbers = new long[BLOCK]; // of the rows in the log
    long rows;

    Output(ReplayWriter writer, ReplaySchema schema) {
      this.writer = writer;
      block = new RowBlock(schema, BLOCK);
      state = block.column(schema.find(ReplaySchema.STATE));
      action = block.column(schema.find(ReplaySchema.ACTION));
      baseline = block.column(schema.find(ReplaySchema.BASELINE_ACTION));
      low = block.column(schema.find(ReplaySchema.BOX_LOW));
      high = block.column(schema.find(ReplaySchema.BOX_HIGH));
      reward = block.column(schema.find(ReplaySchema.REWARD));
      density = block.column(schema.find(ReplaySchema.LOG_DENSITY));
    }
  }

  private final LogMapping mapping;
  private final LogImport.Options options;
  private final RowLayout layout;
  private final Output learn;
  private final Output kept;
  private final int states;
  private final int actions;
  private final boolean edges;
  private final long gap;
  private final double halfWidth; // NaN if it goes by a column
  private final int rewards;
  private final boolean logged; // whether the log has densities
  private final float[] rest; // of a row, behind its state
  private final float[] served;
  private final double[] lower; // narrowest box so far, relative to the baseline action
  private final double[] upper;
  private final double[] cutLower; // widest one that the action range cut
  private final double[] cutUpper;
  private boolean begun;
  private boolean constant = true;
  private Output open; // the last row's
  private long user;
  private long session;
  private long time;
  private long sessions;
  private long learned;
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
    this.layout = new RowLayout(query.valueCount());
    this.learn = new Output(learn, schema);
    this.kept = new Output(kept, schema);
    states = query.stateNames().size();
    actions = query.actionSize();
    edges = query.edges();
    gap = mapping.gapMillis();
    Double width = mapping.box().halfWidth();
    halfWidth = width == null ? Double.NaN : width;
    rewards = mapping.reward().size();
    logged = mapping.logDensity() != null;
    rest = new float[layout.width() - states];
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
  public void accept(long newUser, long newSession, long newTime, FloatBuffer values, int at)
      throws LogRows.BadRowException {
    boolean other =
        open == null
            || newUser != user
            || newSession != session
            || (gap > 0 && newTime - time > gap);
    if (!other && newTime < time) {
      throw new LogRows.BadRowException(
          ("user %d, session %d: time goes back from %d to %d ms in the order of column '%s';"
                  + " correct the times, or leave order out")
              .formatted(user, session, time, newTime, mapping.order()));
    }
    if (other) {
      endSession();
      sessions++;
      boolean held =
          Philox.uniformFloat((int) Philox.bits(options.seed() ^ HELD_OUT, 0, newUser))
              < options.heldOut();
      learned += held ? 0 : 1;
      open = held ? kept : learn;
    }
    if (open.block.rows() == BLOCK) {
      write(open);
    }
    user = newUser;
    session = newSession;
    time = newTime;
    int row = open.block.rows();
    open.block.rows(row + 1);
    open.block.sessionIds()[row] = sessions;
    open.block.userIds()[row] = newUser;
    open.block.timestamps()[row] = newTime;
    open.block.last()[row] = false;
    values.get(at, open.state, row * states, states);
    values.get(at + states, rest);
    fill(open, row);
  }

  private void endSession() {
    if (open != null) {
      open.block.last()[open.block.rows() - 1] = true;
    }
  }

  private void write(Output output) throws LogRows.BadRowException {
    RowBlock block = output.block;
    try {
      int outside = output.writer.append(block);
      if (outside >= 0 && outOfBox == 0) {
        outOfBox = output.numbers[outside];
      }
    } catch (ReplayException e) {
      int row = block.refused();
      String place =
          row < 0
              ? ""
              : "user %d at %d ms: ".formatted(block.userIds()[row], block.timestamps()[row]);
      throw new LogRows.BadRowException(place + e.getMessage());
    }
    output.rows += block.rows();
    block.rows(0);
  }

  /** Writes what is left. */
  void finish() throws LogRows.BadRowException {
    endSession();
    write(learn);
    write(kept);
  }

  /** A row's values behind its state, by column: what the box leaves open is made here. */
  private void fill(Output to, int row) {
    int first = row * actions; // of the row in columns of actions
    System.arraycopy(rest, 0, to.action, first, actions);
    System.arraycopy(rest, actions, to.baseline, first, actions);
    noteServed();
    if (edges) {
      System.arraycopy(rest, 2 * actions, to.low, first, actions);
      System.arraycopy(rest, 3 * actions, to.high, first, actions);
    } else {
      double width = Double.isNaN(halfWidth) ? rest[layout.halfWidth() - states] : halfWidth;
      for (int k = 0; k < actions; k++) {
        double centre = rest[actions + k];
        to.low[first + k] = (float) (centre - width < -1 ? -1 : centre - width);
        to.high[first + k] = (float) (centre + width > 1 ? 1 : centre + width);
      }
    }
    double volume = 1; // one logarithm a row: at most 2 to the power of A
    double logVolume = 0;
    for (int k = 0; k < actions; k++) {
      float low = to.low[first + k];
      float high = to.high[first + k];
      noteBox(k, low, high, rest[actions + k]);
      double width = (double) high - low;
      if (width > 0) { // elsewhere nothing was drawn
        volume *= width;
      }
      if (volume < 1e-100) {
        logVolume += Math.log(volume);
        volume = 1;
      }
    }
    System.arraycopy(rest, layout.values() - states - rewards, to.reward, row * rewards, rewards);
    to.density[row] =
        logged ? rest[layout.density() - states] : (float) -(logVolume + Math.log(volume));
    int number = layout.number() - states;
    to.numbers[row] =
        RowLayout.number(
            Float.floatToRawIntBits(rest[number]), Float.floatToRawIntBits(rest[number + 1]));
  }

  private void noteServed() {
    if (!begun) {
      System.arraycopy(rest, actions, served, 0, actions);
      begun = true;
    } else if (constant) {
      constant = Arrays.equals(served, 0, actions, rest, actions, 2 * actions);
    }
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
    return learn.rows + kept.rows;
  }

  /** Rows of held-out users. */
  long heldRows() {
    return kept.rows;
  }

  /** Sessions of the users to learn from. */
  long learned() {
    return learned;
  }

  /** Number in the log of a row whose action lies outside its box; 0 if there is none. */
  long outOfBox() {
    return outOfBox;
  }

  /** The baseline action, if all rows have the same one; else null. */
  float[] served() {
    return constant ? served.clone() : null;
  }
}
