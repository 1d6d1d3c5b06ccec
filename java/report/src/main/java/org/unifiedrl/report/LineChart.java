package org.unifiedrl.report;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;

/**
 * Curves over gradient steps, a line and a band for each group, as inline SVG with a table of the
 * same numbers. Drawings are {@link #WIDTH} units wide, what the narrowest phone has, and only ever
 * enlarged: text stays readable.
 */
final class LineChart {

  static final int WIDTH = 320;

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int TOP = 10;
  private static final int RIGHT = 12;
  private static final int BOTTOM = 44;
  private static final double CHARACTER = 8.2;
  private static final int MOST_ROWS = 30;

  private final String title;
  private final String unit;
  private final String about;
  private final Map<Group, Curve> curves = new LinkedHashMap<>();
  private int height = 210;
  private boolean logarithmic;
  private boolean box;
  private double least = Double.NaN;
  private double largest = Double.NaN;
  private List<Long> rounds = List.of();

  /**
   * A chart without curves.
   *
   * @param title what the reader sees
   * @param unit what is counted upwards, with its unit
   * @param about how to read it
   */
  LineChart(String title, String unit, String about) {
    this.title = title;
    this.unit = unit;
    this.about = about;
  }

  LineChart add(Group group, Curve curve) {
    if (!curve.isEmpty()) {
      curves.put(group, curve);
    }
    return this;
  }

  /** By powers of ten, if all numbers are positive and far apart. */
  LineChart logarithmicIfWide() {
    double low = values().filter(v -> v > 0).min().orElse(1);
    logarithmic = low > 0 && values().allMatch(v -> v > 0) && values().max().orElse(1) > 20 * low;
    return this;
  }

  /** A share: from 0 to 1 at least. */
  LineChart share() {
    least = 0;
    largest = 1;
    return this;
  }

  /** From 0 on. */
  LineChart fromZero() {
    least = 0;
    return this;
  }

  /** Positions in the box, whose edges are drawn. */
  LineChart inBox() {
    box = true;
    least = -1.25;
    largest = 1.25;
    height = 170;
    return this;
  }

  /** Where rounds of progressive training end. */
  LineChart rounds(List<Long> ends) {
    rounds = ends;
    return this;
  }

  boolean isEmpty() {
    return curves.isEmpty();
  }

  private DoubleStream values() {
    return curves.values().stream()
        .flatMapToDouble(
            c -> DoubleStream.concat(DoubleStream.of(c.low()), DoubleStream.of(c.high())));
  }

  /** Writes the chart; of groups that are not in it says that they are not known. */
  void write(Html html, List<Group> all) {
    html.open("figure", "class", "card");
    html.element("h3", title);
    html.element("p", unit, "class", "unit");
    drawing(html);
    html.open("figcaption").text(about);
    List<String> missing =
        all.stream().filter(group -> !curves.containsKey(group)).map(Group::brief).toList();
    if (!missing.isEmpty()) {
      html.text(" Not told by " + String.join(", ", missing) + ".");
    }
    html.close("figcaption");
    table(html);
    html.close("figure");
  }

  private void drawing(Html html) {
    double low = Math.min(values().min().orElse(0), Double.isNaN(least) ? Double.MAX_VALUE : least);
    double high =
        Math.max(values().max().orElse(1), Double.isNaN(largest) ? -Double.MAX_VALUE : largest);
    double bottom = height - BOTTOM;
    Axis y =
        logarithmic
            ? Axis.logarithmic(low, high, bottom, TOP)
            : Axis.linear(low, high, bottom, TOP, 5);
    int characters = y.ticks().stream().mapToInt(t -> Numbers.tick(t).length()).max().orElse(1);
    double left = 10 + CHARACTER * characters;
    double right = WIDTH - (double) RIGHT;
    double end = curves.values().stream().mapToDouble(c -> c.steps()[c.size() - 1]).max().orElse(1);
    Axis x = Axis.linear(0, end, left, right, 4);
    html.open(
        "svg",
        "class",
        "chart",
        "viewBox",
        "0 0 " + WIDTH + " " + height,
        "role",
        "img",
        "aria-label",
        title,
        "tabindex",
        "0",
        "data-chart",
        data(x));
    html.element("title", title).element("desc", description());
    if (box) {
      html.open(
              "rect",
              "class",
              "box",
              "x",
              Numbers.at(left),
              "y",
              Numbers.at(y.at(1)),
              "width",
              Numbers.at(right - left),
              "height",
              Numbers.at(y.at(-1) - y.at(1)))
          .close("rect");
    }
    for (double tick : y.ticks()) {
      String at = Numbers.at(y.at(tick));
      line(html, "grid", Numbers.at(left), at, Numbers.at(right), at);
      html.element(
          "text",
          Numbers.tick(tick),
          "class",
          "tick end",
          "x",
          Numbers.at(left - 6),
          "y",
          Numbers.at(y.at(tick) + 5));
    }
    for (double tick : x.ticks()) {
      String anchor = x.at(tick) > right - 14 ? "tick end" : "tick middle";
      html.element(
          "text",
          Numbers.tick(tick),
          "class",
          anchor,
          "x",
          Numbers.at(x.at(tick) > right - 14 ? right + 8 : x.at(tick)),
          "y",
          Numbers.at(bottom + 18));
    }
    for (long round : rounds.subList(0, Math.max(0, rounds.size() - 1))) {
      String at = Numbers.at(x.at((double) round));
      line(html, "round", at, Numbers.at(TOP), at, Numbers.at(bottom));
    }
    line(html, "axis", Numbers.at(left), Numbers.at(bottom), Numbers.at(right), Numbers.at(bottom));
    html.element(
        "text",
        "gradient step",
        "class",
        "tick middle",
        "x",
        Numbers.at((left + right) / 2),
        "y",
        Numbers.at(height - 6.0));
    curves.forEach((group, curve) -> curve(html, group, curve, x, y));
    html.open("line", "class", "rule", "y1", "" + TOP, "y2", Numbers.at(bottom)).close("line");
    html.close("svg");
  }

