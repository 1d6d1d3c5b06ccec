package org.unifiedrl.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where a fault cannot be made here, a process that has it is described in files. */
class LinkDiagnosisTest {

  private static final String MAP_FAILURE =
      "%s: %s: failed to map segment from shared object".formatted("x.so", "x.so");

  @TempDir Path process;
  private Path library;

  @BeforeEach
  void aSoundLibrary() throws Exception {
    Path built = Path.of(Native.class.getResource("linux-x86_64/libunifiedrl.so").toURI());
    Path folder = Files.createDirectories(process.toRealPath().resolve("tmp/cache"));
    library = Files.copy(built, folder.resolve("libunifiedrl.so"));
  }

  private void mounts(String... pointsAndOptions) throws IOException {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < pointsAndOptions.length; i += 2) {
      text.append(
          "36 35 98:0 / %s %s shared:1 - tmpfs tmpfs rw%n"
              .formatted(pointsAndOptions[i], pointsAndOptions[i + 1]));
    }
    Files.writeString(process.resolve("mountinfo"), text);
  }

  private String of(String message) {
    return new LinkDiagnosis(process).of(library, message);
  }

  @Test
  void theNearestMountDecidesWhetherItIsNoexec() throws IOException {
    String root = process.toRealPath().toString();
    mounts("/", "rw,relatime", root + "/tmp", "rw,nosuid,noexec", root + "/other", "rw");
    assertThat(of(MAP_FAILURE))
        .contains("It lies on " + root + "/tmp, which is mounted with 'noexec'")
        .contains("-D" + LinkDiagnosis.CACHE_PROPERTY + "=DIR")
        .contains("-D" + NativeLibraries.PATH_PROPERTY);
    mounts("/", "rw,noexec", root + "/tmp", "rw,nosuid");
    assertThat(of(MAP_FAILURE))
        .doesNotContain("noexec'")
        .contains("Programs may not be executed in " + library.getParent());
    mounts(root + "/tmp", "rw,noexec", root + "/tmp", "rw");
    assertThat(of(MAP_FAILURE)).as("the later one hides the first").doesNotContain("noexec'");
  }

  @Test
  void muslIsRecognisedByTheLoaderThatTheProcessHas() throws IOException {
    Files.writeString(
        process.resolve("maps"),
        "7f5e3c000000-7f5e3c028000 r--p 00000000 fe:01 1234 /lib/ld-musl-x86_64.so.1\n");
    assertThat(of("Error loading shared library ld-linux-x86-64.so.2: No such file or directory"))
        .contains("musl (Alpine Linux)", "glibc " + LinkDiagnosis.OLDEST_GLIBC, "Debian 12");
  }

  @Test
  void aMissingLibraryIsNamedWithItsPackage() {
    assertThat(of("x.so: libstdc++.so.6: cannot open shared object file: No such file"))
        .contains("The system lacks libstdc++.so.6", "libstdc++6");
  }

  @Test
  void whatIsCutOffIsToldFromWhatIsWhole() throws IOException {
    byte[] whole = Files.readAllBytes(library);
    assertThat(LinkDiagnosis.cutOff(library)).isNull();
    for (int length : new int[] {40, 64, whole.length / 2, whole.length - 1}) {
      Files.write(library, Arrays.copyOf(whole, length));
      assertThat(LinkDiagnosis.cutOff(library))
          .contains(library + " is cut off: it has " + length + " bytes, and at least ");
    }
    Files.writeString(library, "no library");
    assertThat(LinkDiagnosis.cutOff(library)).as("the linker says so").isNull();
    Files.delete(library);
    assertThat(LinkDiagnosis.cutOff(library)).isNull();
    assertThat(of("no such file")).contains("It cannot be read", "NoSuchFile");
  }

  @Test
  void aSoundLibraryAndAnUnknownMessageAreLeftAlone() {
    assertThat(of("undefined symbol: nothing")).isEmpty();
  }
}
