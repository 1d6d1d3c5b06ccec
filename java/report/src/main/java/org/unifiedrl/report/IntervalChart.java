package org.unifiedrl.report;

import java.util.ArrayList;
import java.util.List;
import org.unifiedrl.mtf.evaluation.Interval;

/** Estimates with intervals, one below the other, each under its own words. */
final class IntervalChart {

  private static final int LABEL = 22;
  private static final int BAR = 16;
  private static final int THIN = 7;
  private static final int BOTTOM = 30;
  private static final double MARGIN = 18;

  /** How far an interval of few seeds may widen the axis beyond what it was formed from. */
  private static final double WIDEST = 1.0;

  /**
   * A row.
   *
   * @param heading words above the row, or none
   * @param group whose it is
   * @param whole the estimate
   * @param parts what it was formed from, drawn thin below it
   */
  private record Row(String heading, Group group, Interval whole, List<Interval> parts) {}

  private final String title;
  private final String unit;
  private final String about;
  private final List<Row> rows = new ArrayList<>();
  private boolean box;

  IntervalChart(String title, String unit, String about) {
    this.title = title;
    this.unit = unit;
    this.about = about;
  }

  /** Positions in the box, whose edges are drawn. */
  IntervalChart inBox() {
    box = true;
    return this;
  }

  IntervalChart add(String heading, Group group, Interval whole, List<Interval> parts) {
    rows.add(new Row(heading, group, whole, parts));
    return this;
  }

  boolean isEmpty() {
    return rows.isEmpty();
  }

  void write(Html html, String type) {
    html.open("figure", "class", type);
    html.element("h3", title);
    html.element("p", unit, "class", "unit");
    drawing(html);
    html.element("figcaption", about);
    table(html);
    html.close("figure");
  }

  /**
   * What the axis holds: 0, all estimates and the intervals of single runs, and of intervals over
   * few seeds only as much as leaves the others readable.
   */
  private double[] range() {
    double low = box ? -1.1 : 0;
    double high = box ? 1.1 : 0;
    for (Row row : rows) {
      List<Interval> all = new ArrayList<>(row.parts);
      if (row.parts.isEmpty()) {
        all.add(row.whole);
      }
      for (Interval one : all) {
        for (double end : new double[] {one.low(), one.mean(), one.high()}) {
          if (Double.isFinite(end)) {
            low = Math.min(low, end);
            high = Math.max(high, end);
          }
        }
      }
    }
    if (low == high) { // nothing but zeros: an axis of some width all the same
      return new double[] {-1, 1};
    }
    double more = WIDEST * (high - low);
    double least = low;
    double largest = high;
    for (Row row : rows) {
      if (!row.parts.isEmpty() && Double.isFinite(row.whole.low())) {
        least = Math.min(least, Math.max(low - more, row.whole.low()));
        largest = Math.max(largest, Math.min(high + more, row.whole.high()));
      }
    }
    return new double[] {least, largest};
  }

  private static int height(Row row) {
    return (row.heading.isEmpty() ? 0 : LABEL) + BAR + THIN * row.parts.size();
  }

  private void drawing(Html html) {
    int body = 6 + rows.stream().mapToInt(IntervalChart::height).sum();
    double[] range = range();
    Axis x = Axis.linear(range[0], range[1], MARGIN, LineChart.WIDTH - MARGIN, 5);
    html.open(
        "svg",
        "class",
        "chart",
        "viewBox",
        "0 0 " + LineChart.WIDTH + " " + (body + BOTTOM),
        "role",
        "img",
        "aria-label",
        title);
    html.element("title", title).element("desc", description());
    if (box) {
      html.open(
              "rect",
              "class",
              "box",
              "x",
              Numbers.at(x.at(-1)),
              "y",
              "0",
              "width",
              Numbers.at(x.at(1) - x.at(-1)),
              "height",
              "" + body)
          .close("rect");
    }
    for (double tick : x.ticks()) {
      String at = Numbers.at(x.at(tick));
      String type = Math.abs(tick) < 1e-12 ? "axis" : "grid";
      html.open("line", "class", type, "x1", at, "x2", at, "y1", "0", "y2", "" + body)
          .close("line");
      html.element(
          "text", Numbers.tick(tick), "class", "tick middle", "x", at, "y", "" + (body + 18));
    }
    int y = 2;
    boolean several = rows.stream().map(Row::group).distinct().count() > 1;
    for (Row row : rows) {
      if (!row.heading.isEmpty()) {
        String type = box ? "label" : "label halo";
        html.element("text", row.heading, "class", type, "x", "2", "y", "" + (y + 16));
        y += LABEL;
      }
      html.open("g", "class", "s" + row.group.number());
      html.element("title", row.group.label() + ": " + Numbers.signed(row.whole));
      if (box && several) {
        html.element("text", row.group.brief(), "class", "letter", "x", "2", "y", "" + (y + 12));
      }
      bar(html, row.whole, x, y + BAR / 2.0 - 1, "bar", 5);
      y += BAR;
      for (Interval part : row.parts) {
        bar(html, part, x, y + THIN / 2.0 - 1, "thin", 2.5);
        y += THIN;
      }
      html.close("g");
    }
    html.close("svg");
  }

  private static void bar(Html html, Interval one, Axis x, double y, String type, double radius) {
    String at = Numbers.at(y);
    if (Double.isFinite(one.low()) && Double.isFinite(one.high())) {
      html.open(
              "line",
              "class",
              type,
              "x1",
              Numbers.at(x.at(one.low())),
              "x2",
              Numbers.at(x.at(one.high())),
              "y1",
              at,
              "y2",
              at)
          .close("line");
      arrow(html, one.low(), x, y, -1);
      arrow(html, one.high(), x, y, 1);
    }
    html.open(
            "circle",
            "class",
            "dot",
            "cx",
            Numbers.at(x.at(one.mean())),
            "cy",
            at,
            "r",
            "" + radius)
        .close("circle");
  }

  /** An interval that goes on beyond the axis. */
  private static void arrow(Html html, double end, Axis x, double y, int side) {
    if (x.holds(end)) {
      return;
    }
    String tip = Numbers.at(x.at(end) + side * 8) + " " + Numbers.at(y);
    String back = Numbers.at(x.at(end));
    String path =
        "M%s L%s %s L%s %s Z".formatted(tip, back, Numbers.at(y - 6), back, Numbers.at(y + 6));
    html.open("path", "class", "dot", "d", path).close("path");
  }

  private String description() {
    StringBuilder words = new StringBuilder(unit + ".");
    for (Row row : rows) {
      words.append(
          " %s: %s."
              .formatted(
                  row.heading.isEmpty() ? row.group.label() : row.heading,
                  Numbers.signed(row.whole)));
    }
    return words.toString();
  }

  private void table(Html html) {
    html.open("details").element("summary", "Numbers");
    html.open("div", "class", "scroll", "tabindex", "0").open("table").open("thead").open("tr");
    html.element("th", "row").element("th", "group").element("th", unit);
    html.close("tr").close("thead").open("tbody");
    String heading = "";
    for (Row row : rows) {
      heading = row.heading.isEmpty() ? heading : row.heading;
      html.open("tr").element("td", heading).element("td", row.group.brief());
      html.element("td", Numbers.signed(row.whole), "class", "number").close("tr");
    }
    html.close("tbody").close("table").close("div").close("details");
  }
}
