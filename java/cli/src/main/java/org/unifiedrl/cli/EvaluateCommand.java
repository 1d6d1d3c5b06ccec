package org.unifiedrl.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "evaluate",
    description = {
      "Judges a policy beside its baseline on held-out users: NCIS of the exploration log, with its"
          + " effective sample size, and MTF-GAUC of what the baseline shows them.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl evaluate --policy runs/policy --data runs/log",
      "  unifiedrl evaluate --policy runs/policy --data runs/log --set evaluation.bandwidth=0.15"
    })
final class EvaluateCommand implements Callable<Integer> {

  @Option(
      names = "--policy",
      paramLabel = "DIR",
      required = true,
      description = "Run folder of train (or demo).")
  Path policy;

  @Option(
      names = "--data",
      paramLabel = "DIR",
      required = true,
      description = "Run folder of explore (or demo) with the held-out log.")
  Path data;

  @Mixin CommonOptions common;
  @Mixin ConfigOptions options;
  @Spec CommandSpec spec;

  @Override
  public Integer call() {
    RunFolder trained = RunFolder.open(policy, "--policy");
    RunFolder log = RunFolder.open(data, "--data");
    ExperimentConfig config = options.resolve(trained.config(), common);
    Environment environment = ConfigOptions.open(config);
    RunFolder folder = RunFolder.create(common.out, "evaluate");
    Session session = new Session(config, environment, folder, common, spec.commandLine().getOut());
    session.evaluate(
        log.readBaseline(environment),
        EngineAccess.learners().policy(trained.checkpoints()),
        log.heldOut());
    session.finish(common);
    return 0;
  }
}
