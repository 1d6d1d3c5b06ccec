package org.unifiedrl.mtf.baseline;

import java.util.Arrays;

/**
 * Regression by a Gaussian process with mean zero, a Matérn 5/2 kernel that has a length scale in
 * each dimension, and independent noise (Rasmussen and Williams, "Gaussian Processes for Machine
 * Learning", 2006, equations 2.25, 2.26, 5.8, 5.9 and 4.17):
 *
 * <pre>
 * k(x, x') = s^2 (1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)     r^2 = SUM_k ((x_k - x'_k) / l_k)^2
 * </pre>
 *
 * Immutable.
 */
final class GaussianProcess {

  private static final double ROOT5 = Math.sqrt(5);

  /** Added to the diagonal, relative to the signal's variance, so that it can be factored. */
  private static final double JITTER = 1e-10;

  /**
   * What a process is made of.
   *
   * @param lengths length scale of each dimension (l)
   * @param signal variance of the function (s^2)
   * @param noise variance of an observation's error
   */
  record Kernel(double[] lengths, double signal, double noise) {

    /** As logarithms: the lengths, the signal, the noise. */
    double[] logarithms() {
      double[] logs = new double[lengths.length + 2];
      for (int k = 0; k < lengths.length; k++) {
        logs[k] = Math.log(lengths[k]);
      }
      logs[lengths.length] = Math.log(signal);
      logs[lengths.length + 1] = Math.log(noise);
      return logs;
    }

    static Kernel ofLogarithms(double[] logs) {
      double[] lengths = new double[logs.length - 2];
      Arrays.setAll(lengths, k -> Math.exp(logs[k]));
      return new Kernel(
          lengths, Math.exp(logs[lengths.length]), Math.exp(logs[lengths.length + 1]));
    }

    private double distance(double[] x, double[] y) {
      double sum = 0;
      for (int k = 0; k < lengths.length; k++) {
        double d = (x[k] - y[k]) / lengths[k];
        sum += d * d;
      }
      return Math.sqrt(sum);
    }

    private double covariance(double r) {
      return signal * (1 + ROOT5 * r + 5 * r * r / 3) * Math.exp(-ROOT5 * r);
    }
  }

  /** The function's value at a point, without noise: normal with this mean and deviation. */
  record Posterior(double mean, double deviation) {}

  private final Kernel kernel;
  private final double[][] points;
  private final double[] values;
  private final double[][] factor; // L, lower, K + noise I = L L^T
  private final double[] alpha; // (K + noise I)^-1 y

  /**
   * Conditions the process on observations.
   *
   * @param points n points, not to be changed later
   * @param values n noisy values
   */
  GaussianProcess(Kernel kernel, double[][] points, double[] values) {
    this.kernel = kernel;
    this.points = points;
    this.values = values.clone();
    int n = points.length;
    double[][] covariance = new double[n][];
    for (int i = 0; i < n; i++) {
      covariance[i] = new double[i + 1];
      for (int j = 0; j < i; j++) {
        covariance[i][j] = kernel.covariance(kernel.distance(points[i], points[j]));
      }
      covariance[i][i] = kernel.signal() * (1 + JITTER) + kernel.noise();
    }
    factor = cholesky(covariance);
    alpha = values.clone();
    solveLower(alpha);
    solveUpper(alpha);
  }

  /** The factor L in place; every pivot is at least the jitter, whatever rounding leaves of it. */
  private static double[][] cholesky(double[][] a) {
    for (int i = 0; i < a.length; i++) {
      double least = JITTER * a[i][i];
      for (int j = 0; j <= i; j++) {
        double sum = a[i][j];
        for (int k = 0; k < j; k++) {
          sum -= a[i][k] * a[j][k];
        }
        a[i][j] = i == j ? Math.sqrt(Math.max(sum, least)) : sum / a[j][j];
      }
    }
    return a;
  }

  private void solveLower(double[] b) {
    for (int i = 0; i < b.length; i++) {
      double sum = b[i];
      for (int k = 0; k < i; k++) {
        sum -= factor[i][k] * b[k];
      }
      b[i] = sum / factor[i][i];
    }
  }

  private void solveUpper(double[] b) {
    for (int i = b.length - 1; i >= 0; i--) {
      b[i] /= factor[i][i];
      for (int k = 0; k < i; k++) {
        b[k] -= factor[i][k] * b[i];
      }
    }
  }

  /** The posterior's mean alone, which costs n and not n^2. */
  double mean(double[] x) {
    double mean = 0;
    for (int i = 0; i < points.length; i++) {
      mean += kernel.covariance(kernel.distance(x, points[i])) * alpha[i];
    }
    return mean;
  }

  /** What is known about a point. */
  Posterior at(double[] x) {
    int n = points.length;
    double[] covariances = new double[n];
    double mean = 0;
    for (int i = 0; i < n; i++) {
      covariances[i] = kernel.covariance(kernel.distance(x, points[i]));
      mean += covariances[i] * alpha[i];
    }
    solveLower(covariances);
    double variance = kernel.signal();
    for (double v : covariances) {
      variance -= v * v;
    }
    return new Posterior(mean, Math.sqrt(Math.max(variance, 0)));
  }

  /** Logarithm of the density of all observations under the kernel. */
  double logLikelihood() {
    double sum = -0.5 * points.length * Math.log(2 * Math.PI);
    for (int i = 0; i < points.length; i++) {
      sum -= 0.5 * values[i] * alpha[i] + Math.log(factor[i][i]);
    }
    return sum;
  }

  /** Gradient of {@link #logLikelihood} by the kernel's {@link Kernel#logarithms}. */
  double[] logLikelihoodGradient() {
    int n = points.length;
    int d = kernel.lengths().length;
    double[] gradient = new double[d + 2];
    for (int j = 0; j < n; j++) {
      double[] inverse = new double[n]; // column j of (K + noise I)^-1
      inverse[j] = 1;
      solveLower(inverse);
      solveUpper(inverse);
      for (int i = j; i < n; i++) {
        // 1/2 tr((alpha alpha^T - K^-1) dK), a pair and its mirror at once.
        double weight = (i == j ? 0.5 : 1) * (alpha[i] * alpha[j] - inverse[i]);
        double r = kernel.distance(points[i], points[j]);
        double slope = 5.0 / 3 * kernel.signal() * (1 + ROOT5 * r) * Math.exp(-ROOT5 * r);
        for (int k = 0; k < d; k++) {
          double difference = (points[i][k] - points[j][k]) / kernel.lengths()[k];
          gradient[k] += weight * slope * difference * difference;
        }
        gradient[d] += weight * (i == j ? kernel.signal() * (1 + JITTER) : kernel.covariance(r));
        gradient[d + 1] += i == j ? weight * kernel.noise() : 0;
      }
    }
    return gradient;
  }
}
