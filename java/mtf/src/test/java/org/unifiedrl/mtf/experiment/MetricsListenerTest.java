package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class MetricsListenerTest {

  /** Writes down what it hears; throws at one step. */
  private static final class Recorder implements MetricsListener {
    private final List<String> heard = new ArrayList<>();
    private final long bad;

    Recorder(long bad) {
      this.bad = bad;
    }

    @Override
    public void begin(long step, long steps) {
      heard.add("begin " + step + " of " + steps);
    }

    @Override
    public void metrics(long step, Map<String, Double> values) {
      if (step == bad) {
        throw new IllegalStateException("the disk is full");
      }
      heard.add("metrics " + step + " " + values);
    }

    @Override
    public void resources(long step, Map<String, Double> values) {
      heard.add("resources " + step + " " + values);
    }

    @Override
    public void end() {
      heard.add("end");
    }

    @Override
    public void close() {
      heard.add("close");
    }
  }

  @Test
  void aListenerThatThrowsIsClosedAndToldOfOnceAndTheOthersGoOn() {
    Recorder good = new Recorder(-1);
    Recorder bad = new Recorder(20);
    List<String> failures = new ArrayList<>();
    MetricsListener all =
        MetricsListener.all(
            List.of(bad, good),
            (listener, e) -> failures.add((listener == bad) + ": " + e.getMessage()));
    all.begin(0, 30);
    for (long step = 10; step <= 30; step += 10) {
      all.metrics(step, Map.of("x", (double) step));
      all.resources(step, Map.of("y", 1.0));
    }
    all.end();
    all.close();
    assertThat(failures).containsExactly("true: the disk is full");
    assertThat(bad.heard)
        .containsExactly("begin 0 of 30", "metrics 10 {x=10.0}", "resources 10 {y=1.0}", "close");
    assertThat(good.heard)
        .containsExactly(
            "begin 0 of 30",
            "metrics 10 {x=10.0}",
            "resources 10 {y=1.0}",
            "metrics 20 {x=20.0}",
            "resources 20 {y=1.0}",
            "metrics 30 {x=30.0}",
            "resources 30 {y=1.0}",
            "end",
            "close");
  }

  @Test
  void noListenersAreNone() {
    assertThat(MetricsListener.all(List.of(), (listener, e) -> {})).isSameAs(MetricsListener.NONE);
  }
}
