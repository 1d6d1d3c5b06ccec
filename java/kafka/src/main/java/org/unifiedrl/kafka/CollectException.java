package org.unifiedrl.kafka;

/**
 * A topic that cannot be collected, or not any further, until somebody acts; the message names the
 * place and the remedy. What was collected before is durable.
 */
public final class CollectException extends RuntimeException {

  private static final long serialVersionUID = 1;

  public CollectException(String message) {
    super(message);
  }

  public CollectException(String message, Throwable cause) {
    super(message, cause);
  }
}
