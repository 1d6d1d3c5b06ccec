package org.unifiedrl.mtf.exploration;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;

/**
 * What an explorer drew for users 0, 1, ... of one session each: request by request, then users.
 */
record Draws(int size, float[] actions, float[] low, float[] high, float[] logDensity) {

  /** All users at the same baseline action. */
  static Draws of(Explorer explorer, long seed, int users, int requests, float[] mean) {
    int size = explorer.actionSize();
    int rows = users * requests;
    Draws all =
        new Draws(
            size,
            new float[rows * size],
            new float[rows * size],
            new float[rows * size],
            new float[rows]);
    int[] numbers = new int[users];
    long[] sessions = new long[users];
    float[] baseline = new float[users * size];
    for (int user = 0; user < users; user++) {
      numbers[user] = user;
      sessions[user] = user;
      System.arraycopy(mean, 0, baseline, user * size, size);
    }
    Explorer own = explorer.forRollout();
    float[] actions = new float[users * size];
    float[] low = new float[users * size];
    float[] high = new float[users * size];
    float[] logDensity = new float[users];
    long[] times = new long[users];
    for (int request = 0; request < requests; request++) {
      Arrays.fill(times, request);
      own.explore(seed, numbers, sessions, times, users, baseline, actions, low, high, logDensity);
      System.arraycopy(actions, 0, all.actions, request * users * size, users * size);
      System.arraycopy(low, 0, all.low, request * users * size, users * size);
      System.arraycopy(high, 0, all.high, request * users * size, users * size);
      System.arraycopy(logDensity, 0, all.logDensity, request * users, users);
    }
    return all;
  }

  float action(int row, int dimension) {
    return actions[row * size + dimension];
  }

  /** Largest distance between a sample's distribution function and the given one. */
  static double kolmogorov(float[] sample, DoubleUnaryOperator distribution) {
    float[] sorted = sample.clone();
    Arrays.sort(sorted);
    double largest = 0;
    for (int i = 0; i < sorted.length; i++) {
      double expected = distribution.applyAsDouble(sorted[i]);
      largest = Math.max(largest, Math.abs((double) i / sorted.length - expected));
      largest = Math.max(largest, Math.abs((i + 1.0) / sorted.length - expected));
    }
    return largest;
  }
}
