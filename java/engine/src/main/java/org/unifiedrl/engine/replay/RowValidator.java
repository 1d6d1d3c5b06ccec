package org.unifiedrl.engine.replay;

import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.MappedByteBuffer;
import java.util.List;

/** Looks once at every value of a replay; see {@link Replay#open(java.nio.file.Path)}. */
final class RowValidator {

  private final ReplaySchema schema;
  private final RowRules rules;
  private final int action;
  private final int boxLow;
  private final int boxHigh;

  private long rows;
  private long outOfBox;
  private String firstOutOfBox;

  RowValidator(ReplaySchema schema) {
    this.schema = schema;
    this.rules = new RowRules(schema);
    this.action = schema.find(ReplaySchema.ACTION);
    this.boxLow = schema.find(ReplaySchema.BOX_LOW);
    this.boxHigh = schema.find(ReplaySchema.BOX_HIGH);
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
      if (!RowRules.finite(value)) {
        throw new ReplayException(
            whereValue(batch, column, i / width, i % width)
                + rules.notFinite(value)
                + "; drop the session or write it again");
      }
    }
  }

  private void checkRange(ArrowShardReader.Batch batch, int column) {
    int width = schema.columns().get(column).width();
    FloatBuffer values = floats(batch, column);
    for (int i = 0; i < values.limit(); i++) {
      float value = values.get(i);
      if (!rules.inRange(value)) {
        throw new ReplayException(
            whereValue(batch, column, i / width, i % width) + rules.outOfRange(value));
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
                  + rules.crossed(lows.get(i), highs.get(i)));
        }
        inside &= actions == null || rules.inBox(actions.get(i), lows.get(i), highs.get(i));
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
