package org.unifiedrl.cli;

import java.io.IOException;
import org.unifiedrl.report.PrometheusListener;
import picocli.CommandLine.Option;

/** Options of commands that train: who else hears its metrics, beside the run folder's files. */
final class WatchOptions {

  private static final int LARGEST_PORT = 65_535;

  @Option(
      names = "--tensorboard",
      description =
          "Also write metrics as TensorBoard event files, into tensorboard in the run folder.")
  boolean tensorBoard;

  @Option(
      names = "--metrics-port",
      paramLabel = "N",
      description =
          "Serve the latest metrics to Prometheus while the command runs, at"
              + " http://127.0.0.1:N/metrics; 0 for any free port.")
  Integer port;

  /**
   * Begins to listen where the options say.
   *
   * @throws UsageException if the port cannot be had
   */
  Watch open(RunOptions common) {
    if (port == null) {
      return new Watch(common, tensorBoard, null);
    }
    if (port < 0 || port > LARGEST_PORT) {
      throw new UsageException(
          "--metrics-port " + port + ": expected 0 (any free port) to " + LARGEST_PORT);
    }
    try {
      PrometheusListener prometheus = PrometheusListener.serve(port);
      common.text().println("Metrics for Prometheus: " + prometheus.address());
      common.text().flush();
      return new Watch(common, tensorBoard, prometheus);
    } catch (IOException e) {
      throw new UsageException(
          "--metrics-port "
              + port
              + " cannot be used: "
              + FileErrors.reason(e)
              + "; give another one, or 0 for any free port",
          e);
    }
  }
}
