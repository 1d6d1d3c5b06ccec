package org.unifiedrl.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.unifiedrl.data.ExampleLog;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.Pipeline;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "example",
    description = {
      "Writes an example of a production system's log, as Parquet files, and the mapping that import"
          + " takes: users of the environment, explored around its baseline.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl example --out example",
      "  unifiedrl import example/*.parquet --mapping example/mapping.yaml \\",
      "      --out runs/log"
    })
final class ExampleCommand implements Callable<Integer> {

  @Mixin RunOptions common;
  @Mixin ConfigOptions options;

  @Override
  public Integer call() {
    common.checkJson();
    ExperimentConfig config = options.resolve(null, common.seed);
    Environment environment = ConfigOptions.openUsers(config);
    if (config.exploration().kind() != ExperimentConfig.ExplorationKind.UNIFORM
        || config.exploration().granularity() != ExperimentConfig.Granularity.USER
        || !config.exploration().lowerBounds().isEmpty()
        || !config.exploration().upperBounds().isEmpty()) {
      throw new UsageException(
          "an example is explored uniformly, request by request, in a box of one half_width: leave"
              + " the other exploration settings out");
    }
    RunFolder folder = RunFolder.plan(common.out, "example");
    Path unfinished = folder.path().resolve(".unfinished");
    long rows;
    try {
      DurableFiles.createFolders(unfinished);
      RunFolder explored = new RunFolder(unfinished);
      Pipeline pipeline =
          new Pipeline(config, environment, EngineAccess.learners(), common.listener());
      pipeline.explore(pipeline.baseline().policy(), explored.train(), explored.heldOut());
      try (Replay replay =
          Replay.open(List.of(explored.train(), explored.heldOut()), Replay.Options.DEFAULT)) {
        rows = replay.rows();
        new ExampleLog(replay, environment, config.exploration().halfWidth())
            .write(unfinished.resolve("example"));
      }
      try (var files = Files.list(unfinished.resolve("example"))) {
        for (Path file : files.toList()) {
          DurableFiles.rename(file, folder.path().resolve(file.getFileName()));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot write " + folder.path() + ": " + FileErrors.reason(e), e);
    } finally {
      remove(unfinished);
    }
    common.text().printf("Wrote %,d requests and mapping.yaml%nLeft in %s%n", rows, folder.path());
    common.text().flush();
    common.writeJson(Json.object().put("requests", rows));
    return 0;
  }

  private static void remove(Path folder) {
    try {
      DurableFiles.deleteTree(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot remove " + folder + ": " + FileErrors.reason(e), e);
    }
  }
}
