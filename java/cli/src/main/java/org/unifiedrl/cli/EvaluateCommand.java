package org.unifiedrl.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "evaluate",
    description = {
      "Judges a policy beside its baseline on held-out users: NCIS of the exploration log, with its"
          + " effective sample size, and MTF-GAUC of what the baseline shows them.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl evaluate --policy runs/policy --data runs/log",
      "  unifiedrl evaluate --policy runs/policy --data runs/log \\",
      "      --set evaluation.bandwidth=0.15"
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
      description = "Run folder of explore, import or demo with the held-out log.")
  Path data;

  @Mixin RunOptions common;
  @Mixin ConfigOptions options;

  @Override
  public Integer call() {
    common.checkJson();
    RunFolder trained = RunFolder.open(policy, "--policy");
    trained.requirePolicy("--policy");
    RunFolder log = RunFolder.open(data, "--data");
    log.requireLog(log.heldOut(), "--data");
    ExperimentConfig config = options.resolve(trained.config(), common.seed);
    Environment environment = ConfigOptions.open(config);
    RunFolder folder = RunFolder.plan(common.out, "evaluate");
    Session session = new Session(config, environment, folder, common);
    Checkpoint checkpoint = CheckpointStore.newest(trained.checkpoints());
    session.judge(checkpoint);
    Baseline served = log.readBaseline(environment);
    session.evaluate(
        served.loggedOnly() ? trained.readBaseline(environment) : served,
        EngineAccess.learners().policy(checkpoint.folder()),
        log.heldOut());
    session.finish();
    return 0;
  }
}
