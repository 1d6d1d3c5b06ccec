package org.unifiedrl.cli;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.jar.JarFile;

/** What this program was built from. */
final class Build {

  private static final String COMMIT = "Implementation-Commit";
  private static final String UNKNOWN = "unknown";

  private Build() {}

  /**
   * The git commit, from the jar's manifest: followed by {@code -modified} where files differed
   * from it, and {@code unknown} where the build knew none or this does not run from a jar.
   */
  static String commit() {
    try {
      Path jar = Path.of(Build.class.getProtectionDomain().getCodeSource().getLocation().toURI());
      if (!Files.isRegularFile(jar)) {
        return UNKNOWN;
      }
      try (JarFile file = new JarFile(jar.toFile())) {
        String commit = file.getManifest().getMainAttributes().getValue(COMMIT);
        return commit == null ? UNKNOWN : commit;
      }
    } catch (IOException | URISyntaxException e) {
      return UNKNOWN;
    }
  }
}
