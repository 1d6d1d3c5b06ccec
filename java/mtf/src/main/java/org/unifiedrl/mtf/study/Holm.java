package org.unifiedrl.mtf.study;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** Holm's step-down correction of p values for the number of tests made (Holm 1979). */
final class Holm {

  private Holm() {}

  /**
   * Corrected p values, in the order of {@code p}: the i-th smallest of n times (n - i), i from 0,
   * at least as large as the one before it, at most 1. Tests without a p value (NaN) stay without
   * and do not count.
   */
  static double[] correct(double[] p) {
    List<Integer> order =
        IntStream.range(0, p.length)
            .filter(i -> !Double.isNaN(p[i]))
            .boxed()
            .sorted(Comparator.comparingDouble(i -> p[i]))
            .toList();
    double[] corrected = p.clone();
    double largest = 0;
    for (int i = 0; i < order.size(); i++) {
      largest = Math.max(largest, Math.min(1, p[order.get(i)] * (order.size() - i)));
      corrected[order.get(i)] = largest;
    }
    return corrected;
  }
}
