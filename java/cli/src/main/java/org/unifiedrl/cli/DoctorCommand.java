package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
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
      "Says what this machine offers and whether the engine works here. Exit code 1 if it does"
          + " not.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {"  unifiedrl doctor", "  unifiedrl doctor --json -"})
final class DoctorCommand implements Callable<Integer> {

  private static final int SIZE = 512;

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
    boolean works;
    try {
      JvmAccess.check();
      line(out, result, "off-heap", "open to this JVM");
      List<Device> devices = Backends.list();
      ArrayNode nodes = result.putArray("backends");
      for (Device device : devices) {
        out.printf(
            "  %-12s %s%s%n",
            "back end",
            device.name() + ": " + device.description(),
            device.available() ? "" : " (cannot work here)");
        ObjectNode node = nodes.addObject();
        node.put("name", device.name());
        node.put("available", device.available());
        node.put("description", device.description());
      }
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
    result.put("works", works);
    out.println(works ? "The engine works here." : "The engine does not work here.");
    common.write(result);
    return works ? 0 : 1;
  }

  private static void line(PrintWriter out, ObjectNode result, String key, String value) {
    out.printf("  %-12s %s%n", key, value);
    result.put(key.replace('-', '_'), value);
  }
}
