package org.unifiedrl.mtf.experiment;

/** Hears how a run goes; called by one thread at a time. */
public interface RunListener {

  /** Hears nothing. */
  RunListener NONE = (name, unit, total) -> new Stage() {};

  /**
   * A stage begins.
   *
   * @param name what is done, as "explore"
   * @param unit what is counted, as "users"
   * @param total how many there are
   */
  Stage begin(String name, String unit, long total);

  /** A stage of a run, closed when it is over. */
  interface Stage extends AutoCloseable {

    /**
     * So many are done.
     *
     * @param note a short remark on the state of things, may be empty
     */
    default void at(long done, String note) {}

    @Override
    default void close() {}
  }
}
