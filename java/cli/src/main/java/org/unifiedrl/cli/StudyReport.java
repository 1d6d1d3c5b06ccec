package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.study.Cell;
import org.unifiedrl.mtf.study.Comparison;
import org.unifiedrl.mtf.study.SeedSummary;

/**
 * What an experiment leaves to read: {@code report.md}, {@code results.json}, {@code results.csv}
 * (a line for each world, data, method and metric), {@code seeds.csv} (a line for each seed), and
 * charts.
 */
final class StudyReport {

  private final Path folder;
  private final ObjectNode header;
  private final Comparison comparison;
  private final Map<String, ObjectNode> worlds;
  private final List<StudyPlan.Chosen> chosen;

  /**
   * A report.
   *
   * @param folder where it goes
   * @param header what was run, where, and of what source
   * @param comparison the results
   * @param worlds what is known of each world: its {@code settings}, and its {@code headroom} where
   *     it was measured
   * @param chosen settings that were tuned, if any were
   */
  StudyReport(
      Path folder,
      ObjectNode header,
      Comparison comparison,
      Map<String, ObjectNode> worlds,
      List<StudyPlan.Chosen> chosen) {
    this.folder = folder;
    this.header = header;
    this.comparison = comparison;
    this.worlds = worlds;
    this.chosen = chosen;
  }

  /** Writes the tables. */
  void write() {
    Json.writeText(folder.resolve("report.md"), markdown());
    Json.write(folder.resolve("results.json"), json());
    Json.writeText(folder.resolve("results.csv"), csv());
    Json.writeText(folder.resolve("seeds.csv"), seedsCsv());
  }

  /** Draws lifts by method for each world, and the curves that are asked for. */
  void draw(List<StudyDefinition.Chart> charts) {
    for (String world : comparison.worlds()) {
      List<Comparison.Row> rows = comparison.rows(world);
      Map<String, Interval> uvc = new LinkedHashMap<>();
      for (Comparison.Row row : rows) {
        if (!row.is(comparison.reference())) {
          uvc.put(label(row), interval(row, Comparison.UVC_LIFT));
        }
      }
      Charts.forest(
          folder.resolve("uvc-" + world + ".png"),
          header.path("name").asText() + ", " + world,
          "lift in valid consumptions over " + comparison.reference() + ", %, 95 % interval",
          uvc);
      for (StudyDefinition.Chart chart : charts) {
        Charts.curves(
            folder.resolve("uvc-" + world + "-by-" + key(chart.x()) + ".png"),
            header.path("name").asText() + ", " + world,
            chart.x(),
            "lift in valid consumptions over " + comparison.reference() + ", %",
            chart.logarithmic(),
            series(rows, chart));
      }
    }
  }

  /** Points of a chart by the name of their curve, ascending in x. */
  private static Map<String, Map<Double, Interval>> series(
      List<Comparison.Row> rows, StudyDefinition.Chart chart) {
    Map<String, Map<Double, Interval>> series = new LinkedHashMap<>();
    for (Comparison.Row row : rows) {
      Cell cell = row.cell();
      Configuration settings = Configuration.of(cell.config());
      boolean drawn = chart.methods() == null || chart.methods().contains(cell.method());
      if (!drawn || cell.data().equals(Cell.NO_DATA)) {
        continue;
      }
      String curve =
          switch (chart.by()) {
            case "data" -> cell.data();
            case "method" -> cell.method();
            default -> key(chart.by()) + " " + settings.value(chart.by()).asText();
          };
      series
          .computeIfAbsent(curve, any -> new TreeMap<>())
          .put(settings.value(chart.x()).asDouble(), interval(row, Comparison.UVC_LIFT));
    }
    return series;
  }

  private static String key(String path) {
    return path.substring(path.lastIndexOf('.') + 1);
  }

