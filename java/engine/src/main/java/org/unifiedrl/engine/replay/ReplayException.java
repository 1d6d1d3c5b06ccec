package org.unifiedrl.engine.replay;

/** A replay file, row or folder cannot be used; the message says which, why, and what to do. */
public final class ReplayException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  public ReplayException(String message) {
    super(message);
  }

  public ReplayException(String message, Throwable cause) {
    super(message, cause);
  }
}