  private static void line(Html html, String type, String x1, String y1, String x2, String y2) {
    html.open("line", "class", type, "x1", x1, "y1", y1, "x2", x2, "y2", y2).close("line");
  }

  private static void curve(Html html, Group group, Curve curve, Axis x, Axis y) {
    html.open("g", "class", "s" + group.number());
    html.element("title", group.label());
    StringBuilder upper = new StringBuilder();
    StringBuilder lower = new StringBuilder();
    StringBuilder mean = new StringBuilder();
    for (int i = 0; i < curve.size(); i++) {
      String at = (i == 0 ? "M" : "L") + Numbers.at(x.at(curve.steps()[i])) + " ";
      mean.append(at).append(Numbers.at(y.at(curve.mean()[i])));
      upper.append(at).append(Numbers.at(y.at(curve.high()[i])));
      int back = curve.size() - 1 - i;
      lower.append('L').append(Numbers.at(x.at(curve.steps()[back]))).append(' ');
      lower.append(Numbers.at(y.at(curve.low()[back])));
    }
    html.open("path", "class", "band", "d", upper + "" + lower + "Z").close("path");
    if (curve.size() == 1) {
      html.open(
              "circle",
              "class",
              "dot",
              "r",
              "4",
              "cx",
              Numbers.at(x.at(curve.steps()[0])),
              "cy",
              Numbers.at(y.at(curve.mean()[0])))
          .close("circle");
    } else {
      html.open("path", "class", "line", "d", mean.toString()).close("path");
    }
    html.close("g");
  }

  /** What the script shows at the pointer. */
  private String data(Axis x) {
    ObjectNode node = JSON.createObjectNode();
    ArrayNode series = node.putArray("s");
    curves.forEach(
        (group, curve) -> {
          ObjectNode one = series.addObject();
          one.put("n", group.number());
          one.put("l", group.brief());
          ArrayNode at = one.putArray("x");
          ArrayNode steps = one.putArray("t");
          ArrayNode texts = one.putArray("v");
          for (int i = 0; i < curve.size(); i++) {
            at.add(Math.round(10 * x.at(curve.steps()[i])) / 10.0);
            steps.add((long) curve.steps()[i]);
            texts.add(text(curve, i));
          }
        });
    return node.toString();
  }

  private static String text(Curve curve, int i) {
    return curve.low()[i] == curve.high()[i]
        ? Numbers.text(curve.mean()[i])
        : "%s (%s to %s)"
            .formatted(
                Numbers.text(curve.mean()[i]),
                Numbers.text(curve.low()[i]),
                Numbers.text(curve.high()[i]));
  }

  private String description() {
    StringBuilder words = new StringBuilder(unit + ", over gradient steps.");
    curves.forEach(
        (group, curve) ->
            words.append(
                " %s: from %s at step %s to %s at step %s."
                    .formatted(
                        group.label(),
                        text(curve, 0),
                        Numbers.text(curve.steps()[0]),
                        text(curve, curve.size() - 1),
                        Numbers.text(curve.steps()[curve.size() - 1]))));
    return words.toString();
  }

  private void table(Html html) {
    html.open("details").element("summary", "Numbers");
    html.open("div", "class", "scroll", "tabindex", "0").open("table").open("thead").open("tr");
    html.element("th", "group").element("th", "step").element("th", unit);
    html.close("tr").close("thead").open("tbody");
    curves.forEach(
        (group, curve) -> {
          int every = (curve.size() + MOST_ROWS - 1) / MOST_ROWS;
          for (int i = (curve.size() - 1) % every; i < curve.size(); i += every) {
            html.open("tr").element("td", group.brief());
            html.element("td", Numbers.text(curve.steps()[i]), "class", "number");
            html.element("td", text(curve, i), "class", "number").close("tr");
          }
        });
    html.close("tbody").close("table").close("div").close("details");
  }
}