  /** Over seeds; of a single seed, over its users. */
  private static Interval interval(Comparison.Row row, String metric) {
    SeedSummary summary = row.metrics().get(metric);
    if (summary.seeds() > 1) {
      return new Interval(summary.mean(), summary.low(), summary.high());
    }
    Comparison.SeedLift only = row.seeds().get(0);
    return metric.equals(Comparison.UVC_LIFT) ? only.uvc() : only.udt();
  }

  private static String label(Comparison.Row row) {
    String data = row.cell().data();
    return row.cell().method() + (data.equals(Cell.NO_DATA) ? "" : " on " + data);
  }

  String markdown() {
    StringBuilder text = new StringBuilder();
    text.append("# ").append(header.path("name").asText());
    text.append(": ").append(header.path("title").asText()).append("\n\n");
    text.append(header.path("question").asText()).append("\n\n");
    text.append("```\n").append(header.path("command").asText()).append("\n```\n\n");
    text.append(
        String.format(
            "%s, %s, %s, %s. Seeds %s. Lifts are relative to `%s` on the same users with the same"
                + " luck, in percent: %s. No row is left out.%n%n",
            header.path("machine").asText(),
            counted("back end", header.path("backends")),
            counted("version", header.path("programs")),
            header.path("date").asText(),
            header.path("seeds"),
            comparison.reference(),
            header.path("seeds").size() > 1
                ? "mean ± standard deviation over seeds, the mean's 95 % interval by Student's t,"
                    + " and the p value by Holm over the rows of the table"
                : "of one seed, with a 95 % interval by paired bootstrap over its users, which says"
                    + " how sure its policy is better, not how sure the method is"));
    text.append("| world | settings | best constant over equal weights, UVC % |");
    text.append(
        " headroom: action oracle over best constant, UVC % |\n| --- | --- | --- | --- |\n");
    worlds.forEach(
        (name, world) -> {
          JsonNode headroom = world.path("headroom");
          text.append("| ").append(name).append(" | ").append(settings(world.path("settings")));
          text.append(" | ").append(interval(headroom.path("constant_over_equal")));
          text.append(" | ").append(interval(headroom.path("oracle_over_constant")));
          text.append(" |\n");
        });
    for (String world : comparison.worlds()) {
      text.append("\n## ").append(world).append("\n\n");
      text.append(
          "| method | data | UVC | UVC lift, % | p | UDT | UDT lift, % | p | return lift, % | NCIS reward |");
      text.append(" MTF-GAUC | UVC while exploring, % | requests | steps | training, s |\n");
      text.append("| --- ".repeat(15)).append("|\n");
      for (Comparison.Row row : comparison.rows(world)) {
        Map<String, SeedSummary> m = row.metrics();
        text.append("| ").append(row.cell().method()).append(" | ").append(row.cell().data());
        text.append(" | ").append(number(m.get(Comparison.UVC), "%.2f"));
        lift(text, row, Comparison.UVC_LIFT);
        text.append(" | ").append(number(m.get(Comparison.UDT), "%.1f"));
        lift(text, row, Comparison.UDT_LIFT);
        text.append(" | ").append(row.is(comparison.reference()) ? "" : returns(row));
        text.append(" | ").append(spread(m.get("ncis"), "%.2f"));
        text.append(" | ").append(spread(m.get("gauc"), "%.4f"));
        text.append(" | ").append(number(m.get("explored_uvc_lift"), "%+.2f", ""));
        text.append(" | ").append(number(m.get("requests"), "%,.0f"));
        text.append(" | ").append(number(m.get("steps"), "%,.0f"));
        text.append(" | ").append(number(m.get("train_seconds"), "%.1f")).append(" |\n");
      }
    }
    JsonNode tuned = header.path("tuned");
    if (tuned.isObject()) {
      text.append("\n## Tuned settings\n\nOver all others; methods that are not here were not");
      text.append(" tuned.\n\n| method | data | settings |\n| --- | --- | --- |\n");
      for (Map.Entry<String, JsonNode> method : tuned.properties()) {
        for (Map.Entry<String, JsonNode> kind : method.getValue().properties()) {
          text.append("| ").append(method.getKey()).append(" | ").append(kind.getKey());
          text.append(" | ").append(settings(kind.getValue())).append(" |\n");
        }
      }
    }
    if (!chosen.isEmpty()) {
      text.append("\n## What tuning chose\n\nWorth on the tuning seeds and validation users, by");
      text.append(" which the best of many was chosen: optimistic.\n\n");
      text.append(
          "| method | data | tuner | worth | settings |\n| --- | --- | --- | --- | --- |\n");
      for (StudyPlan.Chosen one : chosen) {
        text.append(
            String.format(
                Locale.ROOT,
                "| %s | %s | %s | %.3f | %s |%n",
                one.method(),
                one.data(),
                one.tuner().name().toLowerCase(Locale.ROOT),
                one.result().value(),
                settings(Json.MAPPER.valueToTree(one.result().settings()))));
      }
    }
    text.append("\n`results.csv` has every metric of every row; `seeds.csv` has each seed's lifts");
    text.append(" with intervals over its users; `cells` has each run.\n");
    return text.toString();
  }

