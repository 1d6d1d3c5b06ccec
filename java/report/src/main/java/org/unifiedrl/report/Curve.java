package org.unifiedrl.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/**
 * A number over the steps of a group's runs, at the steps that all of those tell it that have
 * lines.
 *
 * @param steps gradient steps, rising
 * @param mean over the seeds
 * @param low least seed, or lower end of what is shown around the mean
 * @param high alike
 */
record Curve(double[] steps, double[] mean, double[] low, double[] high) {

  /** More points than a chart's width can show. */
  private static final int MOST = 160;

  /** Mean over seeds, from the least to the largest seed; empty if a run does not tell it. */
  static Curve of(Group group, Function<Run, List<Line>> lines, ToDoubleFunction<Line> value) {
    return of(group, lines, value, value, value);
  }

  /** Mean over seeds of a value and of a lower and an upper one. */
  static Curve of(
      Group group,
      Function<Run, List<Line>> lines,
      ToDoubleFunction<Line> value,
      ToDoubleFunction<Line> lower,
      ToDoubleFunction<Line> upper) {
    // A run of a test alone, or one that has just begun, has no curves.
    List<Run> telling = group.runs().stream().filter(run -> !lines.apply(run).isEmpty()).toList();
    Set<Long> common = null;
    for (Run run : telling) {
      Set<Long> own = new LinkedHashSet<>();
      for (Line line : lines.apply(run)) {
        if (Double.isFinite(value.applyAsDouble(line))) {
          own.add(line.step());
        }
      }
      if (common == null) {
        common = own;
      } else {
        common.retainAll(own);
      }
    }
    List<Long> steps = new ArrayList<>(common == null ? Set.of() : common);
    double[] at = steps.stream().mapToDouble(Long::doubleValue).toArray();
    double[] mean = new double[at.length];
    double[] low = new double[at.length];
    double[] high = new double[at.length];
    boolean seeds = value == lower && value == upper;
    Arrays.fill(low, seeds ? Double.POSITIVE_INFINITY : 0);
    Arrays.fill(high, seeds ? Double.NEGATIVE_INFINITY : 0);
    for (Run run : telling) {
      int i = 0;
      for (Line line : lines.apply(run)) {
        if (i == at.length || line.step() != steps.get(i)) {
          continue;
        }
        double here = value.applyAsDouble(line);
        mean[i] += here / telling.size();
        if (seeds) {
          low[i] = Math.min(low[i], here);
          high[i] = Math.max(high[i], here);
        } else {
          low[i] += lower.applyAsDouble(line) / telling.size();
          high[i] += upper.applyAsDouble(line) / telling.size();
        }
        i++;
      }
    }
    return new Curve(at, mean, low, high).thinned();
  }

  boolean isEmpty() {
    return steps.length == 0;
  }

  int size() {
    return steps.length;
  }

  double last() {
    return mean[size() - 1];
  }

  /** Neighbours averaged where there are too many points; the band holds all of theirs. */
  private Curve thinned() {
    if (size() <= MOST) {
      return this;
    }
    int every = (size() + MOST - 1) / MOST;
    int count = (size() + every - 1) / every;
    Curve thin =
        new Curve(new double[count], new double[count], new double[count], new double[count]);
    for (int i = 0; i < count; i++) {
      int from = i * every;
      int to = Math.min(size(), from + every);
      thin.steps[i] = steps[to - 1];
      thin.low[i] = low[from];
      thin.high[i] = high[from];
      for (int j = from; j < to; j++) {
        thin.mean[i] += mean[j] / (to - from);
        thin.low[i] = Math.min(thin.low[i], low[j]);
        thin.high[i] = Math.max(thin.high[i], high[j]);
      }
    }
    return thin;
  }
}
