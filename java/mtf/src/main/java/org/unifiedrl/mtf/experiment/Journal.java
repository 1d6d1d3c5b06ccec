package org.unifiedrl.mtf.experiment;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.FolderLock;

/**
 * The completed stages of a long run in the run's folder, {@code journal.json}: of each stage its
 * name, its result, and the SHA-256 of every file that it left. A run that is started again goes
 * through the same stages in the same order and is given the results of those that are in the
 * journal; the first one that is not runs again.
 *
 * <p>An entry is written whole or not at all, after the stage's files are on the device. One
 * process at a time works on a folder, which a lock enforces; one thread at a time.
 */
final class Journal implements AutoCloseable {

  private static final ObjectMapper JSON =
      new ObjectMapper().setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE);

  private final Path folder;
  private final Path file;
  private final ArrayNode entries;
  private final FolderLock lock;
  private int next;

  private Journal(Path folder, ArrayNode entries, FolderLock lock) {
    this.folder = folder;
    this.file = file(folder);
    this.entries = entries;
    this.lock = lock;
  }

  /**
   * Opens the journal of a run, or begins one.
   *
   * @throws IllegalStateException if another process works on the folder, or the journal is damaged
   */
  static Journal open(Path folder) {
    FolderLock lock = FolderLock.of(folder);
    try {
      Path file = file(folder);
      JsonNode read =
          Files.exists(file) ? JSON.readTree(Files.readString(file)) : JSON.createArrayNode();
      if (!(read instanceof ArrayNode entries)) {
        throw new IllegalStateException(file + " is not a list of stages: begin a new run");
      }
      return new Journal(folder, entries, lock);
    } catch (IOException e) {
      lock.close();
      throw new UncheckedIOException("cannot read the journal of " + folder + ": " + e, e);
    } catch (RuntimeException e) {
      lock.close();
      throw e;
    }
  }

  private static Path file(Path folder) {
    return folder.resolve("journal.json");
  }

  /**
   * Runs the next stage unless it was completed before, and returns its result.
   *
   * @param name name of the stage
   * @param type type of its result, which Jackson can write and read
   * @param outputs folders below the run's whose files are the stage's output
   * @param body runs the stage, whatever an interrupted attempt may have left in those folders
   * @throws IllegalStateException if the journal has another stage here, or files that differ
   */
  <T> T stage(String name, Class<T> type, List<Path> outputs, Supplier<T> body) {
    try {
      if (next < entries.size()) {
        return recorded(entries.get(next++), name, type);
      }
      T result = body.get();
      ObjectNode entry = entries.addObject();
      entry.put("stage", name);
      entry.set("result", JSON.valueToTree(result));
      ObjectNode files = entry.putObject("files");
      hashes(outputs).forEach(files::put);
      DurableFiles.writeText(
          file, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(entries));
      next++;
      // A number that was read back is the one that every later run sees.
      return JSON.treeToValue(entry.get("result"), type);
    } catch (IOException e) {
      throw new UncheckedIOException("stage " + name + " of " + folder + ": " + e, e);
    }
  }

  private <T> T recorded(JsonNode entry, String name, Class<T> type)
      throws JsonProcessingException {
    if (!entry.path("stage").asText().equals(name)) {
      throw new IllegalStateException(
          file
              + " has stage '"
              + entry.path("stage").asText()
              + "' where '"
              + name
              + "' is expected: it is another run's; begin a new one");
    }
    for (Map.Entry<String, JsonNode> output : entry.path("files").properties()) {
      Path path = folder.resolve(output.getKey());
      String found;
      try {
        found = DurableFiles.sha256(path);
      } catch (IOException e) {
        throw new IllegalStateException(remedy(path, name, "cannot be read (" + e + ")"), e);
      }
      if (!found.equals(output.getValue().asText())) {
        throw new IllegalStateException(remedy(path, name, "is not what that stage left"));
      }
    }
    return JSON.treeToValue(entry.get("result"), type);
  }

  private String remedy(Path path, String stage, String problem) {
    return path
        + ", an output of stage '"
        + stage
        + "', "
        + problem
        + ": restore it, or begin a new run";
  }

  /** SHA-256 of every file below some folders, by its path in the run's; nothing hidden. */
  private Map<String, String> hashes(List<Path> outputs) throws IOException {
    Map<String, String> hashes = new TreeMap<>();
    for (Path output : outputs) {
      if (!Files.exists(output)) {
        continue; // a training that diverged leaves nothing
      }
      try (Stream<Path> tree = Files.walk(output)) {
        for (Path path : tree.filter(Files::isRegularFile).toList()) {
          boolean hidden = false; // locks, and what a crash left under a temporary name
          for (Path part : output.relativize(path)) {
            hidden |= part.toString().startsWith(".");
          }
          if (!hidden) {
            hashes.put(folder.relativize(path).toString(), DurableFiles.sha256(path));
          }
        }
      }
    }
    return hashes;
  }

  @Override
  public void close() {
    lock.close();
  }
}
