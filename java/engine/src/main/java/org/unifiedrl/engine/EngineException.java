package org.unifiedrl.engine;

/** A failure of the native engine: its status and its text, which names the op, tensor and step. */
public class EngineException extends RuntimeException {

  private static final long serialVersionUID = 1;

  /** Kinds of failures, as in {@code unifiedrl.h}. */
  public enum Status {
    /** No failure; never thrown. */
    OK,
    /** A value, shape or name that cannot be used. */
    INVALID_ARGUMENT,
    /** More memory was wanted than there is. */
    OUT_OF_MEMORY,
    /** The back end cannot work on this machine, or the native engine could not be loaded. */
    UNAVAILABLE,
    /** A gradient is no longer finite; see {@link NotFiniteException}. */
    NOT_FINITE,
    /** Two back ends of {@code check:A,B} differ by more than the op's tolerance. */
    MISMATCH,
    /** A defect of the engine or of a library that it uses. */
    INTERNAL
  }

  /** The kind of failure. */
  private final Status status;

  EngineException(Status status, String message) {
    super(message);
    this.status = status;
  }

  static EngineException of(int status, String text) {
    Status[] all = Status.values();
    Status kind = status > 0 && status < all.length ? all[status] : Status.INTERNAL;
    String message = kind + ": " + text;
    return kind == Status.NOT_FINITE
        ? new NotFiniteException(message)
        : new EngineException(kind, message);
  }

  static EngineException unavailable(String text) {
    return new EngineException(Status.UNAVAILABLE, Status.UNAVAILABLE + ": " + text);
  }

  /** The kind of failure. */
  public Status status() {
    return status;
  }
}
