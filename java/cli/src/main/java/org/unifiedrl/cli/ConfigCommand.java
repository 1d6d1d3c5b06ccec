package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.concurrent.Callable;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "config",
    description = {
      "Prints every setting with its value and meaning, as YAML that --config reads; the paper's"
          + " symbols stand in parentheses.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl config",
      "  unifiedrl config > mine.yaml",
      "  unifiedrl config --config mine.yaml --set training.steps=8000 --json -"
    })
final class ConfigCommand implements Callable<Integer> {

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Key of every random draw, one of the settings.")
  Long seed;

  @Mixin ReportOptions common;
  @Mixin ConfigOptions options;

  @Override
  public Integer call() {
    common.check();
    ExperimentConfig config = options.resolve(null, seed);
    common.text().print(Configuration.commented(config));
    common.write(Json.MAPPER.<ObjectNode>valueToTree(config));
    return 0;
  }
}
