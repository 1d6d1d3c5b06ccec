package org.unifiedrl.report;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.study.SeedSummary;

/** The page: its sections in the order in which a reader asks. */
final class ReportPage {

  private static final String BAND =
      "Line: mean over seeds; band: from the least to the largest seed.";
  private static final String POSITION = "box_position/";
  private static final Map<String, String> LIFTS = new LinkedHashMap<>();

  static {
    LIFTS.put("uvc_lift", "Valid consumptions (UVC)");
    LIFTS.put("udt_lift", "Watch time (UDT)");
    LIFTS.put("session_length_lift", "Requests per session");
    LIFTS.put("return_lift", "Return");
  }

  private final String title;
  private final List<Group> groups;
  private final List<Run> runs;
  private final Set<String> names = new LinkedHashSet<>();
  private final Set<String> drawn = new LinkedHashSet<>();
  private final Html html = new Html();

  ReportPage(String title, List<Group> groups) {
    this.title = title;
    this.groups = groups;
    this.runs = groups.stream().flatMap(group -> group.runs().stream()).toList();
    runs.forEach(run -> run.metrics().forEach(line -> names.addAll(line.values().keySet())));
  }

  /** The whole page. */
  String html() {
    String style = resource("style.css");
    String script = resource("script.js");
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    // Nothing but this very style and script: no word of a run can become one, or fetch anything.
    html.open(
        "meta",
        "http-equiv",
        "Content-Security-Policy",
        "content",
        "default-src 'none'; style-src '"
            + hash(style)
            + "'; script-src '"
            + hash(script)
            + "'; base-uri 'none'; form-action 'none'");
    html.raw("\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.element("title", title);
    html.raw("<style>" + style + "</style>\n</head>\n<body>\n");
    head();
    html.open("main");
    tests();
    value();
    box();
    positions();
    further();
    resources();
    settings();
    listing();
    html.close("main");
    html.open("footer")
        .text("Written by unifiedrl report; the page holds all that it shows and fetches nothing.");
    html.close("footer");
    html.raw("<div id=\"tip\" hidden></div>\n<script>" + script + "</script>\n</body>\n</html>\n");
    return html.toString();
  }

  private void head() {
    html.open("header").element("h1", title);
    html.open("p", "class", "lead");
    html.text("Environment " + runs.get(0).environment() + ". ");
    html.text(runs.size() == 1 ? "One run" : runs.size() + " runs");
    html.text(
        groups.size() == runs.size()
            ? groups.size() == 1 ? "." : ", each of its own configuration."
            : groups.size() == 1
                ? " that differ by their seeds only."
                : " of %d configurations; those of one differ by their seeds only."
                    .formatted(groups.size()));
    html.close("p").close("header");
    html.open("nav", "class", "legend", "aria-label", "Configurations").open("ul");
    for (Group group : groups) {
      html.open("li");
      html.open(
          "button",
          "class",
          "key s" + group.number(),
          "type",
          "button",
          "aria-pressed",
          "true",
          "data-group",
          "" + group.number());
      html.raw(
          "<svg viewBox=\"0 0 30 10\" aria-hidden=\"true\"><path class=\"line\" d=\"M1 5L29 5\"/></svg>");
      html.open("span").text(group.label()).text(" (" + seeds(group) + ")").raw("</span>");
      html.close("button").close("li");
    }
    html.close("ul").close("nav");
  }

  private static String seeds(Group group) {
    List<String> seeds = group.runs().stream().map(Run::seed).toList();
    return (seeds.size() == 1 ? "seed " : "seeds ") + String.join(", ", seeds);
  }

  private void section(String heading, String about) {
    html.element("h2", heading);
    html.element("p", about, "class", "note about");
  }

  private void absent(String what, String remedy) {
    html.open("div", "class", "card absent").element("h3", what);
    html.element("p", remedy).close("div");
  }

  // A/B tests

  private void tests() {
    section(
        "What the A/B test says",
        "Lift of the learned policy over the policy that was served, on users that nothing was"
            + " learned from. Where the interval of 95 % does not hold 0, chance alone does not"
            + " explain the lift.");
    html.open("div", "class", "cards");
    boolean any = false;
    for (Map.Entry<String, String> lift : LIFTS.entrySet()) {
      IntervalChart chart =
          new IntervalChart(
              lift.getValue(),
              "lift over the baseline, %",
              runs.size() > groups.size()
                  ? "Thick: mean over seeds, 95 % by Student's t. Thin: each seed, 95 % by bootstrap"
                      + " over users. An arrow: it goes on beyond the axis."
                  : "95 % interval by bootstrap over users.");
      for (Group group : groups) {
        List<Interval> each =
            group.runs().stream()
                .map(run -> interval(run.result().path(lift.getKey())))
                .filter(one -> Double.isFinite(one.mean()))
                .toList();
        if (!each.isEmpty()) {
          Interval whole = each.size() == 1 ? each.get(0) : mean(each);
          int all = group.runs().size();
          String of = each.size() < all ? " (%d of %d)".formatted(each.size(), all) : "";
          String heading = group.brief() + of + "  " + Numbers.signed(whole) + " %";
          chart.add(heading, group, whole, each.size() == 1 ? List.of() : each);
        }
      }
      if (!chart.isEmpty()) {
        chart.write(html, "card");
        any = true;
      }
    }
    if (!any) {
      absent(
          "No run has an A/B test",
          "unifiedrl compare --policy RUN tests a policy; demo and progressive do so at their end.");
    }
    html.close("div");
  }

  private static Interval interval(JsonNode node) {
    return new Interval(
        node.path("mean").asDouble(Double.NaN),
        node.path("low").asDouble(Double.NaN),
        node.path("high").asDouble(Double.NaN));
  }

  private static Interval mean(List<Interval> each) {
    SeedSummary all = SeedSummary.of(each.stream().mapToDouble(Interval::mean).toArray());
    return new Interval(all.mean(), all.low(), all.high());
  }

  // Curves

  private LineChart chart(String name, String heading, String unit, String about) {
    drawn.add(name);
    return chart(heading, unit, about, group -> line -> line.value(name), Run::metrics);
  }

  private LineChart chart(
      String heading,
      String unit,
      String about,
      Function<Group, ToDoubleFunction<Line>> value,
      Function<Run, List<Line>> lines) {
    boolean seeds = runs.size() > groups.size();
    LineChart chart = new LineChart(heading, unit, seeds ? about + " " + BAND : about);
    for (Group group : groups) {
      chart.add(group, Curve.of(group, lines, value.apply(group)));
    }
    return chart.rounds(runs.get(0).rounds());
  }

  private void write(LineChart chart) {
    if (!chart.isEmpty()) {
      chart.write(html, groups);
    }
  }

  private boolean told(String name) {
    return names.contains(name);
  }

  /** Parts of a metric, as q_mean/watch_time of q_mean. */
  private List<String> parts(String name) {
    return names.stream()
        .filter(each -> each.startsWith(name + "/"))
        .map(each -> each.substring(name.length() + 1))
        .toList();
  }

  private static String words(String name) {
    return name.replace('_', ' ').replace('.', ' ');
  }

  private void value() {
    section(
        "What training learned",
        "Averages over the rows of the steps since the report or checkpoint before. Values are of"
            + " normalised rewards: what was logged, divided by the deviation of the logged return.");
    html.open("div", "class", "cards");
    if (names.isEmpty()) {
      absent(
          "No run has metrics of training",
          "unifiedrl train or demo leaves metrics.jsonl, a line every training.report steps.");
    }
    byGroup(
        "q_mean",
        "Value of the policy's actions",
        "mean over critics, normalised reward",
        "What the critics expect of the actions that the policy takes now. A value that rises without"
            + " end speaks of extrapolation, not of a better policy.");
    byGroup(
        "q_deviation",
        "Uncertainty of that value",
        "deviation among critics, normalised reward",
        "How far the critics of the ensemble disagree on the policy's actions.");
    if (!names.isEmpty() && !told("q_deviation")) {
      absent(
          "No uncertainty among critics",
          "None of these algorithms has an ensemble per reward group; training.algorithm=unifiedrl has.");
    }
    write(
        chart(
                "critic_loss",
                "Error of the critics",
                "mean squared TD error, normalised reward squared",
                "Targets move, so it need not fall to 0.")
            .logarithmicIfWide());
    write(
        chart(
                "critic_gradient_norm",
                "Gradient of the critics",
                "norm, mean over critics",
                "Clipped at training.gradient_clip.")
            .logarithmicIfWide());
    write(
        chart(
                "actor_gradient_norm",
                "Gradient of the actor",
                "norm",
                "Clipped at training.gradient_clip.")
            .logarithmicIfWide());
    html.close("div");
  }

  private void byGroup(String name, String heading, String unit, String about) {
    List<String> parts = parts(name);
    for (String part : parts) {
      write(chart(name + "/" + part, heading + ": " + words(part), unit, about));
    }
    drawn.add(name);
    // Groups whose algorithms do not tell reward groups apart have the undivided metric only.
    if (parts.isEmpty()) {
      write(chart(name, heading, unit, about));
    } else if (groups.stream()
        .anyMatch(g -> tells(g, name) && !tells(g, name + "/" + parts.get(0)))) {
      write(
          chart(
              name,
              heading + ": all reward groups",
              unit,
              "UnifiedRL: mean over its reward groups. Algorithms with one value function: the value"
                  + " of the weighted sum of rewards."));
    }
  }

  private static boolean tells(Group group, String name) {
    return !Curve.of(group, Run::metrics, line -> line.value(name)).isEmpty();
  }

  private void box() {
    section(
        "How the policy keeps to what was explored",
        "The log holds actions of one box around the served policy. Outside it critics extrapolate,"
            + " so UnifiedRL penalises the actor there and attenuates targets.");
    html.open("div", "class", "cards");
    int before = html.toString().length();
    write(
        chart(
                "box_inside_share",
                "Action components inside the box",
                "share of components, over 256 logged states",
                "1: every component of every action lies where the log has data.")
            .share());
    write(
        chart(
                "inside_share",
                "Whole actions inside the box",
                "share of requests of the batches",
                "All components at once; the rest is penalised.")
            .share());
    drawn.add("attenuation");
    write(
        chart(
                "Share of the targets that attenuation takes away",
                "1 - mean phi, of the next state's value",
                "0: all next actions lie in their boxes, or beta is 1 and they stand at the edge.",
                group -> Shares::attenuated,
                Run::metrics)
            .fromZero());
    write(
        chart(
                "Share of the penalty in the actor's objective",
                "eta d / (|value| + eta d + lambda deviation)",
                "Near 0: the box does not bind; near 1: the actor mostly flees its edge.",
                group -> line -> Shares.penalty(group.settings(), line),
                Run::metrics)
            .fromZero());
    write(
        chart(
                "box_distance",
                "Box penalty",
                "d, without eta",
                "Grows with the distance to the box, in widths of the box.")
            .fromZero());
    write(
        chart(
                "target_box_distance",
                "Box penalty of the next actions",
                "d, in the targets of UnifiedRL v4",
                "Lowers the targets outside the box.")
            .fromZero());
    if (html.toString().length() == before) {
      absent(
          "No run says how its policy keeps to the box",
          "unifiedrl train writes box_inside_share of every algorithm on a log of requests; runs of"
              + " earlier versions and of exploration.granularity=pair have none.");
    }
    html.close("div");
  }

  private void positions() {
    List<String> dimensions = parts("box_position");
    section(
        "Where the policy acts in the box, by dimension",
        "-1 and 1 are the edges of the explored box, 0 its middle: the action that was served. Each"
            + " predicted score has a power and a bias in the fusion formula.");
    for (String dimension : dimensions) {
      for (String end : List.of("", "_low", "_high")) {
        drawn.add("box_position" + end + "/" + dimension);
      }
    }
    html.open("div", "class", "cards");
    if (dimensions.isEmpty()) {
      absent(
          "No run tells its actions by dimension",
          "unifiedrl train writes them as box_position/DIMENSION; runs of earlier versions and of"
              + " exploration.granularity=pair have none.");
      html.close("div");
      return;
    }
    IntervalChart ends =
        new IntervalChart(
                "At the last step",
                "position in the box, -1 to 1",
                "Dot: mean over 256 logged states. Bar: 5 to 95 % of the states, so a short one is a"
                    + " shift for everybody and a long one is personal. Means over seeds.")
            .inBox();
    List<LineChart> charts = new ArrayList<>();
    for (String dimension : dimensions) {
      LineChart chart =
          new LineChart(
                  words(dimension),
                  "position in the box",
                  "Line: mean over states; band: 5 to 95 % of the states.")
              .inBox()
              .rounds(runs.get(0).rounds());
      boolean first = true;
      for (Group group : groups) {
        Curve curve =
            Curve.of(
                group,
                Run::metrics,
                line -> line.value(POSITION + dimension),
                line -> line.value("box_position_low/" + dimension),
                line -> line.value("box_position_high/" + dimension));
        chart.add(group, curve);
        if (!curve.isEmpty()) {
          int last = curve.size() - 1;
          ends.add(
              first ? words(dimension) : "",
              group,
              new Interval(curve.mean()[last], curve.low()[last], curve.high()[last]),
              List.of());
          first = false;
        }
      }
      charts.add(chart);
    }
    ends.write(html, "card tall");
    charts.forEach(this::write);
    html.close("div");
  }

  private void further() {
    List<String> others = names.stream().filter(name -> !drawn.contains(name)).toList();
    if (others.isEmpty()) {
      return;
    }
    section(
        "Further metrics",
        "What else the algorithms tell, under the names that metrics.jsonl has.");
    html.open("div", "class", "cards");
    others.forEach(
        name ->
            write(
                chart(name, words(name), "mean over rows", "As the algorithm records it.")
                    .logarithmicIfWide()));
    html.close("div");
  }

  // Resources

  private void resources() {
    section(
        "What it took",
        "Measured, so that other work on the machine shows here. Steps by the time of training alone,"
            + " without checkpoints and reports.");
    html.open("div", "class", "cards");
    LineChart speed =
        chart(
                "Speed of training",
                "gradient steps per second",
                "A fall is other work on the machine, heat, or memory that ran out.",
                group -> line -> line.value("steps_per_second"),
                Run::resources)
            .fromZero();
    if (speed.isEmpty()) {
      absent(
          "No run says how fast it trained",
          "unifiedrl train and demo write resources.jsonl; runs of earlier versions have none.");
    } else {
      speed.write(html, groups);
    }
    html.close("div");
    table(
        List.of(
            "run",
            "group",
            "steps",
            "steps/s",
            "training, s",
            "peak memory, MiB",
            "threads",
            "back end"),
        runs.stream().map(this::resources).toList());
  }

  private List<String> resources(Run run) {
    List<Line> lines = run.resources();
    Line last = lines.isEmpty() ? new Line(0, Map.of()) : lines.get(lines.size() - 1);
    double[] speeds =
        lines.stream()
            .flatMapToDouble(line -> DoubleStream.of(line.value("steps_per_second")))
            .filter(Double::isFinite)
            .sorted()
            .toArray();
    JsonNode result = run.result();
    return List.of(
        run.folder().toString(),
        groupOf(run).brief(),
        run.metrics().isEmpty() ? "none" : Numbers.text((double) run.lastStep()),
        speeds.length == 0 ? "not known" : Numbers.text(speeds[speeds.length / 2]),
        Numbers.text(last.value("training_seconds")),
        Numbers.text(Math.rint(last.value("peak_memory_mebibytes"))),
        Numbers.text(last.value("threads")),
        result.has("backend")
            ? result.path("backend").asText() + " (" + result.path("engine").asText() + ")"
            : "not known");
  }

  private Group groupOf(Run run) {
    return groups.stream().filter(group -> group.runs().contains(run)).findFirst().orElseThrow();
  }

  // Settings and runs

  private void settings() {
    section(
        "Settings that differ",
        "Keys of config.yaml with more than one value among these runs, the seed aside.");
    Collection<String> keys = Group.differing(groups.stream().map(Group::settings).toList());
    if (keys.isEmpty()) {
      html.open("div", "class", "cards");
      absent(
          groups.size() == runs.size() ? "One run only" : "All runs have one configuration",
          "Give runs of other configurations too, to see them beside one another.");
      html.close("div");
    } else {
      List<String> head = new ArrayList<>(List.of("setting"));
      groups.forEach(group -> head.add(group.brief()));
      List<List<String>> rows = new ArrayList<>();
      for (String key : keys) {
        List<String> row = new ArrayList<>(List.of(key));
        groups.forEach(group -> row.add(group.settings().getOrDefault(key, "(none)")));
        rows.add(row);
      }
      table(head, rows);
    }
    for (Group group : groups) {
      html.open("details").element("summary", "All settings of " + group.label());
      table(
          List.of("setting", "value"),
          group.settings().entrySet().stream()
              .map(entry -> List.of(entry.getKey(), entry.getValue()))
              .toList());
      html.close("details");
    }
  }

  private void listing() {
    section("Runs", "What was read, and what to know of it.");
    List<List<String>> rows = new ArrayList<>();
    for (Run run : runs) {
      Group group = groupOf(run);
      List<String> remarks = new ArrayList<>(run.remarks());
      long longest = group.runs().stream().mapToLong(Run::lastStep).max().orElse(0);
      if (run.metrics().isEmpty() && longest > 0) {
        remarks.add("no metrics of training: not in the curves of its group");
      } else if (run.lastStep() < longest) {
        remarks.add(
            "ends at step %s of %s: curves of its group end there"
                .formatted(Numbers.text((double) run.lastStep()), Numbers.text((double) longest)));
      }
      if (group.runs().stream().filter(other -> other.seed().equals(run.seed())).count() > 1) {
        remarks.add("its seed is there more than once: not independent runs");
      }
      if (!run.rounds().isEmpty()) {
        remarks.add(
            "progressive: rounds end at steps "
                + String.join(
                    ", ", run.rounds().stream().map(end -> Numbers.text((double) end)).toList()));
      }
      rows.add(
          List.of(run.folder().toString(), group.brief(), run.seed(), String.join("; ", remarks)));
    }
    table(List.of("run", "group", "seed", "remarks"), rows);
    rounds();
  }

  private void rounds() {
    List<List<String>> rows = new ArrayList<>();
    for (Run run : runs) {
      for (JsonNode round : run.result().path("rounds")) {
        boolean served = round.path("served").asBoolean();
        Interval canary = interval(round.path("canary").path("uvc_lift"));
        rows.add(
            List.of(
                run.name(),
                round.path("round").asText(),
                Numbers.text(round.path("inside_share").asDouble(Double.NaN)),
                Double.isFinite(canary.mean()) ? Numbers.signed(canary) : "none",
                served ? "served" : "not served: " + round.path("reason").asText()));
      }
    }
    if (!rows.isEmpty()) {
      html.element("h3", "Rounds of progressive training");
      table(
          List.of("run", "round", "components in the box", "canary UVC lift, %", "verdict"), rows);
    }
  }

  private void table(List<String> head, List<List<String>> rows) {
    html.open("div", "class", "scroll table", "tabindex", "0").open("table").open("thead");
    html.open("tr");
    head.forEach(cell -> html.element("th", cell));
    html.close("tr").close("thead").open("tbody");
    for (List<String> row : rows) {
      html.open("tr");
      row.forEach(
          cell -> html.element("td", cell, "class", cell.length() > 24 ? "wrap" : "number"));
      html.close("tr");
    }
    html.close("tbody").close("table").close("div");
  }

  private static String resource(String name) {
    try (InputStream in = ReportPage.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String hash(String text) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
      return "sha256-" + Base64.getEncoder().encodeToString(digest);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every JVM has it
    }
  }
}
