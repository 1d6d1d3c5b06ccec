package org.unifiedrl.cli;

import java.util.concurrent.Callable;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.ProgressiveTraining;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "progressive",
    description = {
      "Progressive training: rounds of exploration around the served policy, training, offline"
          + " evaluation, gate and canary A/B test. A policy that passes is served next; one that"
          + " does not is kept in its round's folder, and everything else stays as it was.%n",
      "exploration.users, exploration.held_out_users and training.steps are split evenly over the"
          + " rounds: the run costs what demo costs, and its canaries.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl progressive",
      "  unifiedrl progressive --set progressive.rounds=3 --out runs/ptm",
      "  unifiedrl progressive --out runs/ptm --resume",
      "  unifiedrl progressive --set progressive.data=latest \\",
      "      --set progressive.box=fixed --set exploration.half_width=0.15"
    })
final class ProgressiveCommand implements Callable<Integer> {

  @Option(
      names = "--resume",
      description =
          "Continue the run in --out, with its configuration, to the result that it would have had.")
  boolean resume;

  @Mixin RunOptions common;
  @Mixin WatchOptions watched;
  @Mixin ConfigOptions options;

  @Override
  public Integer call() {
    common.checkJson();
    if (resume && common.out == null) {
      throw new UsageException("--resume needs --out DIR, the folder of the run to continue");
    }
    RunFolder folder =
        resume ? RunFolder.open(common.out, "--out") : RunFolder.plan(common.out, "progressive");
    ExperimentConfig config = options.resolve(resume ? folder.config() : null, common.seed);
    if (resume) {
      Configuration.requireSameResult(Configuration.read(folder.config()), config, folder.path());
    }
    EngineAccess.requireEngine(config.engineOptions());
    Environment environment = ConfigOptions.openUsers(config);
    try (Watch watch = watched.open(common)) {
      Session session = Session.progressive(config, environment, folder, common, watch);
      ProgressiveTraining.Result run = session.rounds();
      AbTest.Result test = session.compare(run.baseline().policy(), run.policy());
      session.finish();
      String title = environment.name() + ", seed " + config.seed();
      session.draw(() -> Charts.write(folder.chart(), run.rounds(), test, title));
    }
    return 0;
  }
}
