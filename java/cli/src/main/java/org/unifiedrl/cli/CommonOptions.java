package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Options that every command has. */
abstract class CommonOptions {

  private static final String STANDARD = "-";

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description =
          "Also write the result there, as JSON; - for the standard output, and text then goes to"
              + " the error stream.")
  String json;

  @Option(names = "--verbose", description = "Print stack traces of failures.")
  boolean verbose;

  @Spec(Spec.Target.MIXEE)
  CommandSpec spec;

  /** Where text for the reader goes: not among the JSON. */
  final PrintWriter text() {
    return STANDARD.equals(json) ? spec.commandLine().getErr() : spec.commandLine().getOut();
  }

  /**
   * Returns if the result can be written where {@code --json} says: known before the work, not
   * after it.
   *
   * @throws UsageException if it cannot
   */
  final void checkJson() {
    if (json == null || json.equals(STANDARD)) {
      return;
    }
    Path file = Path.of(json);
    if (json.isEmpty() || Files.isDirectory(file)) {
      throw new UsageException("--json '" + json + "' is a folder: give a file");
    }
    try {
      FileErrors.probe(file.toAbsolutePath().getParent());
    } catch (IOException e) {
      throw new UsageException("--json " + json + " cannot be written: " + FileErrors.reason(e), e);
    }
  }

  /** Writes the result where {@code --json} says. */
  final void writeJson(ObjectNode result) {
    if (json == null) {
      return;
    }
    if (json.equals(STANDARD)) {
      PrintWriter out = spec.commandLine().getOut();
      out.println(Json.pretty(result));
      out.flush();
    } else {
      Json.write(Path.of(json), result);
    }
  }
}
