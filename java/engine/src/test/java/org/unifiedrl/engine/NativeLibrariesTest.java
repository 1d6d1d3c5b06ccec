package org.unifiedrl.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.jar.JarOutputStream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A library is loaded once in a JVM, so each of these starts its own. */
class NativeLibrariesTest {

  /** Prints the back ends, or why they could not be loaded. */
  public static final class Main {
    private Main() {}

    public static void main(String[] arguments) {
      for (int use = 0; use < 2; use++) {
        try {
          Backends.list().forEach(device -> System.out.println(device.name()));
        } catch (EngineException e) {
          System.out.println(e.status() + " " + use + " " + e.getMessage());
        }
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
        .contains("-D" + NativeLibraries.PATH_PROPERTY + "=DIR")
        .contains("UNAVAILABLE 0 UNAVAILABLE: The native engine could not be loaded")
        .as("the second use says the same")
        .contains("UNAVAILABLE 1 UNAVAILABLE: The native engine could not be loaded");
  }

  @Test
  void twoBuildsOfOneVersionDoNotShareAnUnpackedFile(@TempDir Path folder) throws Exception {
    Path cache = folder.resolve("cache");
    File first = NativeLibraries.extract(jarWith(folder.resolve("a"), "old build"), cache);
    File second = NativeLibraries.extract(jarWith(folder.resolve("b"), "new build"), cache);
    assertThat(first).hasName("lib.so").hasContent("old build");
    assertThat(second).hasName("lib.so").hasContent("new build");
    Files.writeString(second.toPath(), "torn");
    File again = NativeLibraries.extract(jarWith(folder.resolve("b"), "new build"), cache);
    assertThat(again).isEqualTo(second).hasContent("new build");
    assertThat(second.getParentFile().list()).containsExactly("lib.so");
  }

  /** A jar of one name, time and size, as reproducible builds of one version are. */
  private static URL jarWith(Path folder, String content) throws IOException {
    Files.createDirectories(folder);
    Path jar = folder.resolve("engine-1.jar");
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
      ZipEntry entry = new ZipEntry("platform/lib.so");
      entry.setTime(0);
      out.putNextEntry(entry);
      out.write(content.getBytes(StandardCharsets.UTF_8));
    }
    return URI.create("jar:" + jar.toUri() + "!/platform/lib.so").toURL();
  }
}
