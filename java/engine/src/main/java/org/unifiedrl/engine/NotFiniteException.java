package org.unifiedrl.engine;

/**
 * A gradient or a reported value stopped being finite. The message names the op or metric and the
 * step; parameters of a member whose gradient it was are as they were before that step. Other
 * members may have gone on, so restore a checkpoint before going on.
 */
public final class NotFiniteException extends EngineException {

  private static final long serialVersionUID = 1;

  /** For those who watch what an engine reports. */
  public NotFiniteException(String message) {
    super(Status.NOT_FINITE, message);
  }
}
