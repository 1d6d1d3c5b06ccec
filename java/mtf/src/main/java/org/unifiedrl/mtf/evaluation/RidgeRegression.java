package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;

/**
 * Least squares with a penalty, in closed form: minimises
 *
 * <pre>
 *   (1/n) SUM_i (y_i - b - x_i . c)^2 + penalty * SUM_j (sd_j c_j)^2
 * </pre>
 *
 * with the intercept b free and sd_j the standard deviation of feature j, so that the penalty does
 * not depend on units. Features that do not vary are left out. What is kept of the steps is the
 * matrix of their second moments: regressions over parts of a log add up. One thread at a time.
 */
public final class RidgeRegression {

  /** Rows whose moments are added together: one pass over the matrix instead of four. */
  private static final int BLOCK = 4;

  /** Share of a feature's second moment below which its variance is rounding. */
  private static final double CONSTANT = 1e-10;

  private final Features features;
  private final double penalty;
  private final int width; // 1 + features + the value itself
  private final double[] moments; // (width, width), upper triangle
  private final double[][] block;
  private int blocked;
  private long steps;

  /**
   * Creates a regression without any steps.
   *
   * @param penalty share of the standardised coefficients' squares, positive: features may be
   *     collinear
   */
  public RidgeRegression(Features features, double penalty) {
    if (!(penalty > 0 && Double.isFinite(penalty))) {
      throw new IllegalArgumentException("penalty is " + penalty + ": expected a positive number");
    }
    this.features = features;
    this.penalty = penalty;
    width = features.size() + 2;
    moments = new double[width * width];
    block = new double[BLOCK][width];
  }

  /** Adds one step that was worth {@code value}. */
  public void add(float[] contexts, int contextAt, float[] actions, int actionAt, double value) {
    double[] row = block[blocked];
    row[0] = 1;
    features.write(contexts, contextAt, actions, actionAt, row, 1);
    row[width - 1] = value;
    for (double x : row) {
      if (!Double.isFinite(x)) {
        throw new IllegalArgumentException(
            "contexts, actions and values must be finite, found " + x);
      }
    }
    steps++;
    if (++blocked == BLOCK) {
      flush();
    }
  }

  /** Adds all steps of another regression over the same features. */
  public void addAll(RidgeRegression other) {
    if (other.width != width) {
      throw new IllegalArgumentException(
          "regressions of " + (width - 2) + " and " + (other.width - 2) + " features");
    }
    other.flush();
    for (int i = 0; i < moments.length; i++) {
      moments[i] += other.moments[i];
    }
    steps += other.steps;
  }

  private void flush() {
    for (int r = blocked; r < BLOCK; r++) {
      Arrays.fill(block[r], 0);
    }
    blocked = 0;
    double[] p = block[0];
    double[] q = block[1];
    double[] r = block[2];
    double[] s = block[3];
    for (int i = 0; i < width; i++) {
      double a = p[i];
      double b = q[i];
      double c = r[i];
      double d = s[i];
      int row = i * width;
      for (int j = i; j < width; j++) {
        moments[row + j] += a * p[j] + b * q[j] + c * r[j] + d * s[j];
      }
    }
  }

  /**
   * The model of the steps added so far.
   *
   * @throws IllegalStateException if there are none
   */
  public LinearModel fit() {
    flush();
    if (steps == 0) {
      throw new IllegalStateException("no logged steps were added; there is nothing to fit");
    }
    int size = width - 1;
    double[] mean = new double[size];
    double[] scale = new double[size];
    scale[0] = 1;
    for (int j = 1; j < size; j++) {
      mean[j] = moments[j] / steps;
      double square = moments[j * width + j] / steps;
      double variance = square - mean[j] * mean[j];
      scale[j] = variance > CONSTANT * square ? Math.sqrt(variance) : 0;
    }
    double[][] normal = new double[size][];
    double[] gradient = new double[size];
    for (int i = 0; i < size; i++) {
      normal[i] = new double[i + 1];
      for (int j = 0; j <= i; j++) {
        double scales = scale[i] * scale[j];
        double moment = moments[j * width + i] / steps - mean[i] * mean[j];
        // The intercept and centred features are orthogonal but for rounding.
        normal[i][j] = scales > 0 && (j > 0 || i == 0) ? moment / scales : 0;
      }
      normal[i][i] += i == 0 ? 0 : scale[i] > 0 ? penalty : 1;
      gradient[i] = moments[i * width + size] / steps;
    }
    return new LinearModel(features, mean, scale, new Cholesky(normal), gradient, steps);
  }
}
