package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.unifiedrl.mtf.experiment.EstimatorAgreement;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "estimators",
    description = {
      "Measures how far off-policy estimators put policies in the order of their true values: twelve"
          + " policies (the baseline, constant vectors in the box, a learned one at five checkpoints)"
          + " are judged by a log of exploration and serve users. NCIS, with its kernel plain and"
          + " truncated to the box, and those of evaluation.estimators.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl bench estimators --set \"evaluation.estimators=[dm, sndr, switch_dr, fqe]\"",
      "  unifiedrl bench estimators --seed 3 --set exploration.held_out_users=20000"
    })
final class BenchEstimatorsCommand implements Callable<Integer> {

  @Mixin RunOptions common;
  @Mixin ConfigOptions options;

  @Override
  public Integer call() {
    common.checkJson();
    ExperimentConfig config = options.resolve(null, common.seed);
    EngineAccess.requireEngine(config.engineOptions());
    if (!config.exploration().kind().bounded()) {
      throw new UsageException(
          "exploration.kind is "
              + config.exploration().kind()
              + ": constant vectors are placed in a box; choose uniform, truncated_gaussian or sobol");
    }
    Environment environment = ConfigOptions.openUsers(config);
    RunFolder folder = RunFolder.plan(common.out, "estimators");
    folder.writeConfig(config);
    EstimatorAgreement.Result found =
        EstimatorAgreement.run(
            config,
            environment,
            EngineAccess.learners(),
            EstimatorAgreement.Settings.defaults(),
            folder.train().getParent(),
            common.listener());
    PrintWriter text = common.text();
    text.println(found.markdown());
    text.flush();
    ObjectNode result = json(found);
    Json.write(folder.result(), result);
    common.writeJson(result);
    return 0;
  }

  private static ObjectNode json(EstimatorAgreement.Result found) {
    ObjectNode result = Json.object();
    result.put("requests", found.requests());
    ArrayNode estimators = result.putArray("estimators");
    for (EstimatorAgreement.Agreement a : found.agreements()) {
      ObjectNode node = estimators.addObject();
      node.put("estimator", a.estimator());
      Json.put(node, "rank_correlation", a.correlation().mean());
      Json.put(node, "low", a.correlation().low());
      Json.put(node, "high", a.correlation().high());
      node.put("judged", a.judged());
      node.put("policies", a.policies());
      Json.put(node, "regret", a.regret());
      Json.put(node, "error", a.error());
      Json.put(node, "ess_share", a.essShare());
      Json.put(node, "seconds", a.seconds());
    }
    ArrayNode policies = result.putArray("policies");
    for (EstimatorAgreement.JudgedPolicy policy : found.policies()) {
      ObjectNode node = policies.addObject();
      node.put("policy", policy.name());
      Json.put(node, "value", policy.truth().mean());
      Json.put(node, "low", policy.truth().low());
      Json.put(node, "high", policy.truth().high());
      policy
          .estimates()
          .forEach((name, e) -> Json.put(node, name, e.refused() ? Double.NaN : e.value()));
    }
    return result;
  }
}
