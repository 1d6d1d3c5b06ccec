package org.unifiedrl.mtf.study;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;

/**
 * What cells say together. Each is compared with the reference method's cell of the same world and
 * seed, user by user under common random numbers; lifts of seeds, which met other people and other
 * logs, are then independent, and their mean is tested by Student's t distribution. p values are
 * corrected by Holm over all rows of a world.
 *
 * @param reference method that lifts are relative to
 * @param rows one for each world, data and method, in the order of the cells
 */
public record Comparison(String reference, List<Row> rows) {

  /** Valid consumptions per user and day. */
  public static final String UVC = "uvc";

  /** Watch time in seconds per user and day. */
  public static final String UDT = "udt";

  /** Lift of {@link #UVC} over the reference, percent. */
  public static final String UVC_LIFT = "uvc_lift";

  /** Lift of {@link #UDT} over the reference, percent. */
  public static final String UDT_LIFT = "udt_lift";

  /** Lift of the mean return, the sum of all rewards, over the reference, percent; not tested. */
  public static final String RETURN_LIFT = "return_lift";

  private static final List<String> TESTED = List.of(UVC_LIFT, UDT_LIFT);

  /** What is read off one cell alone. */
  private static final Map<String, ToDoubleFunction<CellResult>> ALONE = new LinkedHashMap<>();

  static {
    ALONE.put(UVC, result -> mean(result.served().uvc()));
    ALONE.put(UDT, result -> mean(result.served().udt()));
    ALONE.put("session_length", result -> result.served().sessionLength());
    ALONE.put("returns", result -> result.served().returns());
    ALONE.put("ncis", result -> result.offline().ncis());
    ALONE.put("ess", result -> result.offline().ess());
    ALONE.put("gauc", result -> result.offline().gauc());
    ALONE.put("explored_uvc_lift", result -> result.explored().uvcLift());
    ALONE.put("explored_near_share", result -> result.explored().nearShare());
    ALONE.put("requests", result -> result.cost().requests());
    ALONE.put("steps", result -> result.cost().steps());
    ALONE.put(
        "rounds_served",
        result ->
            result.rounds().isEmpty()
                ? Double.NaN
                : result.rounds().stream().filter(CellResult.Round::served).count());
    for (String stage : List.of("baseline", "explore", "train", "gate", "evaluate", "serve")) {
      ALONE.put(stage + "_seconds", result -> result.cost().seconds().getOrDefault(stage, 0.0));
    }
  }

  /**
   * All seeds of one method on one kind of data.
   *
   * @param cell one of the cells, whose names and settings (but for the seed) are those of all
   * @param metrics by name
   * @param corrected p values of the lifts after Holm's correction, by name of the metric
   * @param seeds what each seed says by itself
   */
  public record Row(
      Cell cell,
      Map<String, SeedSummary> metrics,
      Map<String, Double> corrected,
      List<SeedLift> seeds) {

    /** Whether it is the method that the others are compared with. */
    public boolean is(String method) {
      return cell.method().equals(method);
    }
  }

  /**
   * Lifts over the reference in one seed.
   *
   * @param seed the seed
   * @param uvc lift in valid consumptions, percent, with its interval over users
   * @param udt lift in watch time
   * @param returns lift in the mean return
   */
  public record SeedLift(long seed, Interval uvc, Interval udt, double returns) {}

  /**
   * Compares.
   *
   * @param cells all cells
   * @param results their results, in the same order
   * @param reference a method that has a cell in each world and seed, on the same data or without
   * @param resamples bootstrap resamples
   * @throws IllegalArgumentException if there is no cell of the reference for one of the cells
   */
  public static Comparison of(
      List<Cell> cells, List<CellResult> results, String reference, int resamples) {
    Map<List<String>, List<Integer>> groups = new LinkedHashMap<>();
    Map<List<String>, Integer> references = new LinkedHashMap<>();
    for (int i = 0; i < cells.size(); i++) {
      Cell cell = cells.get(i);
      groups
          .computeIfAbsent(
              List.of(cell.world(), cell.data(), cell.method()), key -> new ArrayList<>())
          .add(i);
      if (cell.method().equals(reference)) {
        references.put(List.of(cell.world(), cell.data(), "" + cell.seed()), i);
      }
    }
    List<Row> rows = new ArrayList<>();
    for (List<Integer> group : groups.values()) {
      List<SeedLift> lifts = new ArrayList<>();
      for (int i : group) {
        Cell cell = cells.get(i);
        Integer other = references.get(List.of(cell.world(), cell.data(), "" + cell.seed()));
        if (other == null) {
          other = references.get(List.of(cell.world(), Cell.NO_DATA, "" + cell.seed()));
        }
        if (other == null) {
          throw new IllegalArgumentException(
              "there is no cell of the reference '" + reference + "' for " + cell.fileName());
        }
        PairedBootstrap bootstrap = new PairedBootstrap(cell.seed(), resamples);
        CellResult.Served before = results.get(other).served();
        CellResult.Served after = results.get(i).served();
        lifts.add(
            new SeedLift(
                cell.seed(),
                bootstrap.lift(doubles(before.uvc()), doubles(after.uvc())),
                bootstrap.lift(doubles(before.udt()), doubles(after.udt())),
                100 * (after.returns() / before.returns() - 1)));
      }
      Map<String, SeedSummary> metrics = new LinkedHashMap<>();
      metrics.put(UVC_LIFT, summary(lifts, lift -> lift.uvc().mean()));
      metrics.put(UDT_LIFT, summary(lifts, lift -> lift.udt().mean()));
      metrics.put(RETURN_LIFT, summary(lifts, SeedLift::returns));
      List<CellResult> own = group.stream().map(results::get).toList();
      ALONE.forEach((name, metric) -> metrics.put(name, summary(own, metric)));
      rows.add(new Row(cells.get(group.get(0)), metrics, new LinkedHashMap<>(), lifts));
    }
    correct(rows, reference);
    return new Comparison(reference, rows);
  }

  /** Names of what can be read off one cell alone. */
  public static List<String> metrics() {
    return List.copyOf(ALONE.keySet());
  }

  static double metric(String name, CellResult result) {
    return ALONE.get(name).applyAsDouble(result);
  }

  /** Names of the worlds, in the order of the cells. */
  public List<String> worlds() {
    return rows.stream().map(row -> row.cell().world()).distinct().toList();
  }

  /** Rows of one world. */
  public List<Row> rows(String world) {
    return rows.stream().filter(row -> row.cell().world().equals(world)).toList();
  }

  private static void correct(List<Row> rows, String reference) {
    for (String world : rows.stream().map(row -> row.cell().world()).distinct().toList()) {
      List<Row> tested =
          rows.stream()
              .filter(row -> row.cell().world().equals(world) && !row.is(reference))
              .toList();
      for (String metric : TESTED) {
        double[] p = tested.stream().mapToDouble(row -> row.metrics().get(metric).p()).toArray();
        double[] corrected = Holm.correct(p);
        IntStream.range(0, p.length)
            .forEach(i -> tested.get(i).corrected().put(metric, corrected[i]));
      }
    }
  }

  private static <T> SeedSummary summary(List<T> seeds, ToDoubleFunction<T> value) {
    return SeedSummary.of(seeds.stream().mapToDouble(value).toArray());
  }

  private static double mean(float[] values) {
    return Arrays.stream(doubles(values)).average().orElse(Double.NaN);
  }

  private static double[] doubles(float[] values) {
    double[] doubles = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      doubles[i] = values[i];
    }
    return doubles;
  }
}
