package org.unifiedrl.mtf.kuairand;

/** A KuaiRand folder or file that cannot be used; the message names file, line and column. */
public final class KuaiRandException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  KuaiRandException(String message) {
    super(message);
  }

  KuaiRandException(String message, Throwable cause) {
    super(message, cause);
  }
}
