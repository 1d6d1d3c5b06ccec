package org.unifiedrl.data;

/**
 * A log, or a mapping of its columns, that cannot be imported; the message names the place and the
 * remedy.
 */
public final class ImportException extends RuntimeException {

  private static final long serialVersionUID = 1;

  public ImportException(String message) {
    super(message);
  }

  public ImportException(String message, Throwable cause) {
    super(message, cause);
  }
}
