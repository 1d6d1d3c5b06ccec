package org.unifiedrl.mtf.experiment;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/** Several listeners, none of which can end the training. */
final class GuardedListeners implements MetricsListener {

  private final List<MetricsListener> listeners;
  private final BiConsumer<MetricsListener, RuntimeException> failed;

  GuardedListeners(
      List<MetricsListener> listeners, BiConsumer<MetricsListener, RuntimeException> failed) {
    this.listeners = new ArrayList<>(listeners);
    this.failed = failed;
  }

  private void tell(Consumer<MetricsListener> call) {
    for (MetricsListener listener : List.copyOf(listeners)) {
      try {
        call.accept(listener);
      } catch (RuntimeException e) {
        listeners.remove(listener);
        failed.accept(listener, e);
        try {
          listener.close();
        } catch (RuntimeException closing) {
          e.addSuppressed(closing); // the first failure is the one that says something
        }
      }
    }
  }

  @Override
  public void begin(long step, long steps) {
    tell(listener -> listener.begin(step, steps));
  }

  @Override
  public void metrics(long step, Map<String, Double> values) {
    tell(listener -> listener.metrics(step, values));
  }

  @Override
  public void resources(long step, Map<String, Double> values) {
    tell(listener -> listener.resources(step, values));
  }

  @Override
  public void end() {
    tell(MetricsListener::end);
  }

  @Override
  public void close() {
    tell(MetricsListener::close);
  }
}
