package org.unifiedrl.mtf;

import java.nio.file.Path;

/** Where tests find data that the repository does not carry. */
public final class TestData {

  private TestData() {}

  /** Folder of {@code UNIFIEDRL_DATA}, or {@code ../shared/data} beside the repository. */
  public static Path root() {
    String set = System.getenv("UNIFIEDRL_DATA");
    return set != null
        ? Path.of(set)
        : Path.of(System.getProperty("unifiedrl.root", "."), "..", "shared", "data").normalize();
  }
}
