package org.unifiedrl.data;

import java.nio.IntBuffer;

/**
 * How a read row lies in an array or file of ints, from its first on: user, session, milliseconds,
 * place in the session, number in the log (two ints each), log density, half width of the box, then
 * the float32 values. Floats lie there as their bits.
 *
 * @param values number of float32 values
 */
record RowLayout(int values) {

  static final int USER = 0;
  static final int SESSION = 2;
  static final int TIME = 4;
  static final int ORDER = 6;
  static final int NUMBER = 8;
  static final int DENSITY = 10;
  static final int HALF_WIDTH = 11;
  static final int VALUES = 12;

  /** Ints of a row. */
  int width() {
    return VALUES + values;
  }

  static long getLong(int[] rows, int at) {
    return (rows[at] & 0xFFFF_FFFFL) | (long) rows[at + 1] << 32;
  }

  static long getLong(IntBuffer rows, int at) {
    return (rows.get(at) & 0xFFFF_FFFFL) | (long) rows.get(at + 1) << 32;
  }

  static void putLong(int[] rows, int at, long value) {
    rows[at] = (int) value;
    rows[at + 1] = (int) (value >>> 32);
  }
}
