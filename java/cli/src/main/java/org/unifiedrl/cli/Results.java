package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Locale;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.evaluation.Headroom;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimate;
import org.unifiedrl.mtf.experiment.OfflineEvaluation;
import org.unifiedrl.mtf.experiment.ProgressiveTraining;
import org.unifiedrl.mtf.experiment.Round;
import org.unifiedrl.mtf.session.Environment;

/** Results as JSON, with the names that other programs rely on, and as text. */
final class Results {

  private Results() {}

  static void putTest(ObjectNode result, AbTest.Result test) {
    result.set("baseline", summary(test.baseline()));
    result.set("policy", summary(test.policy()));
    result.set("uvc_lift", interval(test.uvcLift()));
    result.set("udt_lift", interval(test.udtLift()));
    result.set("session_length_lift", interval(test.sessionLengthLift()));
    result.set("return_lift", interval(test.returnsLift()));
    result.put("test_users", test.users());
  }

  static void putOffline(ObjectNode result, OfflineEvaluation offline) {
    ObjectNode gauc = result.putObject("mtf_gauc");
    Json.put(gauc, "baseline", offline.gaucBaseline().value());
    Json.put(gauc, "policy", offline.gaucPolicy().value());
    gauc.set("difference", interval(offline.gaucDifference()));
    gauc.put("users", offline.gaucPolicy().users());
    ObjectNode ncis = estimate(offline.ncisPolicy());
    ncis.set("difference", interval(offline.ncisDifference()));
    ArrayNode bandwidth = ncis.putArray("bandwidth");
    for (double h : offline.bandwidth()) {
      bandwidth.add(h);
    }
    result.set("ncis", ncis);
    result.set("ncis_baseline", estimate(offline.ncisBaseline()));
    for (OfflineEvaluation.Comparison one : offline.estimators()) {
      String name = one.estimator().name().toLowerCase(Locale.ROOT);
      ObjectNode policy = estimate(one.policy());
      policy.set("difference", interval(one.difference()));
      result.set(name, policy);
      result.set(name + "_baseline", estimate(one.baseline()));
    }
  }

  static void putRounds(ObjectNode result, ProgressiveTraining.Result run) {
    ArrayNode rounds = result.putArray("rounds");
    long requests = 0;
    long sessions = 0;
    long heldOut = 0;
    long steps = 0;
    double canary = 0;
    for (Round round : run.rounds()) {
      rounds.add(round(round));
      requests += round.logged().requests();
      sessions += round.logged().sessions();
      heldOut += round.logged().heldOutRequests();
      steps += round.trained().steps();
      canary += round.canary().map(Results::requests).orElse(0.0);
      if (round.trained().failure().isEmpty()) {
        result.put("backend", round.trained().backend());
        result.put("engine", round.trained().engine());
      }
      if (round.number() == run.served()) {
        result.put(RunFolder.PARAMETER_HASH, round.trained().parameterHash());
      }
    }
    result.put("served_round", run.served());
    result.put("steps", steps);
    ObjectNode log = result.putObject("log");
    log.put("requests", requests);
    log.put("sessions", sessions);
    log.put("held_out_requests", heldOut);
    log.put("canary_requests", Math.round(canary));
  }

  /** Requests of both policies. */
  private static double requests(AbTest.Result test) {
    return test.users() * (test.baseline().requests() + test.policy().requests());
  }

  private static ObjectNode round(Round round) {
    Round.Offline offline = round.offline();
    ObjectNode node = Json.object();
    node.put("round", round.number());
    node.put("served", round.decision().served());
    node.put("reason", round.decision().reason());
    node.set("box", Json.MAPPER.valueToTree(round.bounds()));
    node.set("log", Json.MAPPER.valueToTree(round.logged()));
    node.set("training", Json.MAPPER.valueToTree(round.trained()));
    Json.put(node, "inside_share", offline.drift().insideShare());
    ArrayNode moved = node.putArray("drift");
    for (double distance : offline.drift().moved()) {
      if (Double.isFinite(distance)) {
        moved.add(distance);
      }
    }
    ObjectNode ncis = node.putObject("ncis");
    Json.put(ncis, "served", offline.ncisServed());
    ncis.set("difference", interval(offline.ncisDifference()));
    Json.put(ncis, "ess_share", offline.essShare());
    ObjectNode gauc = node.putObject("mtf_gauc");
    Json.put(gauc, "served", offline.gaucServed());
    gauc.set("difference", interval(offline.gaucDifference()));
    round.canary().ifPresent(test -> putTest(node.putObject("canary"), test));
    return node;
  }

  static void putLimits(ObjectNode result, Environment environment) {
    environment.limits().forEach(result.withArray("limits")::add);
  }

