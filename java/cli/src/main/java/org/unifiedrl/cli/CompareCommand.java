package org.unifiedrl.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "compare",
    description = {
      "A/B test: the same unseen users are served by a policy and by its baseline (or by another"
          + " policy) under common random numbers.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl compare --policy runs/policy",
      "  unifiedrl compare --policy runs/new --against runs/old \\",
      "      --set evaluation.users=100000",
      "  unifiedrl compare --policy runs/policy \\",
      "      --set evaluation.population=validation"
    })
final class CompareCommand implements Callable<Integer> {

  @Option(
      names = "--policy",
      paramLabel = "DIR",
      required = true,
      description = "Run folder of train (or demo).")
  Path policy;

  @Option(
      names = "--against",
      paramLabel = "DIR",
      description = "Run folder of another policy (default: the baseline of --policy).")
  Path against;

  @Mixin RunOptions common;
  @Mixin ConfigOptions options;

  @Override
  public Integer call() {
    common.checkJson();
    RunFolder trained = RunFolder.open(policy, "--policy");
    trained.requirePolicy("--policy");
    ExperimentConfig config = options.resolve(trained.config(), common.seed);
    Environment environment = ConfigOptions.openUsers(config);
    Supplier<Policy> other;
    Checkpoint opponent = null;
    if (against == null) {
      other = trained.readBaseline(environment).policy();
    } else {
      RunFolder rival = RunFolder.open(against, "--against");
      rival.requirePolicy("--against");
      opponent = CheckpointStore.newest(rival.checkpoints());
      other = EngineAccess.learners().policy(opponent.folder());
    }
    RunFolder folder = RunFolder.plan(common.out, "compare");
    Session session = new Session(config, environment, folder, common);
    Checkpoint checkpoint = CheckpointStore.newest(trained.checkpoints());
    session.judge(checkpoint);
    if (opponent != null) {
      session.against(opponent);
    }
    session.compare(other, EngineAccess.learners().policy(checkpoint.folder()));
    session.finish();
    return 0;
  }
}
