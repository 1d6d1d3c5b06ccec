package org.unifiedrl.cli;

import java.io.PrintStream;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.unifiedrl.mtf.experiment.RunListener;

/** Progress, one bar for each stage; where nobody watches, a plain line now and then. */
final class Bars implements RunListener {

  private static final int WIDEST = 100;
  private static final long LINE_EVERY = TimeUnit.SECONDS.toNanos(10);

  private final PrintStream stream;
  private final boolean terminal;
  private final int width;

  /**
   * Progress on a stream.
   *
   * @param terminal whether the stream is a terminal, where a line can be written over
   * @param columns the terminal's width; 0 if it is not known
   */
  Bars(PrintStream stream, boolean terminal, int columns) {
    this.stream = stream;
    this.terminal = terminal;
    this.width = columns > 1 ? Math.min(WIDEST, columns - 1) : WIDEST;
  }

  /** Progress on the error stream, which the launcher tests and measures. */
  static Bars standard() {
    return new Bars(
        System.err,
        Boolean.getBoolean("unifiedrl.terminal"),
        Integer.getInteger("unifiedrl.columns", 0));
  }

  @Override
  public Stage begin(String name, String unit, long total) {
    return terminal ? bar(name, unit, total) : lines(name, unit, total);
  }

  private Stage bar(String name, String unit, long total) {
    ProgressBar bar =
        new ProgressBarBuilder()
            .setTaskName(String.format("%-8s", name))
            .setUnit(" " + unit, 1)
            .setInitialMax(total)
            .setStyle(ProgressBarStyle.ASCII)
            .setUpdateIntervalMillis(200)
            .setConsumer(new ConsoleProgressBarConsumer(stream, width))
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

  private Stage lines(String name, String unit, long total) {
    long start = System.nanoTime();
    return new Stage() {
      private long done;
      private long shown = start;

      @Override
      public synchronized void at(long now, String note) {
        done = now;
        if (System.nanoTime() - shown >= LINE_EVERY) {
          shown = System.nanoTime();
          print();
        }
      }

      @Override
      public synchronized void close() {
        print();
      }

      private void print() {
        double seconds = (System.nanoTime() - start) / 1e9;
        stream.println(line(name, done, total, unit, seconds));
      }
    };
  }

  /** What is done, and after a second of work how fast, and the time that the rest takes so. */
  static String line(String name, long done, long total, String unit, double seconds) {
    String line =
        String.format(Locale.ROOT, "%-8s %,d/%,d %s, %.0f s", name, done, total, unit, seconds);
    if (seconds < 1 || done == 0) {
      return line;
    }
    double rate = done / seconds;
    line += String.format(Locale.ROOT, rate < 10 ? ", %.2g/s" : ", %,.0f/s", rate);
    return done < total ? line + ", " + time((total - done) / rate) + " left" : line;
  }

  private static String time(double seconds) {
    return seconds < 120
        ? String.format(Locale.ROOT, "%.0f s", seconds)
        : seconds < 7200
            ? String.format(Locale.ROOT, "%.0f min", seconds / 60)
            : String.format(Locale.ROOT, "%.1f h", seconds / 3600);
  }
}
