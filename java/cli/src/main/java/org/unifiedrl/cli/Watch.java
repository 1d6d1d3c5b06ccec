package org.unifiedrl.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.unifiedrl.mtf.experiment.MetricsListener;
import org.unifiedrl.report.JsonLines;
import org.unifiedrl.report.TensorBoardListener;

/**
 * What hears of a command's trainings: the run folder's JSON lines always, TensorBoard's files and
 * Prometheus where the options say. None of them can end a training: what one of them fails at is a
 * warning, once, and the others go on.
 */
final class Watch implements AutoCloseable {

  private final RunOptions common;
  private final boolean tensorBoard;
  private final MetricsListener lasting;

  /** JSON lines only. */
  Watch(RunOptions common) {
    this(common, false, null);
  }

  /**
   * JSON lines and more.
   *
   * @param lasting hears all trainings of the command, until this is closed; may be null
   */
  Watch(RunOptions common, boolean tensorBoard, MetricsListener lasting) {
    this.common = common;
    this.tensorBoard = tensorBoard;
    this.lasting = lasting;
  }

  /** What hears of the training whose run folder is given; closed after it. */
  MetricsListener metrics(RunFolder folder) {
    List<MetricsListener> listeners = new ArrayList<>();
    listeners.add(new JsonLines(folder.path()));
    if (tensorBoard) {
      listeners.add(new TensorBoardListener(folder.path()));
    }
    if (lasting != null) {
      listeners.add(new Open(lasting));
    }
    return MetricsListener.all(listeners, this::failed);
  }

  private void failed(MetricsListener listener, RuntimeException e) {
    PrintWriter err = common.spec.commandLine().getErr();
    err.println(
        "unifiedrl: warning: "
            + listener
            + " hears no more of this training ("
            + FileErrors.message(e)
            + "); training goes on");
    if (common.verbose) {
      e.printStackTrace(err);
    }
    err.flush();
  }

  @Override
  public void close() {
    if (lasting != null) {
      lasting.close();
    }
  }

  /** A listener that outlives the training it hears of. */
  private record Open(MetricsListener of) implements MetricsListener {

    @Override
    public void begin(long step, long steps) {
      of.begin(step, steps);
    }

    @Override
    public void metrics(long step, Map<String, Double> values) {
      of.metrics(step, values);
    }

    @Override
    public void resources(long step, Map<String, Double> values) {
      of.resources(step, values);
    }

    @Override
    public void end() {
      of.end();
    }

    /** This training is over, whether or not it ended well. */
    @Override
    public void close() {
      of.end();
    }

    @Override
    public String toString() {
      return of.toString();
    }
  }
}
