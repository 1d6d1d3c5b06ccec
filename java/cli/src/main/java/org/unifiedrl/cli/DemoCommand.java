package org.unifiedrl.cli;

import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

@Command(
    name = "demo",
    description = {
      "Runs the whole loop: baseline, exploration log, offline training, offline evaluation, A/B"
          + " test, saved policy and chart.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl demo",
      "  unifiedrl demo --environment kuairand:../KuaiRand-Pure/data --out runs/kuairand",
      "  unifiedrl demo --seed 7 --set training.steps=8000 --json -"
    })
final class DemoCommand implements Callable<Integer> {

  @Mixin CommonOptions common;
  @Mixin ConfigOptions options;
  @Spec CommandSpec spec;

  @Override
  public Integer call() {
    ExperimentConfig config = options.resolve(null, common);
    Environment environment = ConfigOptions.open(config);
    RunFolder folder = RunFolder.create(common.out, "demo");
    Session session = new Session(config, environment, folder, common, spec.commandLine().getOut());
    ConstantPolicy baseline = session.explore();
    Supplier<Policy> policy = session.train(baseline, folder.train(), false);
    session.evaluate(baseline, policy, folder.heldOut());
    AbTest.Result test =
        session.compare(() -> new ConstantPolicy(baseline.stateSize(), baseline.action()), policy);
    Charts.write(
        folder.chart(), folder.readMetrics(), test, environment.name() + ", seed " + config.seed());
    session.finish(common);
    return 0;
  }
}
