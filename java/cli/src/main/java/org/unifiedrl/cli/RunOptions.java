package org.unifiedrl.cli;

import java.nio.file.Path;
import org.unifiedrl.mtf.experiment.RunListener;
import picocli.CommandLine.Option;

/** Options of commands that leave a run folder. */
final class RunOptions extends CommonOptions {

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Key of every random draw (default: the configuration's).")
  Long seed;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Folder for what the command leaves (default: a new one in ./runs).")
  Path out;

  @Option(names = "--quiet", description = "No progress bars.")
  boolean quiet;

  /** Progress bars on the error stream, or nothing. */
  RunListener listener() {
    return quiet ? RunListener.NONE : Bars.standard();
  }
}
