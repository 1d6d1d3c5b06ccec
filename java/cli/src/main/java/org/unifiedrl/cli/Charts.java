package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.knowm.xchart.AnnotationText;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.experiment.Round;

/** One picture of a run: how it learned, and what the A/B test says. */
final class Charts {

  private static final Color[] COLOURS = {
    new Color(0x1F6FB2), new Color(0xD9822B), new Color(0x3A8F5C), new Color(0x8E5BA6)
  };
  private static final Color INK = new Color(0x333333);
  private static final Color GRID = new Color(0xE6E6E6);
  private static final Map<String, String> CURVES =
      new TreeMap<>(
          Map.of("q_mean", "mean over critics", "q_deviation", "deviation among critics"));
  private static final int WIDTH = 720;
  private static final int HEIGHT = 460;
  private static final int ROW = 44;

  /** What title and axes take of the height. */
  private static final int FRAME = 140;

  /** How far above its interval a label stands, so that neither touches the other. */
  private static final double LABEL = 18;

  private Charts() {}

  /** Draws learning curves on the left and lifts with their intervals on the right. */
  static void write(Path file, List<JsonNode> metrics, AbTest.Result test, String title) {
    save(file, curves(metrics, title), lifts(test));
  }

  /** Draws each round's canary on the left and the reported A/B test on the right. */
  static void write(Path file, Iterable<Round> rounds, AbTest.Result test, String title) {
    Map<String, Interval> canaries = new LinkedHashMap<>();
    for (Round round : rounds) {
      String name = "round " + round.number() + (round.decision().served() ? "" : ", not served");
      round.canary().ifPresent(canary -> canaries.put(name, canary.uvcLift()));
    }
    String heading = "Canaries: " + title;
    String axis = "UVC lift over the policy served so far, %, with 95 % interval";
    save(file, intervals(heading, axis, canaries, HEIGHT), lifts(test));
  }

  private static XYChart curves(List<JsonNode> metrics, String title) {
    XYChart chart =
        chart("Training: " + title, "gradient step", "value of the policy's action", HEIGHT);
    double[] steps = metrics.stream().mapToDouble(line -> line.path("step").asDouble()).toArray();
    int colour = 0;
    for (Map.Entry<String, String> curve : CURVES.entrySet()) {
      double[] values =
          metrics.stream().mapToDouble(line -> line.path(curve.getKey()).asDouble()).toArray();
      XYSeries series = chart.addSeries(curve.getValue(), steps, values);
      series.setMarker(SeriesMarkers.NONE);
      series.setLineColor(COLOURS[colour++]);
      series.setLineWidth(2.2f);
    }
    return chart;
  }

  private static XYChart lifts(AbTest.Result test) {
    Map<String, Interval> lifts = new LinkedHashMap<>();
    lifts.put("valid consumptions (UVC)", test.uvcLift());
    lifts.put("watch time (UDT)", test.udtLift());
    lifts.put("requests per session", test.sessionLengthLift());
    return intervals(
        String.format("A/B test on %,d unseen users", test.users()),
        "lift over the baseline, %, with 95 % interval",
        lifts,
        HEIGHT);
  }

  /**
   * Draws estimates with their intervals, one below the other.
   *
   * @param x what they are of
   */
  static void forest(Path file, String title, String x, Map<String, Interval> estimates) {
    save(file, intervals(title, x, estimates, FRAME + ROW * estimates.size()));
  }

  /**
   * Draws estimates with their intervals over a number.
   *
   * @param series estimates by number, by name of the curve
   */
  static void curves(
      Path file,
      String title,
      String x,
      String y,
      boolean logarithmic,
      Map<String, Map<Double, Interval>> series) {
    if (series.isEmpty()) {
      return;
    }
    XYChart chart = chart(title, x, y, HEIGHT);
    chart.getStyler().setXAxisLogarithmic(logarithmic);
    chart.getStyler().setErrorBarsColorSeriesColor(true);
    int colour = 0;
    for (Map.Entry<String, Map<Double, Interval>> curve : series.entrySet()) {
      List<Double> at = new ArrayList<>(curve.getValue().keySet());
      List<Double> means = new ArrayList<>();
      List<Double> bars = new ArrayList<>();
      for (Interval point : curve.getValue().values()) {
        means.add(point.mean());
        bars.add((point.high() - point.low()) / 2);
      }
      XYSeries drawn = chart.addSeries(curve.getKey(), at, means, bars);
      drawn.setMarker(SeriesMarkers.CIRCLE);
      drawn.setLineColor(COLOURS[colour % COLOURS.length]);
      drawn.setMarkerColor(COLOURS[colour++ % COLOURS.length]);
      drawn.setLineWidth(2.2f);
    }
    save(file, chart);
  }

