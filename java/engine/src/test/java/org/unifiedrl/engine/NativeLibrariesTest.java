package org.unifiedrl.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A library is loaded once in a JVM, so each of these starts its own. */
class NativeLibrariesTest {

  /** Prints the back ends, or why they could not be loaded. */
  public static final class Main {
    private Main() {}

    public static void main(String[] arguments) {
      try {
        Backends.list().forEach(device -> System.out.println(device.name()));
      } catch (UnsatisfiedLinkError e) {
        System.out.println(e.getMessage());
      }
    }
  }

  private static String start(Path path) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-D" + NativeLibraries.PATH_PROPERTY + "=" + path,
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return output;
  }

  @Test
  void loadsFromTheFolderOfTheProperty() throws Exception {
    Path built =
        Path.of(Native.class.getResource("linux-x86_64/libunifiedrl.so").toURI()).getParent();
    assertThat(start(built)).contains("cpu").contains("reference");
  }

  @Test
  void saysWhatWasLookedForWhereAndWhichPropertyFixesIt(@TempDir Path empty) throws Exception {
    assertThat(start(empty))
        .contains(empty.resolve("libunifiedrl.so").toString())
        .contains("libjniNative.so")
        .contains("-D" + NativeLibraries.PATH_PROPERTY + "=DIR");
  }
}
