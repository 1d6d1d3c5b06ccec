package org.unifiedrl.cli;

import java.util.concurrent.Callable;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "explore",
    description = {
      "Finds the baseline and logs exploration around it, as Arrow shards that any Arrow reader"
          + " opens.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl explore --out runs/log",
      "  unifiedrl explore --set exploration.kind=gaussian \\",
      "      --set exploration.users=50000"
    })
final class ExploreCommand implements Callable<Integer> {

  @Mixin RunOptions common;
  @Mixin ConfigOptions options;

  @Override
  public Integer call() {
    common.checkJson();
    ExperimentConfig config = options.resolve(null, common.seed);
    var environment = ConfigOptions.openUsers(config);
    RunFolder folder = RunFolder.plan(common.out, "explore");
    Session session = new Session(config, environment, folder, common);
    session.explore();
    session.finish();
    return 0;
  }
}
