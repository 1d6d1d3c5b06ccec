package org.unifiedrl.data;

/**
 * How a read row lies in memory or a file, apart from its keys: float32 values, log density and
 * half width of the box, all as their bits, and the row's number in the log in two ints.
 *
 * @param values number of float32 values
 */
record RowLayout(int values) {

  /** The keys of a row, by which it is sorted, are longs. */
  static final int USER = 0;

  static final int SESSION = 1;
  static final int ORDER = 2;
  static final int TIME = 3;
  static final int KEYS = 4;

  int density() {
    return values;
  }

  int halfWidth() {
    return values + 1;
  }

  /** Where the low half of the row's number lies; the high one follows. */
  int number() {
    return values + 2;
  }

  /** Ints of a row. */
  int width() {
    return values + 4;
  }

  static long number(int low, int high) {
    return (low & 0xFFFF_FFFFL) | (long) high << 32;
  }
}
