package org.unifiedrl.mtf.baseline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.baseline.GaussianProcess.Kernel;
import org.unifiedrl.mtf.baseline.GaussianProcess.Posterior;

class GaussianProcessTest {

  private static final Kernel KERNEL = new Kernel(new double[] {0.7, 0.3}, 1.7, 0.2);
  private static final double[][] POINTS = {{0.1, 0.2}, {0.6, 0.4}, {0.9, 0.95}};
  private static final double[] VALUES = {1, -0.5, 2};

  private static double matern(double[] x, double[] y) {
    double r = Math.hypot((x[0] - y[0]) / 0.7, (x[1] - y[1]) / 0.3);
    double t = Math.sqrt(5) * r;
    return 1.7 * (1 + t + t * t / 3) * Math.exp(-t);
  }

  private static double determinant(double[][] m) {
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
  }

  /** Solves m x = b by Cramer's rule. */
  private static double[] solve(double[][] m, double[] b) {
    double[] x = new double[3];
    for (int c = 0; c < 3; c++) {
      double[][] replaced = {m[0].clone(), m[1].clone(), m[2].clone()};
      for (int r = 0; r < 3; r++) {
        replaced[r][c] = b[r];
      }
      x[c] = determinant(replaced) / determinant(m);
    }
    return x;
  }

  @Test
  void posteriorAndLikelihoodOfThreePointsHaveTheirClosedForm() {
    double[][] covariance = new double[3][3];
    for (int i = 0; i < 3; i++) {
      for (int j = 0; j < 3; j++) {
        covariance[i][j] = matern(POINTS[i], POINTS[j]) + (i == j ? 0.2 : 0);
      }
    }
    double[] alpha = solve(covariance, VALUES);
    GaussianProcess process = new GaussianProcess(KERNEL, POINTS, VALUES);
    for (double[] x : new double[][] {{0.4, 0.5}, {0.6, 0.4}, {5, -3}}) {
      double[] k = {matern(x, POINTS[0]), matern(x, POINTS[1]), matern(x, POINTS[2])};
      double[] solved = solve(covariance, k);
      double mean = 0;
      double variance = 1.7;
      for (int i = 0; i < 3; i++) {
        mean += k[i] * alpha[i];
        variance -= k[i] * solved[i];
      }
      Posterior posterior = process.at(x);
      assertThat(posterior.mean()).isCloseTo(mean, within(1e-9));
      assertThat(posterior.deviation()).isCloseTo(Math.sqrt(variance), within(1e-9));
    }
    double likelihood = -1.5 * Math.log(2 * Math.PI) - 0.5 * Math.log(determinant(covariance));
    for (int i = 0; i < 3; i++) {
      likelihood -= 0.5 * VALUES[i] * alpha[i];
    }
    assertThat(process.logLikelihood()).isCloseTo(likelihood, within(1e-9));
  }

  @Property(tries = 30)
  void gradientIsThatOfTheLikelihood(@ForAll long seed) {
    int n = 12;
    double[][] points = new double[n][3];
    double[] values = new double[n];
    double[] logs = new double[5];
    for (int i = 0; i < n; i++) {
      values[i] = Philox.normal(seed, 1, i);
      for (int k = 0; k < 3; k++) {
        points[i][k] = Philox.uniform(seed, 2 + k, i);
      }
    }
    for (int k = 0; k < 5; k++) {
      logs[k] = 0.5 * Philox.normal(seed, 9, k) - (k == 4 ? 2 : 0);
    }
    double[] gradient =
        new GaussianProcess(Kernel.ofLogarithms(logs), points, values).logLikelihoodGradient();
    for (int k = 0; k < 5; k++) {
      double[] ends = new double[2];
      for (int end = 0; end < 2; end++) {
        double[] moved = logs.clone();
        moved[k] += end == 0 ? -1e-5 : 1e-5;
        ends[end] = new GaussianProcess(Kernel.ofLogarithms(moved), points, values).logLikelihood();
      }
      assertThat(gradient[k]).isCloseTo((ends[1] - ends[0]) / 2e-5, within(1e-5));
    }
  }

  @Test
  void equalPointsWithoutNoiseDoNotBreakIt() {
    double[][] twice = {{0.5, 0.5}, {0.5, 0.5}};
    GaussianProcess process =
        new GaussianProcess(new Kernel(new double[] {1, 1}, 1, 0), twice, new double[] {1, 1});
    assertThat(process.at(twice[0]).mean()).isCloseTo(1, within(1e-4));
    assertThat(process.at(twice[0]).deviation()).isCloseTo(0, within(1e-4));
  }

  /** 150 values with noise of variance 0.09 on a function that one dimension decides. */
  @Test
  void fitFindsTheNoiseAndTheDimensionThatMatters() {
    int n = 150;
    double[][] points = new double[n][2];
    double[] values = new double[n];
    for (int i = 0; i < n; i++) {
      points[i][0] = Philox.uniform(4, 1, i);
      points[i][1] = Philox.uniform(4, 2, i);
      values[i] = 1.3 * Math.sin(6 * points[i][0]) + 0.3 * Philox.normal(4, 3, i);
    }
    double[] start = new Kernel(new double[] {0.7, 0.7}, 1, 0.1).logarithms();
    Kernel kernel = Kernel.ofLogarithms(BayesianOptimisation.fit(points, values, start, 60));
    // The sample variance of 150 normals is within 35 % of the true one at three deviations.
    assertThat(kernel.noise()).isBetween(0.09 * 0.65, 0.09 * 1.35);
    assertThat(kernel.lengths()[1]).isGreaterThan(2 * kernel.lengths()[0]);
    GaussianProcess process = new GaussianProcess(kernel, points, values);
    assertThat(process.at(new double[] {0.3, 0.5}).mean())
        .isCloseTo(1.3 * Math.sin(1.8), within(0.2));
  }
}
