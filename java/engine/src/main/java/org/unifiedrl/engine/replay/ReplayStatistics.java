package org.unifiedrl.engine.replay;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.agrona.collections.LongHashSet;

/**
 * What a replay holds, in numbers for people.
 *
 * @param rows requests
 * @param sessions sessions (rows that are the last of one)
 * @param users distinct users
 * @param columns one entry per float column, in schema order
 * @param sessionLength requests per session
 * @param inBoxShare share of rows whose action lies in its box, 0 to 1; NaN without the columns
 */
public record ReplayStatistics(
    long rows,
    long sessions,
    long users,
    List<ColumnStatistics> columns,
    LengthDistribution sessionLength,
    double inBoxShare) {

  /**
   * All values of one column, over rows and width.
   *
   * @param standardDeviation of the population: divided by the number of values
   */
  public record ColumnStatistics(
      String name, int width, double min, double mean, double max, double standardDeviation) {}

  /** Session lengths; a percentile is the smallest length that so many sessions do not exceed. */
  public record LengthDistribution(
      int min, double mean, int median, int percentile90, int percentile99, int max) {}

  /** Reads the whole replay once; one thread. */
  public static ReplayStatistics of(Replay replay) {
    List<ColumnStatistics> columns = new ArrayList<>();
    for (int i = 0; i < replay.schema().columns().size(); i++) {
      columns.add(column(replay, i));
    }
    LongHashSet users = new LongHashSet();
    int[] lengths = new int[1024];
    int sessions = 0;
    int length = 0;
    for (long row = 0; row < replay.rows(); row++) {
      users.add(replay.userId(row));
      length++;
      if (replay.isLast(row)) {
        if (sessions == lengths.length) {
          lengths = Arrays.copyOf(lengths, 2 * sessions);
        }
        lengths[sessions++] = length;
        length = 0;
      }
    }
    return new ReplayStatistics(
        replay.rows(),
        sessions,
        users.size(),
        List.copyOf(columns),
        distribution(Arrays.copyOf(lengths, sessions), replay.rows()),
        inBoxShare(replay));
  }

  private static ColumnStatistics column(Replay replay, int column) {
    ReplaySchema.Column schema = replay.schema().columns().get(column);
    float[] values = new float[schema.width()];
    double min = Double.POSITIVE_INFINITY;
    double max = Double.NEGATIVE_INFINITY;
    double mean = 0;
    double squares = 0;
    long count = 0;
    for (long row = 0; row < replay.rows(); row++) {
      replay.get(row, column, values, 0);
      for (float value : values) {
        // Welford's update: sums of squares would cancel for large means such as times.
        count++;
        double delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
        min = Math.min(min, value);
        max = Math.max(max, value);
      }
    }
    return new ColumnStatistics(
        schema.name(), schema.width(), min, mean, max, Math.sqrt(squares / count));
  }

  private static LengthDistribution distribution(int[] lengths, long rows) {
    Arrays.sort(lengths);
    return new LengthDistribution(
        lengths[0],
        (double) rows / lengths.length,
        percentile(lengths, 50),
        percentile(lengths, 90),
        percentile(lengths, 99),
        lengths[lengths.length - 1]);
  }

  private static int percentile(int[] sorted, int percent) {
    return sorted[(int) (((long) sorted.length * percent + 99) / 100) - 1];
  }

  private static double inBoxShare(Replay replay) {
    ReplaySchema schema = replay.schema();
    int action = schema.find(ReplaySchema.ACTION);
    int low = schema.find(ReplaySchema.BOX_LOW);
    int high = schema.find(ReplaySchema.BOX_HIGH);
    if (action < 0 || low < 0) {
      return Double.NaN;
    }
    int width = schema.columns().get(action).width();
    float[] values = new float[3 * width];
    RowRules rules = new RowRules(schema);
    long inside = 0;
    for (long row = 0; row < replay.rows(); row++) {
      replay.get(row, action, values, 0);
      replay.get(row, low, values, width);
      replay.get(row, high, values, 2 * width);
      boolean in = true;
      for (int i = 0; i < width; i++) {
        in &= rules.inBox(values[i], values[width + i], values[2 * width + i]);
      }
      inside += in ? 1 : 0;
    }
    return (double) inside / replay.rows();
  }
}
