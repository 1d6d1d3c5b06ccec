package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.unifiedrl.engine.Backends;
import org.unifiedrl.engine.Device;
import org.unifiedrl.engine.JvmAccess;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "doctor",
    description = {
      "Says what this machine offers, what is missing, and whether the engine works here. Exit code"
          + " 1 if it does not.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {"  unifiedrl doctor", "  unifiedrl doctor --json -"})
final class DoctorCommand implements Callable<Integer> {

  private static final int SIZE = 512;
  private static final long MEBIBYTE = 1 << 20;
  private static final long LEAST_MEMORY = 1500;
  private static final long LEAST_DISK = 1500;

  @Mixin ReportOptions common;

  @Option(names = "--seed", paramLabel = "N", description = "Of no effect: nothing is drawn here.")
  Long seed;

  @Override
  public Integer call() {
    common.check();
    PrintWriter out = common.text();
    ObjectNode result = Json.object();
    line(out, result, "unifiedrl", Main.version());
    line(
        out, result, "system", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    line(out, result, "processor", Machine.processor());
    result.put("processors", Runtime.getRuntime().availableProcessors());
    out.printf("  %-12s %d%n", "processors", Runtime.getRuntime().availableProcessors());
    line(
        out,
        result,
        "java",
        System.getProperty("java.vm.name") + " " + System.getProperty("java.version"));
    List<String> missing = new ArrayList<>();
    describeMachine(out, result, missing);
    boolean works;
    try {
      JvmAccess.check();
      line(out, result, "off-heap", "open to this JVM");
      List<Device> devices = Backends.list();
      ArrayNode nodes = result.putArray("backends");
      devices.forEach(device -> describe(out, nodes.addObject(), device));
      double limit = Backends.measureSgemm(SIZE, 1, 5);
      Json.put(result, "sgemm_gflops", limit);
      out.printf(Locale.ROOT, "  %-12s %.1f GFLOP/s on one thread, float32%n", "matrix", limit);
      works = devices.stream().anyMatch(Device::available);
    } catch (RuntimeException | LinkageError e) {
      line(out, result, "problem", e.getMessage() == null ? e.toString() : e.getMessage());
      if (common.verbose) {
        e.printStackTrace(out);
      }
      works = false;
    }
    ArrayNode absent = result.putArray("missing");
    missing.forEach(absent::add);
    missing.forEach(what -> out.printf("  %-12s %s%n", "missing", what));
    result.put("works", works);
    out.println(works ? "The engine works here." : "The engine does not work here.");
    common.write(result);
    return works ? 0 : 1;
  }

  private static void describe(PrintWriter out, ObjectNode node, Device device) {
    out.printf(
        "  %-12s %s: %s%n",
        "back end",
        device.name(),
        device.available()
            ? device.description() + " (score " + device.score() + ")"
            : "cannot work here (score 0): " + device.description());
    if (!device.library().isEmpty()) {
      out.printf("  %-12s %s: %s%n", "library", device.name(), device.library());
    }
    node.put("name", device.name());
    node.put("available", device.available());
    node.put("score", device.score());
    node.put("description", device.description());
    node.put("library", device.library());
  }

  /** What the engine, a build and the chart need of the machine. */
  private static void describeMachine(PrintWriter out, ObjectNode result, List<String> missing) {
    Optional<String> library = Machine.cLibrary();
    line(out, result, "c-library", library.orElse("not glibc"));
    if (library.filter(DoctorCommand::isNewEnough).isEmpty()) {
      missing.add("glibc 2.34 or newer: the engine cannot work");
    }
    double memory = Machine.availableMebibytes();
    double heap = Runtime.getRuntime().maxMemory() / (double) MEBIBYTE;
    Json.put(result, "memory_available_mib", memory);
    Json.put(result, "heap_limit_mib", heap);
    out.printf(
        Locale.ROOT,
        "  %-12s %,.0f MiB available, Java heap up to %,.0f%n",
        "memory",
        memory,
        heap);
    if (memory < LEAST_MEMORY) {
      missing.add("memory: the demo wants " + LEAST_MEMORY + " MiB");
    }
    double disk = new File(".").getUsableSpace() / (double) MEBIBYTE;
    Json.put(result, "disk_free_mib", disk);
    out.printf(Locale.ROOT, "  %-12s %,.0f MiB free in this folder%n", "disk", disk);
    if (disk < LEAST_DISK) {
      missing.add("disk space: the demo's run folder takes up to " + LEAST_DISK + " MiB");
    }
    for (String program : List.of("git", "javac", "c++", "cmake")) {
      if (!Machine.hasProgram(program) && !isOfThisJava(program)) {
        missing.add(program + ": a build needs it; ./unifiedrl setup installs it or says how");
      }
    }
    if (!Machine.hasProgram("make") && !Machine.hasProgram("ninja")) {
      missing.add("make: a build needs it; ./unifiedrl setup installs it or says how");
    }
    line(
        out,
        result,
        "nvcc",
        Machine.program("nvcc")
            .map(Path::toString)
            .orElse("not found: only a build of the CUDA back end needs it"));
    if (!Machine.hasFonts()) {
      missing.add("fonts: the demo's chart is not drawn; ./unifiedrl setup installs them");
    }
  }

  private static boolean isOfThisJava(String program) {
    return Files.isExecutable(Path.of(System.getProperty("java.home"), "bin", program));
  }

  private static boolean isNewEnough(String library) {
    String[] version = library.replaceAll("[^0-9.]", "").split("\\.", -1);
    return version.length >= 2
        && Integer.parseInt(version[0]) * 1000 + Integer.parseInt(version[1]) >= 2034;
  }

  private static void line(PrintWriter out, ObjectNode result, String key, String value) {
    out.printf("  %-12s %s%n", key, value);
    result.put(key.replace('-', '_'), value);
  }
}
