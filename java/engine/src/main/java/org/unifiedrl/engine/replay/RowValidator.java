package org.unifiedrl.engine.replay;

import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.MappedByteBuffer;
import java.util.List;

/** Looks once at every value of a replay; see {@link Replay#open(java.nio.file.Path)}. */
final class RowValidator {

  /**
   * Slack of comparisons with a box or the action range, in units of its larger end: the edges and
   * the action are sums of float32 numbers of that size, each rounded by at most 6e-8, so a few
   * sums stay well below it.
   */
  private static final double RELATIVE_SLACK = 1e-6;

  private final ReplaySchema schema;
  private final double low;
  private final double high;
  private final double slack;
  private final int action;
  private final int boxLow;
  private final int boxHigh;

  private long rows;
  private long outOfBox;
  private String firstOutOfBox;

  RowValidator(ReplaySchema schema) {
    this.schema = schema;
    this.low = schema.actionLow();
    this.high = schema.actionHigh();
    this.slack = slack(schema);
    this.action = schema.find(ReplaySchema.ACTION);
    this.boxLow = schema.find(ReplaySchema.BOX_LOW);
    this.boxHigh = schema.find(ReplaySchema.BOX_HIGH);
  }

  static double slack(ReplaySchema schema) {
    return RELATIVE_SLACK * Math.max(Math.abs(schema.actionLow()), Math.abs(schema.actionHigh()));
  }

  /** Checks all batches; returns the number of rows whose action is outside its box. */
  long validate(List<ArrowShardReader.Batch> batches, Replay.Options options) {
    for (ArrowShardReader.Batch batch : batches) {
      checkSessions(batch);
      for (int column = 0; column < schema.columns().size(); column++) {
        checkFinite(batch, column);
      }
      if (action >= 0) {
        checkRange(batch, action);
      }
      if (boxLow >= 0) {
        checkRange(batch, boxLow);
        checkRange(batch, boxHigh);
        checkBoxes(batch);
      }
      rows += batch.rows();
    }
    if (schema.boxCheck() && outOfBox > options.outOfBoxLimit() * rows) {
      throw new ReplayException(
          String.format(
              "%d of %d actions lie outside their logged box, the first at %s: allowed is a share"
                  + " of %s; log the box that the action was drawn from, or set metadata %s = off"
                  + " for unbounded exploration",
              outOfBox, rows, firstOutOfBox, options.outOfBoxLimit(), ReplaySchema.BOX_CHECK_KEY));
    }
    return outOfBox;
  }

  private static void checkSessions(ArrowShardReader.Batch batch) {
    MappedByteBuffer body = batch.body();
    int lastAt = batch.fixedOffsets()[ReplaySchema.FIXED.indexOf(ReplaySchema.LAST)];
    LongBuffer session = longs(batch, ReplaySchema.SESSION_ID);
    LongBuffer user = longs(batch, ReplaySchema.USER_ID);
    for (int row = 0; row < batch.rows(); row++) {
      byte last = body.get(lastAt + row);
      if (last == 1) {
        continue;
      }
      if (last != 0) {
        throw new ReplayException(
            where(batch, row, "'last'") + ": expected 0 or 1, found " + (last & 0xFF));
      }
      if (row == batch.rows() - 1) {
        throw new ReplayException(
            where(batch, row, "'last'")
                + ": expected 1 in the final row of a record batch, found 0; write batches that"
                + " end where a session ends");
      }
      if (session.get(row) != session.get(row + 1) || user.get(row) != user.get(row + 1)) {
        throw new ReplayException(
            where(batch, row, "'last'")
                + ": expected 1 because the next row is of another session or user, found 0; sort"
                + " rows by session and time and mark the last of each session");
      }
    }
  }

  private void checkFinite(ArrowShardReader.Batch batch, int column) {
    int width = schema.columns().get(column).width();
    FloatBuffer values = floats(batch, column);
    for (int i = 0; i < values.limit(); i++) {
      float value = values.get(i);
      if (!(Math.abs(value) <= Float.MAX_VALUE)) {
        throw new ReplayException(
            whereValue(batch, column, i / width, i % width)
                + ": expected a finite number, found "
                + value
                + "; drop the session or write it again");
      }
    }
  }

  private void checkRange(ArrowShardReader.Batch batch, int column) {
    int width = schema.columns().get(column).width();
    FloatBuffer values = floats(batch, column);
    for (int i = 0; i < values.limit(); i++) {
      float value = values.get(i);
      if (!(value >= low - slack && value <= high + slack)) {
        throw new ReplayException(
            whereValue(batch, column, i / width, i % width)
                + String.format(
                    ": expected a value within the action range [%s, %s], found %s; normalise it,"
                        + " or set metadata %s and %s",
                    low, high, value, ReplaySchema.ACTION_LOW_KEY, ReplaySchema.ACTION_HIGH_KEY));
      }
    }
  }

  private void checkBoxes(ArrowShardReader.Batch batch) {
    int width = schema.columns().get(boxLow).width();
    FloatBuffer lows = floats(batch, boxLow);
    FloatBuffer highs = floats(batch, boxHigh);
    FloatBuffer actions = action < 0 ? null : floats(batch, action);
    for (int row = 0; row < batch.rows(); row++) {
      boolean inside = true;
      for (int i = row * width; i < (row + 1) * width; i++) {
        if (lows.get(i) > highs.get(i)) {
          throw new ReplayException(
              whereValue(batch, boxLow, row, i - row * width)
                  + String.format(
                      ": expected box_low <= box_high, found %s > %s; swap or correct the edges",
                      lows.get(i), highs.get(i)));
        }
        if (actions != null) {
          double a = actions.get(i);
          inside &= a >= lows.get(i) - slack && a <= highs.get(i) + slack;
        }
      }
      if (!inside) {
        if (outOfBox == 0) {
          firstOutOfBox = where(batch, row, "'" + ReplaySchema.ACTION + "'");
        }
        outOfBox++;
      }
    }
  }

  private FloatBuffer floats(ArrowShardReader.Batch batch, int column) {
    int length = batch.rows() * schema.columns().get(column).width() * Float.BYTES;
    return batch
        .body()
        .slice(batch.columnOffsets()[column], length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer();
  }

  private static LongBuffer longs(ArrowShardReader.Batch batch, String column) {
    int offset = batch.fixedOffsets()[ReplaySchema.FIXED.indexOf(column)];
    return batch
        .body()
        .slice(offset, batch.rows() * Long.BYTES)
        .order(ByteOrder.LITTLE_ENDIAN)
        .asLongBuffer();
  }

  private String whereValue(ArrowShardReader.Batch batch, int column, int row, int element) {
    return where(batch, row, "'" + schema.columns().get(column).name() + "'[" + element + "]");
  }

  private static String where(ArrowShardReader.Batch batch, int row, String column) {
    return batch.file() + ", row " + (batch.firstRowInFile() + row) + ", column " + column;
  }
}
