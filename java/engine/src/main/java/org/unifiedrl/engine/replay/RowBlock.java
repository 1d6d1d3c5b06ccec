package org.unifiedrl.engine.replay;

/**
 * Requests that {@link ReplayWriter#append(RowBlock)} takes at once, column by column: its arrays
 * are filled, {@link #rows} is set, and after the call they may be filled again. One thread at a
 * time.
 */
public final class RowBlock {

  private final ReplaySchema schema;
  private final int capacity;
  private final long[] sessionIds;
  private final long[] userIds;
  private final long[] timestamps;
  private final boolean[] last;
  private final float[][] columns;
  private int rows;
  private int refused = -1;

  /**
   * An empty block.
   *
   * @param schema of the writer that takes it
   * @param capacity rows that it holds, at least 1
   */
  public RowBlock(ReplaySchema schema, int capacity) {
    if (capacity < 1) {
      throw new ReplayException("capacity is " + capacity + ": expected at least 1");
    }
    this.schema = schema;
    this.capacity = capacity;
    sessionIds = new long[capacity];
    userIds = new long[capacity];
    timestamps = new long[capacity];
    last = new boolean[capacity];
    columns = new float[schema.columns().size()][];
    for (int c = 0; c < columns.length; c++) {
      columns[c] = new float[Math.multiplyExact(capacity, schema.columns().get(c).width())];
    }
  }

  /** Rows that it holds at most. */
  public int capacity() {
    return capacity;
  }

  /** Rows that are filled. */
  public int rows() {
    return rows;
  }

  /** Says how many rows are filled, from the first on. */
  public void rows(int count) {
    if (count < 0 || count > capacity) {
      throw new ReplayException(count + " rows: expected 0 to " + capacity);
    }
    rows = count;
  }

  /** Session of each row; this and what follows are the block's own arrays. */
  public long[] sessionIds() {
    return sessionIds;
  }

  /** User of each row. */
  public long[] userIds() {
    return userIds;
  }

  /** Milliseconds of each row. */
  public long[] timestamps() {
    return timestamps;
  }

  /** Whether a row is its session's last one. */
  public boolean[] last() {
    return last;
  }

  /** Values of a column of the schema, row after row. */
  public float[] column(int index) {
    return columns[index];
  }

  /** The schema that it was made for. */
  ReplaySchema schema() {
    return schema;
  }

  /** The row that the last call refused; -1 if it took all. */
  public int refused() {
    return refused;
  }

  void refused(int row) {
    refused = row;
  }
}
