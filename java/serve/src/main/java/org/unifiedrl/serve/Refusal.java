package org.unifiedrl.serve;

import java.io.Serial;

/** A request that is not answered: status, place, what was found, and the remedy. */
final class Refusal extends Exception {

  @Serial private static final long serialVersionUID = 1L;

  private final int status;
  private final String code;
  private final String place;
  private final String remedy;

  /**
   * Makes a refusal.
   *
   * @param status of HTTP
   * @param code for programs, in snake_case
   * @param place in the request, as {@code candidates.watch[17]}; empty if it is the whole
   * @param message what was found and expected
   * @param remedy what to do
   */
  Refusal(int status, String code, String place, String message, String remedy) {
    super(message, null, false, false); // no stack trace: a flood of bad requests stays cheap
    this.status = status;
    this.code = code;
    this.place = place;
    this.remedy = remedy;
  }

  int status() {
    return status;
  }

  String code() {
    return code;
  }

  String place() {
    return place;
  }

  String remedy() {
    return remedy;
  }
}
