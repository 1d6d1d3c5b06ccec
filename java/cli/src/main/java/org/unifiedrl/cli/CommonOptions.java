package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.file.Path;
import org.unifiedrl.mtf.experiment.RunListener;
import picocli.CommandLine.Option;

/** Options that every command has. */
final class CommonOptions {

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

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also write the result there, as JSON; - for the standard output.")
  String json;

  @Option(names = "--quiet", description = "No progress bars.")
  boolean quiet;

  @Option(names = "--verbose", description = "Print stack traces of failures.")
  boolean verbose;

  /** Progress bars on the error stream, or nothing. */
  RunListener listener() {
    return quiet ? RunListener.NONE : new Bars(System.err);
  }

  /** Writes the result where {@code --json} says. */
  void write(ObjectNode result, PrintWriter standard) {
    if (json == null) {
      return;
    }
    if (json.equals("-")) {
      standard.println(Json.pretty(result));
    } else {
      Json.write(Path.of(json), result);
    }
  }
}
