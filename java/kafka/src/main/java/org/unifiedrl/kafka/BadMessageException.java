package org.unifiedrl.kafka;

/** A message that is no row, with what is wrong with it. */
final class BadMessageException extends Exception {

  private static final long serialVersionUID = 1;

  BadMessageException(String reason) {
    super(reason);
  }
}
