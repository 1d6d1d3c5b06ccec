package org.unifiedrl.cli;

import java.util.concurrent.Callable;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

@Command(
    name = "explore",
    description = {
      "Finds the baseline and logs exploration around it, as Arrow shards that any Arrow reader"
          + " opens.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl explore --out runs/log",
      "  unifiedrl explore --set exploration.kind=gaussian --set exploration.users=50000"
    })
final class ExploreCommand implements Callable<Integer> {

  @Mixin CommonOptions common;
  @Mixin ConfigOptions options;
  @Spec CommandSpec spec;

  @Override
  public Integer call() {
    ExperimentConfig config = options.resolve(null, common);
    var environment = ConfigOptions.open(config);
    RunFolder folder = RunFolder.create(common.out, "explore");
    Session session = new Session(config, environment, folder, common, spec.commandLine().getOut());
    session.explore();
    session.finish(common);
    return 0;
  }
}
