package org.unifiedrl.cli;

import java.nio.file.Path;
import org.unifiedrl.mtf.experiment.RunListener;
import org.unifiedrl.mtf.study.CellRunner;
import picocli.CommandLine.Option;

/** Options of commands that run many cells in a folder. */
final class StudyOptions extends CommonOptions {

  static final int MOST_JOBS = 1024;

  @Option(
      names = "--jobs",
      paramLabel = "N",
      description = "Runs at a time (default: one per processor).")
  Integer jobs;

  @Option(names = "--keep-logs", description = "Leave the logs of exploration on the disk.")
  boolean keepLogs;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Folder for the results; what is done there is not done again.")
  Path out;

  @Option(names = "--quiet", description = "No progress bars.")
  boolean quiet;

  /** Runs cells in {@link #out}. */
  CellRunner runner() {
    return new CellRunner(out, EngineAccess.learners(), ConfigOptions::open, Machine.program());
  }

  RunListener listener() {
    return quiet ? RunListener.NONE : Bars.standard();
  }

  /**
   * Runs at a time.
   *
   * @throws UsageException if it is not a number that makes sense
   */
  int parallel() {
    return amount("--jobs", jobs, Runtime.getRuntime().availableProcessors(), MOST_JOBS);
  }

  /** Threads that each of them may use. */
  int threads() {
    return Math.max(1, Runtime.getRuntime().availableProcessors() / parallel());
  }

  /**
   * What an option says, or what is usual.
   *
   * @throws UsageException if it is not from 1 to {@code most}
   */
  static int amount(String option, Integer given, int usual, int most) {
    if (given != null && (given < 1 || given > most)) {
      throw new UsageException(option + " is " + given + ": expected 1 to " + most);
    }
    return given == null ? usual : given;
  }
}
