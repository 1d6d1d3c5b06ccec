package org.unifiedrl.data;

import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.complex.FixedSizeListVector;
import org.apache.arrow.vector.ipc.ArrowReader;

/**
 * Reads what {@link ImportQuery#rows} selects, and turns its columns into rows. A row with a value
 * that is missing or not finite ends it: what is wrong is then asked of the log itself, since here
 * only the values that were made of its columns are known.
 */
final class LogRows {

  /** A row that cannot be imported, by its number in the log from 1. */
  static final class BadRowException extends Exception {
    private static final long serialVersionUID = 1;

    BadRowException(String message) {
      super(message);
    }
  }

  /** Receives rows, some at a time. */
  interface Sink {
    /**
     * Takes rows; copies what it keeps.
     *
     * @param keys by kind, then by row
     * @param rows one after the other, see {@link RowLayout}
     */
    void accept(long[][] keys, int[] rows, int count) throws IOException;
  }

  /** Rows that are turned at a time: they stay in a processor's cache. */
  private static final int BLOCK = 256;

  private static final int EXPONENT = 0x7F80_0000;

  /** The query's columns: keys, log density, half width, values. */
  private static final int[] KEYS = {
    RowLayout.USER, RowLayout.SESSION, RowLayout.TIME, RowLayout.ORDER
  };

  private static final int DENSITY = 4;
  private static final int HALF_WIDTH = 5;
  private static final int VALUES = 6;

  private final ArrowReader reader;
  private final RowLayout layout;
  private final boolean densities;
  private final boolean widths;
  private final int[] rows;
  private final int[] column;
  private final long[][] keys = new long[RowLayout.KEYS][BLOCK];
  private long read;

  /**
   * Prepares to read.
   *
   * @param densities whether the log has densities
   * @param widths whether the half width of the box goes by a column of the log
   */
  LogRows(ArrowReader reader, RowLayout layout, boolean densities, boolean widths) {
    this.reader = reader;
    this.layout = layout;
    this.densities = densities;
    this.widths = widths;
    this.rows = new int[BLOCK * layout.width()];
    this.column = new int[BLOCK * layout.values()];
  }

  /** Gives all rows of the next batch to a sink; false if there is none. */
  boolean next(Sink sink) throws IOException, BadRowException {
    if (!reader.loadNextBatch()) {
      return false;
    }
    VectorSchemaRoot batch = reader.getVectorSchemaRoot();
    requireValues(batch);
    int count = batch.getRowCount();
    for (int from = 0; from < count; from += BLOCK) {
      int n = Math.min(BLOCK, count - from);
      turn(batch, from, n);
      sink.accept(keys, rows, n);
    }
    return true;
  }

  /** Rows read so far. */
  long count() {
    return read;
  }

  private void requireValues(VectorSchemaRoot batch) throws BadRowException {
    List<FieldVector> needed = new ArrayList<>();
    for (int c = 0; c < batch.getFieldVectors().size(); c++) {
      boolean optional = (c == DENSITY && !densities) || (c == HALF_WIDTH && !widths);
      FieldVector vector = batch.getVector(c);
      if (optional) {
        continue;
      }
      needed.add(vector);
      if (vector instanceof FixedSizeListVector list) {
        needed.add(list.getDataVector());
      }
    }
    for (FieldVector vector : needed) {
      if (vector.getNullCount() > 0) {
        throw new BadRowException("a row has no value where one is needed");
      }
    }
  }

  private void turn(VectorSchemaRoot batch, int from, int n) throws BadRowException {
    for (int c = 0; c < KEYS.length; c++) {
      buffer(batch.getVector(c), Long.BYTES, from, n)
          .order(ByteOrder.LITTLE_ENDIAN)
          .asLongBuffer()
          .get(keys[KEYS[c]], 0, n);
    }
    number(rows, n, layout.number(), layout.width(), read + 1);
    read += n;
    if (densities) {
      floats(batch.getVector(DENSITY), from, n, 1);
      scatter(1, n, layout.density());
    }
    if (widths) {
      floats(batch.getVector(HALF_WIDTH), from, n, 1);
      scatter(1, n, layout.halfWidth());
    }
    int at = 0;
    for (int c = VALUES; c < batch.getFieldVectors().size(); c++) {
      FieldVector vector = batch.getVector(c);
      int size = vector instanceof FixedSizeListVector list ? list.getListSize() : 1;
      floats(vector, from, n, size);
      scatter(size, n, at);
      at += size;
    }
  }

  /** Reads the bits of {@code n} times {@code size} values; refuses those that are not finite. */
  private void floats(FieldVector vector, int from, int n, int size) throws BadRowException {
    FieldVector data = vector instanceof FixedSizeListVector list ? list.getDataVector() : vector;
    IntBuffer values =
        buffer((Float4Vector) data, Float.BYTES * size, from, n)
            .order(ByteOrder.LITTLE_ENDIAN)
            .asIntBuffer();
    values.get(column, 0, n * size);
    if (!allFinite(column, n * size)) {
      throw new BadRowException("a value is not finite");
    }
  }

  // The loops below are methods of their own: in one large method each made the JVM compile all of
  // it again.

  private static boolean allFinite(int[] values, int count) {
    int bits = 0;
    for (int i = 0; i < count; i++) {
      // The sign bit comes up where the exponent has all its bits: infinities and NaN.
      bits |= (values[i] & EXPONENT) + (1 << 23);
    }
    return bits >= 0;
  }

  private static void number(int[] rows, int n, int at, int width, long first) {
    for (int i = 0, to = at; i < n; i++, to += width) {
      rows[to] = (int) (first + i);
      rows[to + 1] = (int) ((first + i) >>> 32);
    }
  }

  private static void scatter(int[] column, int[] rows, int n, int at, int width) {
    for (int i = 0, to = at; i < n; i++, to += width) {
      rows[to] = column[i];
    }
  }

  private static java.nio.ByteBuffer buffer(FieldVector vector, int bytes, int from, int n) {
    ArrowBuf data = vector.getDataBuffer();
    return data.nioBuffer((long) from * bytes, n * bytes);
  }

  private void scatter(int size, int n, int at) {
    int width = layout.width();
    if (size == 1) {
      scatter(column, rows, n, at, width);
    } else {
      for (int i = 0; i < n; i++) {
        System.arraycopy(column, i * size, rows, i * width + at, size);
      }
    }
  }
}
