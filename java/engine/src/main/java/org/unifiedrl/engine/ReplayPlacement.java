package org.unifiedrl.engine;

/**
 * Where the replay's rows lie for back ends with memory of their own. Back ends that compute in the
 * host's memory read the rows where they are, whatever is chosen.
 */
public enum ReplayPlacement {
  /** On the device when they fit beside everything else, else streamed. */
  AUTO(0),
  /** All on the device, uploaded once; engines are refused when they do not fit. */
  RESIDENT(1),
  /** In the host's memory; the rows of coming steps are copied ahead of them. */
  STREAMED(2);

  private final int code;

  ReplayPlacement(int code) {
    this.code = code;
  }

  /** Number in the C ABI. */
  int code() {
    return code;
  }
}
