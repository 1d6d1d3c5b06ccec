package org.unifiedrl.engine;

/**
 * A gradient stopped being finite. The message names the op and the step; parameters of the member
 * concerned are as they were before that step.
 */
public final class NotFiniteException extends EngineException {

  private static final long serialVersionUID = 1;

  NotFiniteException(String message) {
    super(Status.NOT_FINITE, message);
  }
}