  static void putHeadroom(ObjectNode result, Headroom headroom) {
    ObjectNode node = result.putObject("headroom");
    node.put("users", headroom.users());
    ObjectNode uvc = node.putObject("uvc");
    Json.put(uvc, "equal_weights", headroom.equalWeights());
    Json.put(uvc, "best_constant", headroom.bestConstant());
    Json.put(uvc, "action_oracle", headroom.actionOracle());
    Json.put(uvc, "request_oracle", headroom.requestOracle());
    node.set("constant_over_equal", interval(headroom.constantOverEqual()));
    node.set("oracle_over_constant", interval(headroom.oracleOverConstant()));
    node.set("request_over_constant", interval(headroom.requestOverConstant()));
  }

  static void putRegret(ObjectNode result, Headroom.Regret regret) {
    ObjectNode node = result.putObject("regret");
    node.set("best_constant", interval(regret.overBestConstant()));
    node.set("action_oracle", interval(regret.overActionOracle()));
    node.set("request_oracle", interval(regret.overRequestOracle()));
  }

  private static ObjectNode summary(AbTest.Summary summary) {
    ObjectNode node = Json.object();
    Json.put(node, "uvc", summary.uvc());
    Json.put(node, "udt", summary.udt());
    Json.put(node, "session_length", summary.sessionLength());
    Json.put(node, "return", summary.returns());
    return node;
  }

  static ObjectNode interval(Interval interval) {
    ObjectNode node = Json.object();
    Json.put(node, "mean", interval.mean());
    Json.put(node, "low", interval.low());
    Json.put(node, "high", interval.high());
    return node;
  }

  /** A refused estimate keeps its diagnosis, not its value. */
  private static ObjectNode estimate(OffPolicyEstimate estimate) {
    ObjectNode node = Json.object();
    boolean refused = estimate.refused();
    Json.put(node, "value", refused ? Double.NaN : estimate.value());
    Json.put(node, "low", refused ? Double.NaN : estimate.low());
    Json.put(node, "high", refused ? Double.NaN : estimate.high());
    Json.put(node, "ess", estimate.ess());
    node.put("samples", estimate.samples());
    Json.put(node, "max_weight", estimate.maxWeight());
    Json.put(node, "clipped_share", estimate.clippedShare());
    estimate.refusal().ifPresent(reason -> node.put("refusal", reason));
    return node;
  }

