package org.unifiedrl.mtf.evaluation;

/** A reward model that is linear in its features. Holds scratch memory: one thread at a time. */
public final class LinearModel implements RewardModel {

  private final Features features;
  private final double[] mean; // (1 + features), 0 for the intercept
  private final double[] scale; // (1 + features), 0 for those left out
  private final Cholesky normal; // of standardised features and penalty, per step
  private final double[] coefficients; // (1 + features), the intercept first
  private final long steps;
  private final double[] scratch;

  LinearModel(
      Features features,
      double[] mean,
      double[] scale,
      Cholesky normal,
      double[] gradient,
      long steps) {
    this.features = features;
    this.mean = mean;
    this.scale = scale;
    this.normal = normal;
    this.steps = steps;
    coefficients = solve(gradient);
    scratch = new double[scale.length];
  }

  @Override
  public double expected(float[] contexts, int contextAt, float[] actions, int actionAt) {
    write(contexts, contextAt, actions, actionAt, scratch);
    return expected(scratch);
  }

  /** Writes 1 and the features of one step. */
  void write(float[] contexts, int contextAt, float[] actions, int actionAt, double[] into) {
    into[0] = 1;
    features.write(contexts, contextAt, actions, actionAt, into, 1);
  }

  /** Number of coefficients, the intercept included. */
  int size() {
    return scale.length;
  }

  /** Expected worth of a step with these features, after a leading 1. */
  double expected(double[] row) {
    return dot(row, coefficients);
  }

  /**
   * How fast a linear function of the coefficients moves with one more step: the function changes
   * by the returned vector's product with the step's features, times the step's residual.
   *
   * @param gradient the function's derivative by each coefficient
   */
  double[] sensitivity(double[] gradient) {
    double[] moved = solve(gradient);
    for (int j = 0; j < moved.length; j++) {
      moved[j] /= steps;
    }
    return moved;
  }

  /** Solves the normal equations of the features as they are by those of standardised ones. */
  private double[] solve(double[] right) {
    double[] standardised = new double[right.length];
    for (int j = 0; j < right.length; j++) {
      standardised[j] = scale[j] > 0 ? (right[j] - mean[j] * right[0]) / scale[j] : 0;
    }
    double[] solved = normal.solve(standardised);
    for (int j = 1; j < solved.length; j++) {
      solved[j] = scale[j] > 0 ? solved[j] / scale[j] : 0;
      solved[0] -= mean[j] * solved[j];
    }
    return solved;
  }

  /** Four partial sums: the additions of one chain would wait for each other. */
  static double dot(double[] x, double[] y) {
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    int i = 0;
    for (; i + 3 < x.length; i += 4) {
      a += x[i] * y[i];
      b += x[i + 1] * y[i + 1];
      c += x[i + 2] * y[i + 2];
      d += x[i + 3] * y[i + 3];
    }
    for (; i < x.length; i++) {
      a += x[i] * y[i];
    }
    return (a + b) + (c + d);
  }
}
