package org.unifiedrl.mtf.evaluation;

/** Cholesky factor L of a symmetric positive definite matrix, M = L L'. Immutable. */
final class Cholesky {

  private final double[][] lower; // row i has i + 1 columns

  /**
   * Factorises a matrix in place.
   *
   * @param matrix its lower triangle, row i with i + 1 columns; becomes this object's
   * @throws ArithmeticException if it is not positive definite
   */
  Cholesky(double[][] matrix) {
    lower = matrix;
    for (int i = 0; i < lower.length; i++) {
      for (int j = 0; j <= i; j++) {
        double left = lower[i][j];
        for (int k = 0; k < j; k++) {
          left -= lower[i][k] * lower[j][k];
        }
        if (i != j) {
          lower[i][j] = left / lower[j][j];
        } else if (left > 0) {
          lower[i][i] = Math.sqrt(left);
        } else {
          throw new ArithmeticException(
              "matrix is not positive definite: pivot " + i + " is " + left);
        }
      }
    }
  }

  /** Solves {@code M x = right}. */
  double[] solve(double[] right) {
    double[] x = right.clone();
    for (int i = 0; i < x.length; i++) {
      for (int k = 0; k < i; k++) {
        x[i] -= lower[i][k] * x[k];
      }
      x[i] /= lower[i][i];
    }
    for (int i = x.length - 1; i >= 0; i--) {
      x[i] /= lower[i][i];
      for (int k = 0; k < i; k++) {
        x[k] -= lower[i][k] * x[i];
      }
    }
    return x;
  }
}
