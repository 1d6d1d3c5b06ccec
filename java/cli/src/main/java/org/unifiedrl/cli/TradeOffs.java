package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.unifiedrl.mtf.algorithm.CriticEnsemble;
import org.unifiedrl.mtf.algorithm.ScalarisedPolicy;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.Pipeline;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * One trained model serves several trade-offs between its reward groups, and users say what each
 * gives: a frontier of watch time against valid consumptions.
 */
final class TradeOffs {

  private TradeOffs() {}

  /**
   * A trade-off and what users did under it.
   *
   * @param name the weights, or what else was served
   * @param test against the served policy
   */
  private record Point(String name, AbTest.Result test) {

    double uvc() {
      return test.policy().uvc();
    }

    double udt() {
      return test.policy().udt();
    }

    /** Whether no other point has as much of both, and more of one. */
    boolean efficient(List<Point> all) {
      return all.stream()
          .noneMatch(
              other ->
                  other.uvc() >= uvc()
                      && other.udt() >= udt()
                      && (other.uvc() > uvc() || other.udt() > udt()));
    }
  }

  /** Serves all trade-offs and leaves the frontier; returns the exit code. */
  static int run(Path policy, int count, ConfigOptions options, StudyOptions common) {
    RunFolder trained = RunFolder.open(policy, "--policy");
    trained.requirePolicy("--policy");
    trained = trained.trained();
    ExperimentConfig config = options.resolve(trained.config(), null);
    Environment environment = ConfigOptions.openUsers(config);
    RunFolder folder = RunFolder.plan(common.out, "sweep");
    CriticEnsemble critics = CriticEnsemble.load(trained.checkpoints());
    double[] weights = critics.groupWeights();
    if (weights.length < 2) {
      throw new UsageException(
          "--policy "
              + policy
              + " has critics of one reward group, so there is nothing to trade off: train with"
              + " training.algorithm=unifiedrl and several groups");
    }
    Pipeline pipeline =
        new Pipeline(config, environment, EngineAccess.learners(), common.listener());
    Supplier<Policy> served = trained.readBaseline(environment).policy();
    Map<String, Supplier<Policy>> policies = new LinkedHashMap<>();
    policies.put("the actor as trained", EngineAccess.learners().policy(trained.checkpoints()));
    for (double[] each : ScalarisedPolicy.weights(weights, count)) {
      policies.put(
          name(environment, each),
          pipeline.scalarised(served, trained.checkpoints(), critics, each));
    }
    UserTotals before = pipeline.serve(served);
    PairedBootstrap bootstrap = new PairedBootstrap(config.seed(), config.evaluation().resamples());
    List<Point> points = new ArrayList<>();
    policies.forEach(
        (name, one) ->
            points.add(new Point(name, AbTest.compare(before, pipeline.serve(one), bootstrap))));
    report(points, folder, common);
    return 0;
  }

  private static String name(Environment environment, double[] weights) {
    List<String> parts = new ArrayList<>();
    for (int i = 0; i < weights.length; i++) {
      parts.add(
          String.format(Locale.ROOT, "%s %.3g", environment.rewardGroups().get(i), weights[i]));
    }
    return String.join(", ", parts);
  }

  private static void report(List<Point> points, RunFolder folder, StudyOptions common) {
    ObjectNode result = Json.object();
    ArrayNode nodes = result.putArray("trade_offs");
    StringBuilder table = new StringBuilder();
    table.append(
        String.format(
            Locale.ROOT,
            "%-40s %9s %24s %9s %24s  %s%n",
            "weights",
            "UVC",
            "lift, %",
            "UDT, s",
            "lift, %",
            "frontier"));
    for (Point point : points) {
      boolean efficient = point.efficient(points);
      table.append(
          String.format(
              Locale.ROOT,
              "%-40s %9.3f %24s %9.1f %24s  %s%n",
              point.name(),
              point.uvc(),
              text(point.test().uvcLift()),
              point.udt(),
              text(point.test().udtLift()),
              efficient ? "*" : ""));
      ObjectNode node = nodes.addObject();
      node.put("name", point.name());
      Results.putTest(node, point.test());
      node.put("efficient", efficient);
    }
    Json.write(folder.result(), result);
    draw(points, folder, common);
    PrintWriter text = common.text();
    text.print(table);
    text.println(
        "* no other has as much of both. Lifts are over the served policy. In "
            + folder.path()
            + ": result.json, chart.png");
    text.flush();
    common.writeJson(result);
  }

  /** The table is safe by now: a chart that cannot be drawn is not worth losing it. */
  private static void draw(List<Point> points, RunFolder folder, StudyOptions common) {
    Map<String, Map<Double, Interval>> series = new LinkedHashMap<>();
    for (Point point : points) {
      double uvc = point.uvc();
      String curve = point.efficient(points) ? "frontier" : "others";
      series
          .computeIfAbsent(curve, any -> new TreeMap<>())
          .put(point.udt(), new Interval(uvc, uvc, uvc));
    }
    try {
      Charts.curves(
          folder.chart(),
          "Trade-offs of one trained model",
          "watch time per user and day (UDT), s",
          "valid consumptions per user and day (UVC)",
          false,
          series);
    } catch (RuntimeException | Error e) { // a JVM without fonts or a desktop throws errors here
      common
          .spec
          .commandLine()
          .getErr()
          .println("unifiedrl: warning: no chart was drawn (" + FileErrors.message(e) + ")");
    }
  }

  private static String text(Interval lift) {
    return String.format(Locale.ROOT, "%+.2f [%+.2f, %+.2f]", lift.mean(), lift.low(), lift.high());
  }
}
