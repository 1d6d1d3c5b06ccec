package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Options of commands that report and leave no run behind. */
final class ReportOptions extends CommonOptions {

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Also leave the result there, as result.json (default: leave nothing).")
  Path out;

  /**
   * Returns if the result can be written where the options say.
   *
   * @throws UsageException if it cannot
   */
  void check() {
    checkJson();
    if (out != null) {
      RunFolder.plan(out, "");
    }
  }

  /** Writes the result where the options say. */
  void write(ObjectNode result) {
    if (out != null) {
      Json.write(new RunFolder(out).result(), result);
    }
    writeJson(result);
    text().flush();
  }
}
