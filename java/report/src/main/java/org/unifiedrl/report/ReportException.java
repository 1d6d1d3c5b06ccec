package org.unifiedrl.report;

/** What was given cannot be reported on; the message names the place and the remedy. */
public final class ReportException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  ReportException(String message) {
    super(message);
  }

  ReportException(String message, Throwable cause) {
    super(message, cause);
  }
}