  /** What all cells have in common, or how many have which. */
  private static String counted(String what, JsonNode counts) {
    List<String> names = new ArrayList<>();
    counts
        .properties()
        .forEach(
            entry ->
                names.add(
                    counts.size() == 1
                        ? entry.getKey()
                        : entry.getKey() + " (" + entry.getValue() + " cells)"));
    return names.isEmpty() ? "" : what + " " + String.join(" and ", names);
  }

  private void lift(StringBuilder text, Comparison.Row row, String metric) {
    if (row.is(comparison.reference())) {
      text.append(" | reference |");
      return;
    }
    SeedSummary lift = row.metrics().get(metric);
    Interval interval = interval(row, metric);
    text.append(
        lift.seeds() > 1
            ? String.format(Locale.ROOT, " | %+.2f ± %.2f ", lift.mean(), lift.deviation())
            : String.format(Locale.ROOT, " | %+.2f ", lift.mean()));
    text.append(String.format(Locale.ROOT, "[%+.2f, %+.2f]", interval.low(), interval.high()));
    double p = row.corrected().getOrDefault(metric, Double.NaN);
    text.append(" | ").append(Double.isNaN(p) ? "" : String.format(Locale.ROOT, "%.2g", p));
  }

  private static String returns(Comparison.Row row) {
    SeedSummary lift = row.metrics().get(Comparison.RETURN_LIFT);
    return lift.seeds() > 1
        ? String.format(
            Locale.ROOT,
            "%+.2f ± %.2f [%+.2f, %+.2f]",
            lift.mean(),
            lift.deviation(),
            lift.low(),
            lift.high())
        : number(lift, "%+.2f", "");
  }

  private static String number(SeedSummary summary, String format) {
    return number(summary, format, "refused");
  }

  private static String number(SeedSummary summary, String format, String none) {
    return summary.seeds() == 0 ? none : String.format(Locale.ROOT, format, summary.mean());
  }

  private static String spread(SeedSummary summary, String format) {
    return summary.seeds() < 2
        ? number(summary, format)
        : String.format(Locale.ROOT, format + " ± " + format, summary.mean(), summary.deviation());
  }

  private static String interval(JsonNode node) {
    return node.isMissingNode()
        ? "not measured"
        : String.format(
            Locale.ROOT,
            "%+.2f [%+.2f, %+.2f]",
            node.path("mean").asDouble(),
            node.path("low").asDouble(),
            node.path("high").asDouble());
  }

  private static String settings(JsonNode settings) {
    List<String> texts = new ArrayList<>();
    settings
        .properties()
        .forEach(entry -> texts.add("`" + entry.getKey() + "=" + entry.getValue() + "`"));
    return texts.isEmpty() ? "the defaults" : String.join(", ", texts);
  }

