package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.unifiedrl.report.Report;
import org.unifiedrl.report.ReportException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "report",
    description = {
      "Writes runs as one HTML page that needs nothing else, no network either: learning curves with"
          + " bands over seeds, A/B tests, where the policy acts in the explored box, speed, and the"
          + " settings that differ. Runs that differ by their seed only are drawn as one.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl report runs/demo",
      "  unifiedrl report runs/seed-* --out seeds.html",
      "  unifiedrl report runs/box runs/gaussian --out exploration.html \\",
      "      --title 'Box or Gaussian'"
    })
final class ReportCommand implements Callable<Integer> {

  @Parameters(
      paramLabel = "RUN",
      arity = "1..*",
      description = "Run folders of demo, train, progressive or compare, all of one environment.")
  List<Path> runs;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      description =
          "The page (default: report.html, in the run folder if there is one, else in the present"
              + " folder); an earlier one is replaced.")
  Path out;

  @Option(
      names = "--title",
      paramLabel = "TEXT",
      description = "Heading of the page (default: the folders' names).")
  String title;

  @Mixin Options common;

  /** The options that all commands have. */
  static final class Options extends CommonOptions {}

  @Override
  public Integer call() {
    common.checkJson();
    Path file = file();
    String heading =
        title != null ? title : runs.size() == 1 ? name(runs.get(0)) : runs.size() + " runs";
    String about;
    try {
      about = Report.write(file, heading, runs);
    } catch (ReportException e) {
      throw new UsageException(e.getMessage(), e);
    }
    common.text().printf("Report of %s in %s%n", about, file);
    common.text().flush();
    ObjectNode result = Json.object();
    result.put("report", file.toString());
    ArrayNode folders = result.putArray("runs");
    runs.forEach(run -> folders.add(run.toString()));
    common.writeJson(result);
    return 0;
  }

  /** Where the page goes: known to be possible before anything is read. */
  private Path file() {
    Path standard = Path.of("report.html");
    Path file = out != null ? out : runs.size() == 1 ? runs.get(0).resolve(standard) : standard;
    if (file.toString().isEmpty() || Files.isDirectory(file)) {
      throw new UsageException("--out '" + file + "' is a folder: give a file, as report.html");
    }
    if (out != null || runs.size() > 1) {
      try {
        FileErrors.probe(file.toAbsolutePath().getParent());
      } catch (IOException e) {
        throw new UsageException("--out " + file + " cannot be used: " + FileErrors.reason(e), e);
      }
    }
    return file;
  }

  private static String name(Path run) {
    return "Run " + run.toAbsolutePath().normalize().getFileName();
  }
}
