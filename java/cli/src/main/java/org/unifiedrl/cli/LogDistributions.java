package org.unifiedrl.cli;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.unifiedrl.data.LogImport;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * How a log's values are distributed: state features, rewards, where actions lie in their boxes,
 * session lengths. Means and extremes are of all rows; quantiles and histograms of rows at even
 * distances, {@value #SAMPLE} at most.
 */
final class LogDistributions {

  private static final int SAMPLE = 50_000;
  private static final int BINS = 20;
  private static final int LONGEST = 50;
  private static final String BARS = " .:-=+*#%@";

  /** One value of a row. */
  private record Distribution(
      String name,
      double mean,
      double deviation,
      double least,
      double low,
      double median,
      double high,
      double largest,
      double zeros,
      double[] histogram) {}

  private final Replay replay;
  private final Map<String, List<Distribution>> columns = new TreeMap<>();
  private final List<String> order = new ArrayList<>();
  private final double[] inside; // share of actions within their box, by dimension
  private final double[][] places; // share of those by tenths of the box
  private final double[] sessionLengths; // share of sessions of so many requests; the last: or more
  private final JsonNode missing;
  private final long rows;

  /** Reads a log; the replay must stay open. */
  LogDistributions(Replay replay) {
    this.replay = replay;
    this.rows = replay.rows();
    ReplaySchema schema = replay.schema();
    missing = metadata(LogImport.MISSING_VALUES);
    add(ReplaySchema.STATE, metadata("state_names"));
    add(ReplaySchema.REWARD, metadata("reward_groups"));
    add(ReplaySchema.ACTION, null);
    boolean boxed = schema.find(ReplaySchema.BOX_LOW) >= 0 && schema.find(ReplaySchema.ACTION) >= 0;
    int actions = boxed ? width(ReplaySchema.ACTION) : 0;
    inside = new double[actions];
    places = new double[actions][10];
    if (boxed) {
      readBoxes();
    }
    sessionLengths = readSessions();
  }

  private JsonNode metadata(String key) {
    try {
      return Json.MAPPER.readTree(replay.schema().metadata().getOrDefault(key, "null"));
    } catch (JacksonException e) {
      return Json.MAPPER.nullNode(); // a text of another writer's
    }
  }

  private int width(String column) {
    ReplaySchema schema = replay.schema();
    return schema.columns().get(schema.columnIndex(column)).width();
  }

  private void add(String column, JsonNode names) {
    if (replay.schema().find(column) < 0) {
      return;
    }
    int width = width(column);
    int index = replay.schema().columnIndex(column);
    float[] values = new float[width];
    double[] mean = new double[width];
    double[] squares = new double[width];
    double[] least = filled(width, Double.POSITIVE_INFINITY);
    double[] largest = filled(width, Double.NEGATIVE_INFINITY);
    long[] zeros = new long[width];
    int sampled = (int) Math.min(rows, SAMPLE);
    float[][] sample = new float[width][sampled];
    for (long row = 0, next = 0; row < rows; row++) {
      replay.get(row, index, values, 0);
      for (int k = 0; k < width; k++) {
        double delta = values[k] - mean[k]; // Welford's update
        mean[k] += delta / (row + 1);
        squares[k] += delta * (values[k] - mean[k]);
        least[k] = Math.min(least[k], values[k]);
        largest[k] = Math.max(largest[k], values[k]);
        zeros[k] += values[k] == 0 ? 1 : 0;
      }
      if (next < sampled && row == next * rows / sampled) {
        for (int k = 0; k < width; k++) {
          sample[k][(int) next] = values[k];
        }
        next++;
      }
    }
    List<Distribution> found = new ArrayList<>();
    for (int k = 0; k < width; k++) {
      Arrays.sort(sample[k]);
      String name =
          names != null && names.size() == width ? names.get(k).asText() : column + "[" + k + "]";
      found.add(
          new Distribution(
              name,
              mean[k],
              Math.sqrt(squares[k] / rows),
              least[k],
              quantile(sample[k], 0.01),
              quantile(sample[k], 0.5),
              quantile(sample[k], 0.99),
              largest[k],
              (double) zeros[k] / rows,
              histogram(sample[k])));
    }
    columns.put(column, found);
    order.add(column);
  }

  private static double[] filled(int length, double value) {
    double[] values = new double[length];
    Arrays.fill(values, value);
    return values;
  }

  private static double quantile(float[] sorted, double share) {
    return sorted[(int) Math.min(sorted.length - 1L, (long) (share * sorted.length))];
  }

  /** Shares between the 1 % and the 99 % quantile, so that one outlier does not hide the rest. */
  private static double[] histogram(float[] sorted) {
    double low = quantile(sorted, 0.01);
    double high = quantile(sorted, 0.99);
    double[] shares = new double[BINS];
    for (float value : sorted) {
      double place = high > low ? (value - low) / (high - low) * BINS : 0;
      shares[(int) Math.max(0, Math.min(BINS - 1, place))] += 1.0 / sorted.length;
    }
    return shares;
  }

  private void readBoxes() {
    ReplaySchema schema = replay.schema();
    int actions = inside.length;
    float[] action = new float[actions];
    float[] low = new float[actions];
    float[] high = new float[actions];
    // As the engine has it: float32 numbers that were added up.
    double slack = 1e-6 * Math.max(Math.abs(schema.actionLow()), Math.abs(schema.actionHigh()));
    for (long row = 0; row < rows; row++) {
      replay.get(row, schema.columnIndex(ReplaySchema.ACTION), action, 0);
      replay.get(row, schema.columnIndex(ReplaySchema.BOX_LOW), low, 0);
      replay.get(row, schema.columnIndex(ReplaySchema.BOX_HIGH), high, 0);
      for (int k = 0; k < actions; k++) {
        if (action[k] >= low[k] - slack && action[k] <= high[k] + slack) {
          inside[k] += 1.0 / rows;
          double place =
              high[k] > low[k] ? (action[k] - low[k]) / ((double) high[k] - low[k]) : 0.5;
          places[k][(int) Math.max(0, Math.min(9, place * 10))]++;
        }
      }
    }
    for (double[] shares : places) {
      double sum = Arrays.stream(shares).sum();
      for (int i = 0; i < shares.length; i++) {
        shares[i] = sum > 0 ? shares[i] / sum : 0;
      }
    }
  }

  private double[] readSessions() {
    double[] shares = new double[LONGEST];
    long sessions = 0;
    int length = 0;
    for (long row = 0; row < rows; row++) {
      length++;
      if (replay.isLast(row)) {
        shares[Math.min(length, LONGEST) - 1]++;
        sessions++;
        length = 0;
      }
    }
    for (int i = 0; i < LONGEST; i++) {
      shares[i] /= Math.max(1, sessions);
    }
    return shares;
  }

  /** A line of characters, darker for more. */
  private static String drawn(double[] shares) {
    double most = Arrays.stream(shares).max().orElse(0);
    StringBuilder text = new StringBuilder("|");
    for (double share : shares) {
      int level = most > 0 ? (int) Math.ceil(share / most * (BARS.length() - 1)) : 0;
      text.append(BARS.charAt(level));
    }
    return text.append('|').toString();
  }

  /** Prints tables with a small histogram in each line. */
  void print(PrintWriter out) {
    for (String column : order) {
      out.printf(
          Locale.ROOT,
          "%n  %-28s %10s %10s %10s %10s %10s %10s %6s %7s  %s%n",
          column,
          "mean",
          "sd",
          "least",
          "median",
          "99 %",
          "largest",
          "zero",
          "missing",
          "1 % to 99 %");
      for (Distribution d : columns.get(column)) {
        out.printf(
            Locale.ROOT,
            "  %-28s %10.4g %10.4g %10.4g %10.4g %10.4g %10.4g %5.1f%% %7s  %s%n",
            d.name(),
            d.mean(),
            d.deviation(),
            d.least(),
            d.median(),
            d.high(),
            d.largest(),
            100 * d.zeros(),
            missingShare(column, d.name()),
            drawn(d.histogram()));
      }
    }
    if (inside.length > 0) {
      out.printf("%n  %-28s %10s  %s%n", "box", "inside", "lower edge to upper edge");
      for (int k = 0; k < inside.length; k++) {
        out.printf(
            Locale.ROOT,
            "  %-28s %9.2f%%  %s%n",
            "action[" + k + "]",
            100 * inside[k],
            drawn(places[k]));
      }
    }
    out.printf("%n  requests per session, 1 to %d or more%n  %s%n", LONGEST, drawn(sessionLengths));
  }

  private String missingShare(String column, String name) {
    if (!column.equals(ReplaySchema.STATE) || !missing.has(name)) {
      return "-";
    }
    // Counted over the whole import, of which this may be a part.
    return String.format(Locale.ROOT, "%,d", missing.get(name).asLong());
  }

  /** The same as JSON. */
  void put(ObjectNode result) {
    ObjectNode node = result.putObject("distributions");
    for (String column : order) {
      ArrayNode list = node.putArray(column);
      for (Distribution d : columns.get(column)) {
        ObjectNode one = list.addObject();
        one.put("name", d.name());
        Json.put(one, "mean", d.mean());
        Json.put(one, "standard_deviation", d.deviation());
        Json.put(one, "least", d.least());
        Json.put(one, "quantile_1", d.low());
        Json.put(one, "median", d.median());
        Json.put(one, "quantile_99", d.high());
        Json.put(one, "largest", d.largest());
        Json.put(one, "zeros", d.zeros());
        if (column.equals(ReplaySchema.STATE) && missing.has(d.name())) {
          one.put("missing", missing.get(d.name()).asLong());
        }
        one.putPOJO("histogram", d.histogram());
      }
    }
    node.putPOJO("inside_box", inside);
    node.putPOJO("place_in_box", places);
    node.putPOJO("session_lengths", sessionLengths);
  }

  /** Draws session lengths, and where actions lie in their boxes. */
  void draw(Path file) {
    Charts.distributions(file, sessionLengths, places);
  }
}
