package org.unifiedrl.cli;

/** The command was used wrongly: exit code 2, and the message says what to do instead. */
final class UsageException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  UsageException(String message) {
    super(message);
  }

  UsageException(String message, Throwable cause) {
    super(message, cause);
  }
}
