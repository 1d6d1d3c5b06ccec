package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.unifiedrl.engine.Backends;
import org.unifiedrl.engine.Device;
import org.unifiedrl.mtf.experiment.Learner;

/** What the commands ask of the engine. */
final class EngineAccess {

  private static final String CHECK = "check:";

  private EngineAccess() {}

  /**
   * Returns if a back end of that name can work here.
   *
   * @throws UsageException if there is none, with the ones that there are
   */
  static void requireBackend(String name) {
    if (name.equals("auto")) {
      return;
    }
    String[] parts =
        name.startsWith(CHECK)
            ? name.substring(CHECK.length()).split(",", -1)
            : new String[] {name};
    if (name.startsWith(CHECK) && parts.length != 2) {
      throw new UsageException(
          "back end '" + name + "': expected check:A,B, as check:reference,cpu");
    }
    List<Device> devices = Backends.list();
    for (String part : parts) {
      Optional<Device> device = devices.stream().filter(d -> d.name().equals(part)).findFirst();
      if (device.isEmpty()) {
        List<String> names = new ArrayList<>(devices.stream().map(Device::name).toList());
        names.add(0, "auto");
        throw new UsageException(
            "unknown back end '"
                + part
                + "'"
                + Suggestion.nearest(part, names).map(n -> "; did you mean '" + n + "'?").orElse("")
                + " Back ends: "
                + String.join(", ", names)
                + ", check:A,B");
      }
      if (!device.get().available()) {
        throw new UsageException(
            "back end '" + part + "' cannot work here: " + device.get().description());
      }
    }
  }

  static Learner.Factory learners() {
    return null;
  }

  static boolean isCheckpoint(Path path) {
    return path.endsWith("checkpoints");
  }

  static ObjectNode describe(Path path, PrintWriter out) {
    out.println(path);
    return Json.object();
  }
}
