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
import java.util.stream.Stream;
import org.unifiedrl.engine.Backends;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineException;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.mtf.experiment.EngineLearner;
import org.unifiedrl.mtf.experiment.Learner;

/** What the commands ask of the engine. */
final class EngineAccess {

  private static final String MANIFEST = "manifest.json";

  private EngineAccess() {}

  /**
   * Returns if there is a back end of that name in this build, whether or not it can work here.
   *
   * @throws UsageException if there is none, with the ones that there are
   */
  static void requireBackend(String name) {
    if (name.equals("auto")) {
      return;
    }
    boolean pair = name.startsWith(Backends.CHECK);
    List<String> parts =
        pair ? List.of(name.substring(Backends.CHECK.length()).split(",", -1)) : List.of(name);
    if (pair && parts.size() != 2) {
      throw new UsageException(
          "back end '" + name + "': expected check:A,B, as check:reference,cpu");
    }
    for (String part : parts) {
      if (!Backends.exists(part)) {
        List<String> names = new ArrayList<>(List.of("auto"));
        Backends.list().forEach(device -> names.add(device.name()));
        throw new UsageException(
            "unknown back end '"
                + part
                + "'"
                + Suggestion.nearest(part, names).map(n -> "; did you mean '" + n + "'?").orElse("")
                + " (back ends: "
                + String.join(", ", names)
                + ", check:A,B)");
      }
    }
  }

  /**
   * Returns if an engine can be created with these options: known before the work, not after it.
   *
   * @throws UsageException if a value is not among those that there are
   * @throws EngineException if the back end cannot work here, or not so
   */
  static void requireEngine(EngineOptions options) {
    requireBackend(options.backend());
    Program smallest = new Program();
    TensorRef one = smallest.constant("one", 1, 1, 1);
    smallest.add("two", one, one);
    try {
      Engine.create(smallest, null, options).close();
    } catch (EngineException e) {
      if (e.status() == EngineException.Status.INVALID_ARGUMENT) {
        throw new UsageException(e.getMessage(), e);
      }
      throw e;
    }
  }

  /** Makes learners and reads policies. */
  static Learner.Factory learners() {
    return EngineLearner.factory();
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
