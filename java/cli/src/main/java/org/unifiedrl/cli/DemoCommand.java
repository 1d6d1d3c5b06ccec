package org.unifiedrl.cli;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.unifiedrl.mtf.baseline.Baseline;
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
      "  unifiedrl demo --environment kuairand:../KuaiRand-Pure/data \\",
      "      --out runs/kuairand",
      "  unifiedrl demo --backend cuda --device 1 --replay resident",
      "  unifiedrl demo --seed 7 --set training.steps=8000 --json -"
    })
final class DemoCommand implements Callable<Integer> {

  @Mixin RunOptions common;
  @Mixin ConfigOptions options;
  @Spec CommandSpec spec;

  @Override
  public Integer call() {
    common.checkJson();
    ExperimentConfig config = options.resolve(null, common.seed);
    EngineAccess.requireEngine(config.engineOptions());
    Environment environment = ConfigOptions.open(config);
    RunFolder folder = RunFolder.plan(common.out, "demo");
    Session session = new Session(config, environment, folder, common);
    Baseline baseline = session.explore();
    Supplier<Policy> policy = session.train(baseline, folder.train(), false);
    session.evaluate(baseline, policy, folder.heldOut());
    AbTest.Result test = session.compare(baseline.policy(), policy);
    session.finish();
    draw(folder, config, environment, test);
    return 0;
  }

  /** The result is safe by now: a chart that cannot be drawn is not worth losing it. */
  private void draw(
      RunFolder folder, ExperimentConfig config, Environment environment, AbTest.Result test) {
    String title = environment.name() + ", seed " + config.seed();
    try {
      Charts.write(folder.chart(), folder.readMetrics(), test, title);
    } catch (RuntimeException | Error e) { // a JVM without fonts or a desktop throws errors here
      PrintWriter err = spec.commandLine().getErr();
      err.println(
          "unifiedrl: warning: no chart was drawn ("
              + FileErrors.message(e)
              + "); everything else is in "
              + folder.path());
      if (common.verbose) {
        e.printStackTrace(err);
      }
    }
  }
}
