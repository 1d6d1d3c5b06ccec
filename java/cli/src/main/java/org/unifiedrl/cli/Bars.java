package org.unifiedrl.cli;

import java.io.PrintStream;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.unifiedrl.mtf.experiment.RunListener;

/** Progress bars, one for each stage. */
final class Bars implements RunListener {

  private static final int WIDTH = 100;

  private final PrintStream stream;

  Bars(PrintStream stream) {
    this.stream = stream;
  }

  @Override
  public Stage begin(String name, String unit, long total) {
    // Where nobody watches, a line now and then is enough. The launcher knows: it tests its stream.
    int interval = Boolean.getBoolean("unifiedrl.terminal") ? 200 : 10_000;
    ProgressBar bar =
        new ProgressBarBuilder()
            .setTaskName(String.format("%-8s", name))
            .setUnit(" " + unit, 1)
            .setInitialMax(total)
            .setStyle(ProgressBarStyle.ASCII)
            .setUpdateIntervalMillis(interval)
            .setConsumer(new ConsoleProgressBarConsumer(stream, WIDTH))
            .build();
    return new Stage() {
      @Override
      public void at(long done, String note) {
        bar.stepTo(done);
        bar.setExtraMessage(note);
      }

      @Override
      public void close() {
        bar.close();
      }
    };
  }
}
