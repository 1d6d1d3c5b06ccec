package org.unifiedrl.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "train",
    description = {
      "Trains offline on a log. Checkpoints appear whole or not at all; --resume continues from the"
          + " newest one, bit for bit as if training had never stopped where the back end is the"
          + " same; the precision must be the same.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl train --data runs/log --out runs/policy",
      "  unifiedrl train --data runs/log --out runs/policy --resume \\",
      "      --set training.steps=20000",
      "  unifiedrl train --data runs/log --backend cuda --precision bf16",
      "  unifiedrl train --data runs/log --tensorboard --metrics-port 9400",
      "  unifiedrl train --data runs/log --backend check:reference,cpu \\",
      "      --set training.steps=10"
    })
final class TrainCommand implements Callable<Integer> {

  @Option(
      names = "--data",
      paramLabel = "DIR",
      required = true,
      description = "Run folder of explore, import or demo whose log is learned from.")
  Path data;

  @Option(
      names = "--resume",
      description = "Continue from the newest checkpoint in --out, with its configuration.")
  boolean resume;

  @Mixin RunOptions common;
  @Mixin WatchOptions watched;
  @Mixin ConfigOptions options;

  @Override
  public Integer call() {
    common.checkJson();
    RunFolder log = RunFolder.open(data, "--data");
    if (resume && common.out == null) {
      throw new UsageException("--resume needs --out DIR, the folder of the run to continue");
    }
    log.requireLog(log.train(), "--data");
    RunFolder folder =
        resume ? RunFolder.open(common.out, "--out") : RunFolder.plan(common.out, "train");
    ExperimentConfig config = options.resolve(resume ? folder.config() : log.config(), common.seed);
    if (!resume) { // a checkpoint is asked first: it may have been trained in another precision
      EngineAccess.requireEngine(config.engineOptions());
    }
    Environment environment = ConfigOptions.open(config);
    try (Watch watch = watched.open(common)) {
      Session session = new Session(config, environment, folder, common, watch);
      session.train(log.readBaseline(environment), log.train(), resume);
      session.finish();
    }
    return 0;
  }
}
