package org.unifiedrl.report;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import org.unifiedrl.engine.DurableFiles;

/** Runs beside one another, as one HTML page that needs nothing else. */
public final class Report {

  private Report() {}

  /**
   * Writes the page, whole or not at all; what stood there is replaced.
   *
   * @param file the page
   * @param title its heading
   * @param folders run folders, at least one
   * @return words about the page, for the reader on the command line
   * @throws ReportException if a folder is not a run's, holds nothing to show, or does not go with
   *     the others
   * @throws UncheckedIOException if the page cannot be written
   */
  public static String write(Path file, String title, List<Path> folders) {
    List<Run> runs = folders.stream().map(Run::read).toList();
    if (runs.stream().allMatch(run -> run.metrics().isEmpty() && !run.result().has("uvc_lift"))) {
      throw new ReportException(
          "nothing to show: "
              + String.join(", ", folders.stream().map(Path::toString).toList())
              + (folders.size() == 1 ? " has" : " have")
              + " neither metrics of training nor an A/B test; give what train, demo or compare left");
    }
    List<Group> groups = Group.of(runs);
    try {
      DurableFiles.writeText(file, new ReportPage(title, groups).html());
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + file, e);
    }
    return "%d run%s in %d group%s"
        .formatted(
            runs.size(), runs.size() == 1 ? "" : "s", groups.size(), groups.size() == 1 ? "" : "s");
  }
}
