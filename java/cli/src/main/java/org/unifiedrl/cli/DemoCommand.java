package org.unifiedrl.cli;

import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "demo",
    description = {
      "Runs the whole loop: baseline, exploration log, offline training, offline evaluation, A/B"
          + " test, saved policy and chart.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl demo",
      "  unifiedrl demo --environment kuairand:../KuaiRand-Pure/data \\",
      "      --out runs/kuairand",
      "  unifiedrl demo --backend cuda --device 1 --replay resident",
      "  unifiedrl demo --seed 7 --set training.steps=8000 --json -"
    })
final class DemoCommand implements Callable<Integer> {

  @Mixin RunOptions common;
  @Mixin WatchOptions watched;
  @Mixin ConfigOptions options;

  @Override
  public Integer call() {
    common.checkJson();
    ExperimentConfig config = options.resolve(null, common.seed);
    EngineAccess.requireEngine(config.engineOptions());
    Environment environment = ConfigOptions.openUsers(config);
    RunFolder folder = RunFolder.plan(common.out, "demo");
    try (Watch watch = watched.open(common)) {
      Session session = new Session(config, environment, folder, common, watch);
      Baseline baseline = session.explore();
      Supplier<Policy> policy = session.train(baseline, folder.train(), false);
      session.evaluate(baseline, policy, folder.heldOut());
      AbTest.Result test = session.compare(baseline.policy(), policy);
      session.finish();
      String title = environment.name() + ", seed " + config.seed();
      session.draw(() -> Charts.write(folder.chart(), folder.readMetrics(), test, title));
    }
    return 0;
  }
}
