package org.unifiedrl.cli;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** What the operating system and the JVM know of this process and its machine. */
final class Machine {

  private static final Path STATUS = Path.of("/proc/self/status");
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
    return field(STATUS, "VmHWM")
        .map(text -> Long.parseLong(text.replaceAll("[^0-9]", "")) / 1024.0)
        .orElse(Double.NaN);
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
}