  /**
   * Draws how long sessions are, and where actions lie in the box that they were drawn from.
   *
   * @param lengths share of sessions of 1, 2, ... requests; the last: that many or more
   * @param places share of the actions in each tenth of their box, by action dimension
   */
  static void distributions(Path file, double[] lengths, double[][] places) {
    XYChart sessions =
        chart("Session lengths", "requests (the last: or more)", "share of sessions", HEIGHT);
    double[] requests = IntStream.rangeClosed(1, lengths.length).asDoubleStream().toArray();
    line(sessions, "sessions", requests, lengths, COLOURS[0], 2.2f);
    sessions.getStyler().setLegendVisible(false);
    XYChart boxes =
        chart(
            "Actions in their box: even where exploration is uniform",
            "place between the lower (0) and the upper edge (1)",
            "share of actions",
            HEIGHT);
    boxes.getStyler().setYAxisMin(0.0);
    for (int k = 0; k < places.length; k++) {
      double[] middles =
          IntStream.range(0, places[k].length)
              .mapToDouble(i -> (i + 0.5) / places[0].length)
              .toArray();
      line(boxes, "action " + k, middles, places[k], COLOURS[k % COLOURS.length], 1.6f);
    }
    save(file, sessions, boxes);
  }

  /** Saves charts side by side. */
  private static void save(Path file, XYChart... charts) {
    try {
      BitmapEncoder.saveBitmap(
          List.of(charts), 1, charts.length, file.toString(), BitmapEncoder.BitmapFormat.PNG);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + file + ": " + FileErrors.reason(e), e);
    }
  }

  private static XYChart intervals(
      String title, String x, Map<String, Interval> estimates, int height) {
    XYChart chart = chart(title, x, "", height);
    chart.getStyler().setYAxisTicksVisible(false);
    chart.getStyler().setYAxisMin(0.4);
    chart.getStyler().setYAxisMax(estimates.size() + 0.7);
    chart.getStyler().setLegendVisible(false); // each row says what it is
    chart.getStyler().setAnnotationTextFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14));
    chart.getStyler().setAnnotationTextFontColor(INK);
    double low =
        Math.min(0, estimates.values().stream().mapToDouble(Interval::low).min().orElse(0));
    double high =
        Math.max(0, estimates.values().stream().mapToDouble(Interval::high).max().orElse(0));
    double margin = 0.08 * Math.max(high - low, 0.1);
    chart.getStyler().setXAxisMin(low - margin);
    chart.getStyler().setXAxisMax(high + margin);
    double[] zero = {0, 0};
    line(chart, "zero", zero, new double[] {0.4, estimates.size() + 0.6}, INK, 1);
    double middle = (low + high) / 2;
    double above = LABEL * estimates.size() / (height - FRAME);
    int at = estimates.size();
    for (Map.Entry<String, Interval> entry : estimates.entrySet()) {
      Interval lift = entry.getValue();
      Color colour = COLOURS[(estimates.size() - at) % COLOURS.length];
      double[] y = {at, at};
      line(chart, entry.getKey(), new double[] {lift.low(), lift.high()}, y, colour, 4);
      XYSeries point =
          chart.addSeries(
              entry.getKey() + " estimate", new double[] {lift.mean()}, new double[] {at});
      point.setMarker(SeriesMarkers.CIRCLE);
      point.setMarkerColor(colour);
      chart.addAnnotation(new AnnotationText(label(entry), middle, at + above, false));
      at--;
    }
    return chart;
  }

  private static String label(Map.Entry<String, Interval> row) {
    Interval lift = row.getValue();
    return String.format(
        Locale.ROOT,
        "%s: %+.2f [%+.2f, %+.2f]",
        row.getKey(),
        lift.mean(),
        lift.low(),
        lift.high());
  }

  private static XYSeries line(
      XYChart chart, String name, double[] x, double[] y, Color colour, float width) {
    XYSeries series = chart.addSeries(name, x, y);
    series.setMarker(SeriesMarkers.NONE);
    series.setLineColor(colour);
    series.setLineStyle(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
    return series;
  }

  private static XYChart chart(String title, String x, String y, int height) {
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(height)
            .title(title)
            .xAxisTitle(x)
            .yAxisTitle(y)
            .build();
    var styler = chart.getStyler();
    styler.setChartBackgroundColor(Color.WHITE);
    styler.setPlotBackgroundColor(Color.WHITE);
    styler.setPlotBorderVisible(false);
    styler.setPlotGridLinesColor(GRID);
    styler.setChartFontColor(INK);
    styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 17));
    styler.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14));
    styler.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
    styler.setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
    styler.setLegendPosition(Styler.LegendPosition.OutsideS);
    styler.setLegendLayout(Styler.LegendLayout.Horizontal);
    styler.setLegendBorderColor(Color.WHITE);
    styler.setMarkerSize(12);
    styler.setChartPadding(14);
    return chart;
  }
}
