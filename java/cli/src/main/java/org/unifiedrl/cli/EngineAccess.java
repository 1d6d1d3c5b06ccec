package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.unifiedrl.engine.Backends;
import org.unifiedrl.engine.Device;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.mtf.experiment.Learner;
import org.unifiedrl.mtf.experiment.UnifiedRlLearner;

/** What the commands ask of the engine. */
final class EngineAccess {

  private static final String CHECK = "check:";
  private static final String MANIFEST = "manifest.json";

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
                + " (back ends: "
                + String.join(", ", names)
                + ", check:A,B)");
      }
      if (!device.get().available()) {
        throw new UsageException(
            "back end '" + part + "' cannot work here: " + device.get().description());
      }
    }
  }

  /** Makes learners and reads policies. */
  static Learner.Factory learners() {
    return UnifiedRlLearner.factory();
  }

  /** Whether a path is a checkpoint or a folder of checkpoints. */
  static boolean isCheckpoint(Path path) {
    if (Files.exists(path.resolve(MANIFEST))) {
      return true;
    }
    if (!Files.isDirectory(path)) {
      return false;
    }
    try (Stream<Path> entries = Files.list(path)) {
      return entries.anyMatch(entry -> Files.exists(entry.resolve(MANIFEST)));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot list " + path + ": " + FileErrors.reason(e), e);
    }
  }

  /** Checks a checkpoint, or the newest sound one of a folder, and says what is in it. */
  static ObjectNode describe(Path path, PrintWriter out) {
    Checkpoint checkpoint =
        Files.exists(path.resolve(MANIFEST))
            ? CheckpointStore.load(path)
            : new CheckpointStore(path, 1).latest().orElseThrow();
    ObjectNode result = Json.object();
    result.put("kind", "checkpoint");
    result.put("folder", checkpoint.folder().toString());
    result.put("step", checkpoint.step());
    out.printf("Checkpoint %s, step %,d%n", checkpoint.folder(), checkpoint.step());
    try {
      JsonNode state = Json.MAPPER.readTree(checkpoint.stateJson());
      result.set("state", state);
      state.properties().forEach(e -> out.printf("  %s = %s%n", e.getKey(), e.getValue()));
    } catch (IOException e) {
      throw new UncheckedIOException("state of " + checkpoint.folder() + " is not JSON", e);
    }
    out.printf("  %-40s %-5s %s%n", "tensor", "type", "shape");
    ArrayNode tensors = result.putArray("tensors");
    checkpoint
        .tensors()
        .forEach(
            (name, tensor) -> {
              String shape = Arrays.toString(tensor.shape());
              out.printf("  %-40s %-5s %s%n", name, tensor.type(), shape);
              ObjectNode node = tensors.addObject();
              node.put("name", name);
              node.put("type", tensor.type().name());
              node.putPOJO("shape", tensor.shape());
            });
    return result;
  }
}
