package org.unifiedrl.mtf.experiment;

import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;

/**
 * Hears the numbers of a training, whoever shows or keeps them. Calls come from the thread that
 * trains, in the order {@link #begin}, any number of {@link #metrics} and {@link #resources},
 * {@link #end} unless training failed; several trainings may follow one another before {@link
 * #close}.
 *
 * <p>A name with a slash is one part of what stands before it: {@code q_mean/watch_time}.
 */
public interface MetricsListener extends AutoCloseable {

  /** Hears nothing, and spares training what only listeners need. */
  MetricsListener NONE = (step, values) -> {};

  /**
   * Training begins, or goes on from a checkpoint. Steps beyond it will be told again: what was
   * heard of them is void.
   *
   * @param step steps done so far, 0 for a new training
   * @param steps steps that there will be in all
   */
  default void begin(long step, long steps) {}

  /**
   * What the algorithm did, averaged over the steps since the report or the checkpoint before. The
   * same configuration on the same back end gives the same values.
   *
   * @param step steps done so far
   * @param values by name; finite
   */
  void metrics(long step, Map<String, Double> values);

  /**
   * What it took, measured: differs from run to run.
   *
   * @param step steps done so far
   * @param values by name; finite
   */
  default void resources(long step, Map<String, Double> values) {}

  /** Training has done all its steps. */
  default void end() {}

  /** Nothing more will come. */
  @Override
  default void close() {}

  /**
   * One listener of several. Watching must not cost the training that is watched: one that throws
   * is told to {@code failed}, closed, and hears nothing more, while all else goes on.
   *
   * @param failed receives the listener and what it threw, at most once for each
   */
  static MetricsListener all(
      List<MetricsListener> listeners, BiConsumer<MetricsListener, RuntimeException> failed) {
    return listeners.isEmpty() ? NONE : new GuardedListeners(listeners, failed);
  }
}
