package org.unifiedrl.cli;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.jar.JarFile;
import java.util.jar.Manifest;

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
      return commit(
          Path.of(Build.class.getProtectionDomain().getCodeSource().getLocation().toURI()));
    } catch (URISyntaxException e) {
      return UNKNOWN;
    }
  }

  /**
   * The same of a jar.
   *
   * @param origin the jar, or a folder of classes, which says nothing
   */
  static String commit(Path origin) {
    if (!Files.isRegularFile(origin)) {
      return UNKNOWN;
    }
    try (JarFile jar = new JarFile(origin.toFile())) {
      Manifest manifest = jar.getManifest();
      String commit = manifest == null ? null : manifest.getMainAttributes().getValue(COMMIT);
      return commit == null ? UNKNOWN : commit;
    } catch (IOException e) {
      return UNKNOWN;
    }
  }
}
