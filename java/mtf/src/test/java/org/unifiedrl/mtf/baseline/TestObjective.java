package org.unifiedrl.mtf.baseline;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.ToDoubleFunction;
import org.unifiedrl.engine.Philox;

/** A known function, with noise that a vector and its luck decide, at one request a trial. */
final class TestObjective implements BudgetedSearch.Objective {

  private final ToDoubleFunction<float[]> function;
  private final double noise;
  private final long seed;
  final AtomicLong served = new AtomicLong();

  TestObjective(ToDoubleFunction<float[]> function, double noise, long seed) {
    this.function = function;
    this.noise = noise;
    this.seed = seed;
  }

  /** -SUM_k (k + 1) (x_k - optimum_k)^2. */
  static double quadratic(float[] x, float[] optimum) {
    double sum = 0;
    for (int k = 0; k < x.length; k++) {
      double d = (double) x[k] - optimum[k];
      sum -= (k + 1) * d * d;
    }
    return sum;
  }

  /** Rosenbrock's function, negative: 0 at (1, ..., 1). */
  static double rosenbrock(float[] x) {
    double sum = 0;
    for (int k = 0; k + 1 < x.length; k++) {
      double valley = (double) x[k + 1] - (double) x[k] * x[k];
      sum -= 100 * valley * valley + (1.0 - x[k]) * (1.0 - x[k]);
    }
    return sum;
  }

  double truth(float[] x) {
    return function.applyAsDouble(x);
  }

  @Override
  public double value(float[] vector, long luck, BudgetedSearch.Allowance allowance) {
    if (!allowance.take(1)) {
      return Double.NaN;
    }
    served.incrementAndGet();
    double common = Philox.normal(seed, 1, luck);
    double own = Philox.normal(seed, 2 + Arrays.hashCode(vector), luck);
    return function.applyAsDouble(vector) + noise * (common + own) / Math.sqrt(2);
  }

  /** Searches with so many evaluations, the last round apart. */
  float[] search(Searcher searcher, long evaluations) {
    return BudgetedSearch.search(
            searcher, this, SearchBudget.ofEvaluations(evaluations), BudgetedSearch.Progress.NONE)
        .action();
  }
}