  /**
   * The A/B test as a small table.
   *
   * @param unit what uvc and udt are per
   */
  static String table(AbTest.Result test, String unit) {
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "A/B test, %,d users, common random numbers, 95 %% intervals%n",
            test.users()));
    text.append(String.format("  %-28s %10s %10s   %s%n", unit, "baseline", "policy", "lift"));
    row(
        text,
        "valid consumptions (UVC)",
        test.baseline().uvc(),
        test.policy().uvc(),
        test.uvcLift());
    row(text, "watch time, s (UDT)", test.baseline().udt(), test.policy().udt(), test.udtLift());
    row(
        text,
        "requests per session",
        test.baseline().sessionLength(),
        test.policy().sessionLength(),
        test.sessionLengthLift());
    return text.toString();
  }

  private static void row(
      StringBuilder text, String name, double baseline, double policy, Interval lift) {
    text.append(
        String.format(
            Locale.ROOT,
            "  %-28s %10.3f %10.3f   %+.2f %% [%+.2f, %+.2f]%n",
            name,
            baseline,
            policy,
            lift.mean(),
            lift.low(),
            lift.high()));
  }

  /** What there is to gain, as a few lines. */
  static String table(Headroom headroom) {
    return String.format(
            Locale.ROOT, "Headroom, UVC of %,d unseen users, by search%n", headroom.users())
        + String.format(Locale.ROOT, "  %-28s %10.3f%n", "equal weights", headroom.equalWeights())
        + yardstick(
            "best constant vector",
            headroom.bestConstant(),
            headroom.constantOverEqual(),
            "equal weights")
        + yardstick(
            "action oracle",
            headroom.actionOracle(),
            headroom.oracleOverConstant(),
            "best constant")
        + yardstick(
            "request oracle",
            headroom.requestOracle(),
            headroom.requestOverConstant(),
            "best constant");
  }

  private static String yardstick(String name, double value, Interval lift, String over) {
    return String.format(
        Locale.ROOT, "  %-28s %10.3f   %s over %s%n", name, value, text(lift), over);
  }

  /** What the policy leaves to be gained, as a few lines. */
  static String table(Headroom.Regret regret) {
    return String.format("Regret of the policy: UVC that each yardstick has more than it%n")
        + String.format("  %-28s %s%n", "best constant vector", text(regret.overBestConstant()))
        + String.format("  %-28s %s%n", "action oracle", text(regret.overActionOracle()))
        + String.format("  %-28s %s%n", "request oracle", text(regret.overRequestOracle()));
  }

  private static String text(Interval lift) {
    return String.format(
        Locale.ROOT, "%+.2f %% [%+.2f, %+.2f]", lift.mean(), lift.low(), lift.high());
  }

  /** The offline evaluation, a line for each metric. */
  static String table(OfflineEvaluation offline) {
    Interval gauc = offline.gaucDifference();
    StringBuilder text = new StringBuilder(String.format("Offline, held-out users%n"));
    if (offline.gaucPolicy().users() == 0) {
      text.append(String.format("  MTF-GAUC  not known: nobody was served without exploration%n"));
    } else {
      text.append(
          String.format(
              Locale.ROOT,
              "  MTF-GAUC  baseline %.4f  policy %.4f  difference %+.4f [%+.4f, %+.4f]%n",
              offline.gaucBaseline().value(),
              offline.gaucPolicy().value(),
              gauc.mean(),
              gauc.low(),
              gauc.high()));
    }
    row(text, "NCIS", offline.ncisBaseline(), offline.ncisPolicy(), offline.ncisDifference());
    for (OfflineEvaluation.Comparison one : offline.estimators()) {
      String name = one.estimator().name().replace('_', '-');
      row(text, name, one.baseline(), one.policy(), one.difference());
    }
    return text.toString();
  }

  private static void row(
      StringBuilder text,
      String name,
      OffPolicyEstimate baseline,
      OffPolicyEstimate policy,
      Interval difference) {
    text.append(String.format("  %-9s baseline %s  policy %s", name, text(baseline), text(policy)));
    if (!Double.isNaN(difference.mean())) {
      text.append(
          String.format(
              Locale.ROOT,
              "  difference %+.3f [%+.3f, %+.3f]",
              difference.mean(),
              difference.low(),
              difference.high()));
    }
    text.append(System.lineSeparator());
  }

  private static String text(OffPolicyEstimate estimate) {
    return estimate
        .refusal()
        .map(reason -> "refused (" + reason + ")")
        .orElseGet(
            () ->
                String.format(
                        Locale.ROOT,
                        "%.3f [%.3f, %.3f]",
                        estimate.value(),
                        estimate.low(),
                        estimate.high())
                    + (Double.isNaN(estimate.ess())
                        ? ""
                        : String.format(
                            Locale.ROOT,
                            " (ESS %,.0f of %,d)",
                            estimate.ess(),
                            estimate.samples())));
  }

  /** How a round ended, in a line. */
  static String line(Round round) {
    String hash = round.trained().parameterHash();
    return String.format(
        Locale.ROOT,
        "Round %d: %s%s%n",
        round.number(),
        verdict(round),
        hash.isEmpty() ? "" : "; parameter hash " + hash);
  }

  private static String verdict(Round round) {
    return round.decision().served()
        ? "served"
        : "not served, rolled back: " + round.decision().reason();
  }

  /**
   * The rounds of progressive training as two tables in Markdown: what they found, and box and
   * drift in each action dimension.
   *
   * @param scores names of the predicted scores, which have a power and a bias each
   */
  static String table(List<Round> rounds, List<String> scores) {
    StringBuilder text = new StringBuilder();
    text.append(
        "| round | requests | in the box, % | NCIS, difference | MTF-GAUC, difference"
            + " | canary UVC lift, % | verdict |\n| --- | --- | --- | --- | --- | --- | --- |\n");
    for (Round round : rounds) {
      Round.Offline offline = round.offline();
      text.append(
          String.format(
              Locale.ROOT,
              "| %d | %,d | %.1f | %s (ESS %.1f %%) | %s | %s | %s |%n",
              round.number(),
              round.logged().requests(),
              100 * offline.drift().insideShare(),
              cell("%+.3f", offline.ncisDifference()),
              100 * offline.essShare(),
              cell("%+.4f", offline.gaucDifference()),
              round.canary().map(test -> cell("%+.2f", test.uvcLift())).orElse("none"),
              verdict(round)));
    }
    text.append("\nHalf-width of the box -> how far the new policy moved, by action dimension\n\n");
    text.append("| round |");
    scores.forEach(score -> text.append(" power ").append(score).append(" |"));
    scores.forEach(score -> text.append(" bias ").append(score).append(" |"));
    text.append("\n|").append(" --- |".repeat(2 * scores.size() + 1)).append('\n');
    for (Round round : rounds) {
      List<Double> half = round.bounds().halfWidths();
      List<Double> moved = round.offline().drift().moved();
      text.append("| ").append(round.number()).append(" |");
      for (int k = 0; k < half.size(); k++) {
        text.append(String.format(Locale.ROOT, " %.2f -> %.2f |", half.get(k), moved.get(k)));
      }
      text.append('\n');
    }
    return text.append('\n').toString();
  }

  private static String cell(String format, Interval interval) {
    if (Double.isNaN(interval.mean())) {
      return "not known";
    }
    String all = format + " [" + format + ", " + format + "]";
    return String.format(Locale.ROOT, all, interval.mean(), interval.low(), interval.high());
  }
}