  ObjectNode json() {
    ObjectNode result = header.deepCopy();
    result.put("reference", comparison.reference());
    ObjectNode described = result.putObject("worlds");
    worlds.forEach(described::set);
    ArrayNode choices = result.putArray("chosen");
    for (StudyPlan.Chosen one : chosen) {
      ObjectNode node = choices.addObject();
      node.put("method", one.method());
      node.put("data", one.data());
      node.put("tuner", one.tuner().name().toLowerCase(Locale.ROOT));
      Json.put(node, "value", one.result().value());
      node.set("settings", Json.MAPPER.valueToTree(one.result().settings()));
      node.put("trials", one.result().trials().size());
    }
    ArrayNode rows = result.putArray("rows");
    for (Comparison.Row row : comparison.rows()) {
      ObjectNode node = rows.addObject();
      node.put("world", row.cell().world());
      node.put("data", row.cell().data());
      node.put("method", row.cell().method());
      ObjectNode metrics = node.putObject("metrics");
      row.metrics()
          .forEach(
              (name, summary) -> {
                ObjectNode metric = metrics.putObject(name);
                values(row, name).forEach((key, value) -> Json.put(metric, key, value));
                metric.put("seeds", summary.seeds());
              });
      ArrayNode seeds = node.putArray("seeds");
      for (Comparison.SeedLift seed : row.seeds()) {
        ObjectNode one = seeds.addObject();
        one.put("seed", seed.seed());
        one.set(Comparison.UVC_LIFT, Results.interval(seed.uvc()));
        one.set(Comparison.UDT_LIFT, Results.interval(seed.udt()));
      }
    }
    return result;
  }

  private static Map<String, Double> values(Comparison.Row row, String metric) {
    SeedSummary summary = row.metrics().get(metric);
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("mean", summary.mean());
    values.put("deviation", summary.deviation());
    values.put("low", summary.low());
    values.put("high", summary.high());
    if (row.corrected().containsKey(metric)) {
      values.put("p", summary.p());
      values.put("p_holm", row.corrected().get(metric));
    }
    return values;
  }

  String csv() {
    List<String> names = List.of("mean", "deviation", "low", "high", "p", "p_holm");
    StringBuilder text = new StringBuilder("world,data,method,metric,seeds,");
    text.append(String.join(",", names)).append('\n');
    for (Comparison.Row row : comparison.rows()) {
      row.metrics()
          .forEach(
              (metric, summary) -> {
                text.append(key(row)).append(metric).append(',').append(summary.seeds());
                Map<String, Double> values = values(row, metric);
                names.forEach(name -> text.append(',').append(field(values.get(name))));
                text.append('\n');
              });
    }
    return text.toString();
  }

  String seedsCsv() {
    StringBuilder text =
        new StringBuilder(
            "world,data,method,seed,uvc_lift,uvc_low,uvc_high,udt_lift,udt_low,udt_high\n");
    for (Comparison.Row row : comparison.rows()) {
      for (Comparison.SeedLift seed : row.seeds()) {
        text.append(key(row)).append(seed.seed());
        for (Interval lift : List.of(seed.uvc(), seed.udt())) {
          text.append(',').append(field(lift.mean()));
          text.append(',').append(field(lift.low()));
          text.append(',').append(field(lift.high()));
        }
        text.append('\n');
      }
    }
    return text.toString();
  }

  private static String key(Comparison.Row row) {
    Cell cell = row.cell();
    return field(cell.world()) + "," + field(cell.data()) + "," + field(cell.method()) + ",";
  }

  /** Empty for what is not known; quoted where a name needs it (RFC 4180). */
  private static String field(Object value) {
    String text =
        Optional.ofNullable(value)
            .filter(v -> !(v instanceof Double d) || Double.isFinite(d))
            .map(Object::toString)
            .orElse("");
    return text.matches("[^\",\n\r]*") ? text : "\"" + text.replace("\"", "\"\"") + "\"";
  }
}
