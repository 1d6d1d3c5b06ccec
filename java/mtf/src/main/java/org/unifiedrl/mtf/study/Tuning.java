package org.unifiedrl.mtf.study;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Searches settings by a {@link Tuner}: a trial is a cell for each tuning seed, so that a search
 * that was stopped goes on where it was.
 *
 * @param space what may be chosen
 * @param start the settings as they are without tuning, by key: they, or what is nearest to them in
 *     the space, are one of the first trials
 * @param tuner how
 * @param budget whole trainings, of each seed
 * @param metric what is maximised, a name in {@link Comparison.Row#metrics()}: its mean over seeds
 * @param seed key of the tuner's draws
 */
public record Tuning(
    Space space, Map<String, Object> start, Tuner tuner, int budget, String metric, long seed) {

  /** Copies. */
  public Tuning {
    start = Map.copyOf(start);
  }

  /** Makes the cells of a trial, one for each tuning seed. */
  @FunctionalInterface
  public interface CellMaker {
    /**
     * The cells.
     *
     * @param settings over those of the method
     * @param share of its training steps
     */
    List<Cell> cells(Map<String, Object> settings, double share);
  }

  /** Runs cells and gives their results in the same order. */
  @FunctionalInterface
  public interface Runner {
    /** Runs what is missing. */
    List<CellResult> run(List<Cell> cells);
  }

  /**
   * A trial.
   *
   * @param settings what was tried
   * @param share of the training steps
   * @param value the metric over the seeds; of no seed if a training diverged
   */
  public record Trial(Map<String, Object> settings, double share, SeedSummary value) {}

  /**
   * What a search found.
   *
   * @param settings the best settings
   * @param value what they were worth: optimistic, since the best of many was chosen by it
   * @param trials all trials, in order
   */
  public record Result(Map<String, Object> settings, double value, List<Trial> trials) {}

  /**
   * Searches.
   *
   * @throws IllegalArgumentException if the budget is too small for the tuner
   */
  public Result run(CellMaker maker, Runner runner) {
    if (budget < tuner.least(space.dimensions().size())) {
      throw new IllegalArgumentException(
          "a budget of "
              + budget
              + " trainings is too small: tuner "
              + tuner.name().toLowerCase(Locale.ROOT)
              + " needs "
              + tuner.least(space.dimensions().size())
              + " for "
              + space.dimensions().size()
              + " settings");
    }
    List<Trial> trials = new ArrayList<>();
    Tuner.Choice choice =
        tuner.tune(
            space.box(),
            space.point(start),
            budget,
            seed,
            (points, share) -> values(points, share, maker, runner, trials));
    return new Result(space.settings(choice.point()), choice.value(), trials);
  }

  private double[] values(
      List<float[]> points, double share, CellMaker maker, Runner runner, List<Trial> trials) {
    // Points may lie on the same settings; those are run once.
    Map<String, Cell> cells = new LinkedHashMap<>();
    List<List<Cell>> ofPoint = new ArrayList<>();
    for (float[] point : points) {
      List<Cell> own = maker.cells(space.settings(point), share);
      own.forEach(cell -> cells.putIfAbsent(cell.fileName(), cell));
      ofPoint.add(own);
    }
    List<CellResult> results = runner.run(List.copyOf(cells.values()));
    Map<String, CellResult> byName = new LinkedHashMap<>();
    int at = 0;
    for (String name : cells.keySet()) {
      byName.put(name, results.get(at++));
    }
    double[] values = new double[points.size()];
    for (int i = 0; i < values.length; i++) {
      double[] seeds =
          ofPoint.get(i).stream()
              .mapToDouble(cell -> Comparison.metric(metric, byName.get(cell.fileName())))
              .toArray();
      SeedSummary summary = SeedSummary.of(seeds);
      boolean diverged =
          ofPoint.get(i).stream()
              .anyMatch(cell -> !byName.get(cell.fileName()).failure().isEmpty());
      if (summary.seeds() < seeds.length && !diverged) {
        throw new IllegalArgumentException(
            "metric "
                + metric
                + " is not known of every trial ("
                + Arrays.toString(seeds)
                + "): tune by another one");
      }
      values[i] = diverged ? Double.NaN : summary.mean();
      trials.add(
          new Trial(space.settings(points.get(i)), share, diverged ? SeedSummary.of() : summary));
    }
    return withoutUnknown(values, trials);
  }

  /** Trainings that diverged are worth a little less than the worst one that did not. */
  private static double[] withoutUnknown(double[] values, List<Trial> trials) {
    double worst =
        trials.stream()
            .mapToDouble(trial -> trial.value().mean())
            .filter(Double::isFinite)
            .min()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "every training diverged that was tried: search lower learning rates"));
    return Arrays.stream(values).map(v -> Double.isNaN(v) ? Math.nextDown(worst) : v).toArray();
  }
}
