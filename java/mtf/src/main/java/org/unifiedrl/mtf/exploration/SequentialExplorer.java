package org.unifiedrl.mtf.exploration;

import java.util.Arrays;

/**
 * Exploration that remembers something of the request before, by user or by session. The memory is
 * what the last call left: a user or session that it did not have starts anew.
 */
abstract class SequentialExplorer implements Explorer {

  private final int size;
  private final int width;
  private final boolean bySession;

  // What the last call left, and what this one leaves; row by row.
  private int pastRows;
  private long[] pastKeys = {};
  private double[] past = {};
  private long[] keys = {};
  private double[] memory = {};

  /**
   * An explorer without memories.
   *
   * @param size A
   * @param width numbers to remember of a request
   * @param bySession whether a session is remembered, or else a user
   */
  SequentialExplorer(int size, int width, boolean bySession) {
    this.size = size;
    this.width = width;
    this.bySession = bySession;
  }

  @Override
  public final int actionSize() {
    return size;
  }

  /** A fresh one with the same settings. */
  @Override
  public abstract Explorer forRollout();

  @Override
  public final void explore(
      long seed,
      int[] users,
      long[] sessions,
      long[] requests,
      int rows,
      float[] baseline,
      float[] actions,
      float[] low,
      float[] high,
      float[] logDensity) {
    if (keys.length < rows) {
      keys = Arrays.copyOf(keys, rows);
      memory = Arrays.copyOf(memory, rows * width);
    }
    for (int row = 0; row < rows; row++) {
      keys[row] = bySession ? sessions[row] : users[row];
      int before = find(keys[row], row);
      if (before >= 0) {
        System.arraycopy(past, before * width, memory, row * width, width);
      }
      double log =
          draw(
              seed,
              users[row],
              requests[row],
              row,
              before < 0,
              memory,
              row * width,
              baseline,
              actions,
              low,
              high);
      logDensity[row] = (float) log;
    }
    long[] freeKeys = pastKeys;
    double[] free = past;
    pastKeys = keys;
    past = memory;
    pastRows = rows;
    keys = freeKeys;
    memory = free;
  }

  /** Lanes seldom move, so the row itself is looked at first. */
  private int find(long key, int row) {
    if (row < pastRows && pastKeys[row] == key) {
      return row;
    }
    for (int r = 0; r < pastRows; r++) {
      if (pastKeys[r] == key) {
        return r;
      }
    }
    return -1;
  }

  /**
   * Draws one action.
   *
   * @param seed key of the run
   * @param user user of the request
   * @param request number of the request
   * @param row the request's row
   * @param first whether nothing is remembered: memory then holds anything
   * @param memory holds what the request before left at {@code at}, and receives what this one does
   * @param at start of the request's memory
   * @return logarithm of the action's density
   */
  abstract double draw(
      long seed,
      int user,
      long request,
      int row,
      boolean first,
      double[] memory,
      int at,
      float[] baseline,
      float[] actions,
      float[] low,
      float[] high);
}
