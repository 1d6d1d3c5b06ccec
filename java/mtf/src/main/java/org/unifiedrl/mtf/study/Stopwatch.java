package org.unifiedrl.mtf.study;

import java.util.HashMap;
import java.util.Map;
import org.unifiedrl.mtf.experiment.RunListener;

/** Adds up how long stages of each name took. One thread at a time. */
final class Stopwatch implements RunListener {

  private final Map<String, Long> nanoseconds = new HashMap<>();

  @Override
  public Stage begin(String name, String unit, long total) {
    long start = System.nanoTime();
    return new Stage() {
      @Override
      public void close() {
        nanoseconds.merge(name, System.nanoTime() - start, Long::sum);
      }
    };
  }

  /** Time in stages of a name, in seconds; 0 if there was none. */
  double seconds(String name) {
    return nanoseconds.getOrDefault(name, 0L) * 1e-9;
  }
}
