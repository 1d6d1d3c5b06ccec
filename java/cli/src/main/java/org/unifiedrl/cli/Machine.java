package org.unifiedrl.cli;

import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;
import org.unifiedrl.mtf.experiment.ProcessMemory;

/** What the operating system and the JVM know of this process and its machine. */
final class Machine {

  private static final Path MEMORY = Path.of("/proc/meminfo");
  private static final Path PROCESSOR = Path.of("/proc/cpuinfo");

  // Found once and used once: a first use allocates, and what is measured is often 0 bytes.
  private static final com.sun.management.ThreadMXBean THREADS =
      ManagementFactory.getThreadMXBean() instanceof com.sun.management.ThreadMXBean threads
          ? threads
          : null;

  static {
    if (THREADS != null) {
      THREADS.getCurrentThreadAllocatedBytes();
    }
  }

  private Machine() {}

  /** Largest resident memory of this process so far, in MiB; NaN where the system does not say. */
  static double peakResidentMebibytes() {
    return ProcessMemory.peakMebibytes().orElse(Double.NaN);
  }

  /** Name of the processor. */
  static String processor() {
    return field(PROCESSOR, "model name").orElse(System.getProperty("os.arch"));
  }

  /** Bytes that the current thread has allocated on the Java heap. */
  static long allocatedBytes() {
    if (THREADS == null) {
      throw new IllegalStateException("this JVM does not count allocated bytes; use a HotSpot JVM");
    }
    return THREADS.getCurrentThreadAllocatedBytes();
  }

  private static Optional<String> field(Path file, String name) {
    try {
      return Files.readAllLines(file).stream()
          .filter(line -> line.startsWith(name))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** Memory of the machine that is free or can be freed, in MiB; NaN where nobody says. */
  static double availableMebibytes() {
    return field(MEMORY, "MemAvailable")
        .map(text -> Long.parseLong(text.replaceAll("[^0-9]", "")) / 1024.0)
        .orElse(Double.NaN);
  }

  /** Version of the C library, as {@code glibc 2.36}; empty where it is another one. */
  static Optional<String> cLibrary() {
    try {
      return Optional.of(output("getconf", "GNU_LIBC_VERSION")).filter(text -> !text.isEmpty());
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** This program's version and commit, as results name what made them. */
  static String program() {
    return Main.version() + ", commit " + commit();
  }

  /**
   * Commit of the sources that this program was built from, with a plus where they were changed
   * since; "unknown" where they are not a git checkout.
   */
  static String commit() {
    try {
      URL place = Machine.class.getProtectionDomain().getCodeSource().getLocation();
      String folder = Path.of(place.toURI()).getParent().toString();
      String commit = output("git", "-C", folder, "rev-parse", "--short", "HEAD");
      String changed = output("git", "-C", folder, "status", "--porcelain", "-uno");
      return commit.isEmpty() ? "unknown" : commit + (changed.isEmpty() ? "" : "+");
    } catch (IOException | URISyntaxException e) {
      return "unknown";
    }
  }

  private static String output(String... command) throws IOException {
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
  }

  /** Whether a program is on the PATH. */
  static boolean hasProgram(String name) {
    return program(name).isPresent();
  }

  /** Where on the PATH a program is. */
  static Optional<Path> program(String name) {
    String path = System.getenv("PATH");
    return path == null
        ? Optional.empty()
        : Stream.of(path.split(File.pathSeparator))
            .map(folder -> Path.of(folder, name))
            .filter(Files::isExecutable)
            .findFirst();
  }

  /** Whether text can be drawn: some JVMs come without fonts, or without the code for them. */
  static boolean hasFonts() {
    try {
      Graphics2D graphics = new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB).createGraphics();
      graphics.getFontMetrics().stringWidth("text");
      graphics.dispose();
      return true;
    } catch (RuntimeException | LinkageError | InternalError e) {
      return false;
    }
  }
}
