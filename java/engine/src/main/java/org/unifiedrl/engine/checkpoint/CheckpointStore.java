package org.unifiedrl.engine.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.unifiedrl.engine.DurableFiles;

/**
 * A folder of checkpoints {@code step-000000123}, each with {@code model.safetensors}, {@code
 * state.json} and {@code manifest.json} (sizes and SHA-256 of the other two).
 *
 * <p>A checkpoint is written under a hidden name, every file is forced, the folder is renamed in
 * one step and its parent forced: after a crash at any moment each visible checkpoint is whole.
 * Deleting goes the other way round, rename first. A checkpoint that is saved again is set aside
 * under a hidden name until the new one stands, and comes back if that never happens. Leftovers of
 * a crash are removed by the next {@link #save}.
 *
 * <p>Saving is for one thread and process at a time, which a lock on the folder enforces; any
 * number may read meanwhile.
 */
public final class CheckpointStore {

  private static final Logger LOG = LoggerFactory.getLogger(CheckpointStore.class);

  private static final String MODEL = "model.safetensors";
  private static final String STATE = "state.json";
  private static final String MANIFEST = "manifest.json";
  private static final String LOCK = ".lock";
  private static final String TEMPORARY = ".tmp-";
  private static final String TRASH = ".trash-";
  private static final String ASIDE = ".aside-";

  /** Listings in a row that a saver's pruning may outrun before {@link #latest} gives up. */
  private static final int MAX_LISTINGS = 100;

  private static final String FORMAT = "unifiedrl-checkpoint-1";
  private static final Pattern NAME = Pattern.compile("step-(\\d{9,18})");
  private static final long MAX_JSON = 64 << 20;

  private final Path folder;
  private final int keepLast;

  /**
   * A store in a folder, which the first {@link #save} creates.
   *
   * @param keepLast checkpoints to keep, at least 1
   */
  public CheckpointStore(Path folder, int keepLast) {
    if (keepLast < 1) {
      throw new CheckpointException("keepLast is " + keepLast + ": expected at least 1");
    }
    this.folder = folder;
    this.keepLast = keepLast;
  }

  /**
   * Saves a state and removes checkpoints beyond the last N. A checkpoint of the same step is
   * replaced.
   *
   * @param step training steps done, at least 0
   * @param tensors by name; their bytes must not change meanwhile
   * @param stateJson anything else, as JSON
   * @return the checkpoint's folder, on the device when this returns
   * @throws CheckpointException if the state is no JSON, another process is saving here, a sound
   *     checkpoint of a later step is here, or the disk refuses; earlier checkpoints are kept, also
   *     one of the same step
   */
  public Path save(long step, Map<String, Tensor> tensors, String stateJson) {
    if (step < 0) {
      throw new CheckpointException("step is " + step + ": expected at least 0");
    }
    try {
      Safetensors.JSON.readTree(stateJson);
    } catch (IOException e) {
      throw new CheckpointException("the state is not JSON: " + Safetensors.firstLine(e), e);
    }
    try {
      DurableFiles.createFolders(folder);
      try (FileChannel channel =
              FileChannel.open(
                  folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
          FileLock lock = channel.tryLock()) {
        if (lock == null) {
          throw busy(null);
        }
        return saveLocked(step, tensors, stateJson);
      } catch (OverlappingFileLockException e) {
        throw busy(e);
      }
    } catch (IOException e) {
      throw new CheckpointException(
          "cannot save a checkpoint in "
              + folder
              + ": "
              + e
              + "; free space there or choose another folder (earlier checkpoints are kept)",
          e);
    }
  }

  private CheckpointException busy(Exception cause) {
    return new CheckpointException(
        "another run is saving into " + folder + ": give each run a folder of its own", cause);
  }

  private Path saveLocked(long step, Map<String, Tensor> tensors, String stateJson)
      throws IOException {
    removeLeftovers();
    refuseLaterSteps(step);
    String name = String.format(Locale.ROOT, "step-%09d", step);
    Path temporary = Files.createDirectory(folder.resolve(TEMPORARY + name));
    Path target = folder.resolve(name);
    try {
      Safetensors.write(temporary.resolve(MODEL), tensors, Map.of("format", FORMAT));
      writeForced(temporary.resolve(STATE), stateJson);
      writeForced(temporary.resolve(MANIFEST), createManifest(temporary, step));
      DurableFiles.forceFolder(temporary);
      replace(temporary, target);
    } catch (IOException | RuntimeException e) {
      try {
        DurableFiles.deleteTree(temporary);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
    prune(step);
    return target;
  }

  /** Puts a checkpoint in place; what stood there is gone only when the new one stands. */
  private void replace(Path temporary, Path target) throws IOException {
    if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
      DurableFiles.rename(temporary, target);
      return;
    }
    Path aside = folder.resolve(ASIDE + target.getFileName());
    DurableFiles.rename(target, aside);
    try {
      DurableFiles.rename(temporary, target);
    } catch (IOException | RuntimeException e) {
      try {
        restoreAside();
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
    removeOrWarn(aside);
  }

  private static void removeOrWarn(Path leftover) {
    try {
      DurableFiles.deleteTree(leftover);
    } catch (IOException e) {
      LOG.warn("{} could not be removed and takes up room: {}", leftover, e.toString());
    }
  }

  /** Removes checkpoints beyond the last N. The new one stands, so failing here fails nothing. */
  private void prune(long step) {
    try {
      List<Path> older = folders().filter(f -> stepOf(f) < step).toList();
      for (Path old : older.subList(Math.min(keepLast - 1, older.size()), older.size())) {
        remove(old);
      }
    } catch (IOException e) {
      LOG.warn(
          "older checkpoints in {} could not be removed and take up room: {}",
          folder,
          e.toString());
    }
  }

  private void refuseLaterSteps(long step) throws IOException {
    for (Path later : folders().filter(f -> stepOf(f) > step).toList()) {
      try {
        verify(later);
      } catch (CheckpointException e) {
        LOG.warn("{} is not usable and is passed over: {}", later, e.getMessage());
        continue;
      }
      throw new CheckpointException(
          "step "
              + step
              + " is not newer than "
              + later
              + ": resume from that checkpoint, or choose another folder for a new run");
    }
  }

  /**
   * The newest checkpoint that is sound; damaged ones are passed over with a warning. Empty if
   * there is no checkpoint at all.
   *
   * @throws CheckpointException if there are checkpoints and all are damaged
   */
  public Optional<Checkpoint> latest() {
    CheckpointException newest = null;
    try {
      restoreAsideOfACrash();
      for (int listing = 0; listing < MAX_LISTINGS; listing++) {
        newest = null;
        boolean pruned = false;
        for (Path candidate : folders().toList()) {
          try {
            return Optional.of(load(candidate));
          } catch (CheckpointException e) {
            if (!Files.exists(candidate)) {
              pruned = true; // by a saver, which has put a newer one in place before
              break;
            }
            LOG.warn("{} is passed over: {}", candidate, e.getMessage());
            newest = newest == null ? e : newest;
          }
        }
        if (!pruned) {
          break;
        }
      }
    } catch (IOException e) {
      throw new CheckpointException("cannot list checkpoints in " + folder + ": " + e, e);
    }
    if (newest != null) {
      throw new CheckpointException(
          "no checkpoint in " + folder + " is sound; the newest: " + newest.getMessage(), newest);
    }
    return Optional.empty();
  }

  /** Brings back what a crash left set aside, unless a saver is at work, who does it himself. */
  private void restoreAsideOfACrash() throws IOException {
    if (aside().isEmpty()) {
      return;
    }
    try (FileChannel channel = FileChannel.open(folder.resolve(LOCK), StandardOpenOption.WRITE);
        FileLock lock = channel.tryLock()) {
      if (lock != null) {
        restoreAside();
      }
    } catch (OverlappingFileLockException e) {
      // A saver of this process.
    }
  }

  /** Under the lock: what was set aside comes back where no new checkpoint took its place. */
  private void restoreAside() throws IOException {
    for (Path aside : aside()) {
      Path target = folder.resolve(aside.getFileName().toString().substring(ASIDE.length()));
      if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
        DurableFiles.deleteTree(aside);
      } else {
        DurableFiles.rename(aside, target);
      }
    }
  }

  private List<Path> aside() throws IOException {
    return matching(ASIDE + "step-*");
  }

  private List<Path> matching(String glob) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, glob)) {
      entries.forEach(found::add);
    }
    return found;
  }

  /**
   * Loads a checkpoint, or the newest one of a folder of them.
   *
   * @throws CheckpointException if there is none, or it is incomplete or differs from its manifest
   */
  public static Checkpoint newest(Path folder) {
    return Files.exists(folder.resolve(MANIFEST))
        ? load(folder)
        : new CheckpointStore(folder, 1)
            .latest()
            .orElseThrow(() -> new CheckpointException("no checkpoint in " + folder));
  }

  /**
   * Loads one checkpoint.
   *
   * @param checkpoint its folder
   * @throws CheckpointException if it is missing, incomplete, or differs from its manifest
   */
  public static Checkpoint load(Path checkpoint) {
    try {
      long step = verify(checkpoint);
      Safetensors.Contents model = Safetensors.read(checkpoint.resolve(MODEL));
      String state = Files.readString(checkpoint.resolve(STATE));
      return new Checkpoint(step, checkpoint, model.tensors(), state);
    } catch (IOException e) {
      throw new CheckpointException("cannot read checkpoint " + checkpoint + ": " + e, e);
    }
  }

  /** Compares a checkpoint with its manifest; returns its step. */
  private static long verify(Path checkpoint) throws IOException {
    Path manifest = checkpoint.resolve(MANIFEST);
    if (!Files.isRegularFile(manifest) || Files.size(manifest) > MAX_JSON) {
      throw Safetensors.damaged(
          checkpoint, "it has no " + MANIFEST + ", so it is no checkpoint", null);
    }
    JsonNode root;
    try {
      root = Safetensors.JSON.readTree(Files.readAllBytes(manifest));
    } catch (IOException e) {
      throw Safetensors.damaged(manifest, "not JSON (" + Safetensors.firstLine(e) + ")", e);
    }
    if (!root.path("format").asText().equals(FORMAT)) {
      throw Safetensors.damaged(
          manifest,
          "expected the format " + FORMAT + ", found '" + root.path("format").asText() + "'",
          null);
    }
    JsonNode step = root.path("step");
    if (!step.isIntegralNumber() || step.longValue() != stepOf(checkpoint)) {
      throw Safetensors.damaged(
          manifest, "its step " + step + " differs from the folder's name", null);
    }
    JsonNode files = root.path("files");
    if (root.size() != 3 || files.size() != 2) {
      throw Safetensors.damaged(
          manifest, "it does not list the files " + MODEL + ", " + STATE, null);
    }
    Map<String, JsonNode> byName = new TreeMap<>();
    files.forEach(file -> byName.put(file.path("name").asText(), file));
    for (String name : List.of(MODEL, STATE)) {
      Path file = checkpoint.resolve(name);
      JsonNode expected = byName.get(name);
      if (expected == null || !Files.isRegularFile(file)) {
        throw Safetensors.damaged(file, "it or its entry in " + MANIFEST + " is missing", null);
      }
      if (name.equals(STATE) && Files.size(file) > MAX_JSON) {
        throw Safetensors.damaged(file, "it is longer than " + MAX_JSON + " bytes", null);
      }
      if (Files.size(file) != expected.path("bytes").asLong(-1)) {
        throw Safetensors.damaged(
            file,
            "it has " + Files.size(file) + " bytes: expected " + expected.path("bytes"),
            null);
      }
      String sha256 = DurableFiles.sha256(file);
      if (!sha256.equals(expected.path("sha256").asText())) {
        throw Safetensors.damaged(
            file, "its SHA-256 is " + sha256 + ": expected " + expected.path("sha256"), null);
      }
    }
    return step.longValue();
  }

  private static String createManifest(Path checkpoint, long step) throws IOException {
    ObjectNode root = Safetensors.JSON.createObjectNode();
    root.put("format", FORMAT);
    root.put("step", step);
    ArrayNode files = root.putArray("files");
    for (String name : List.of(MODEL, STATE)) {
      Path file = checkpoint.resolve(name);
      files
          .addObject()
          .put("name", name)
          .put("bytes", Files.size(file))
          .put("sha256", DurableFiles.sha256(file));
    }
    return root.toPrettyString();
  }

  private static void writeForced(Path file, String text) throws IOException {
    Files.writeString(file, text);
    DurableFiles.force(file);
  }

  /** Checkpoint folders, newest first. */
  private Stream<Path> folders() throws IOException {
    if (!Files.isDirectory(folder)) {
      return Stream.empty();
    }
    try (Stream<Path> entries = Files.list(folder)) {
      return entries
          .filter(entry -> NAME.matcher(entry.getFileName().toString()).matches())
          .sorted(Comparator.comparingLong(CheckpointStore::stepOf).reversed())
          .toList()
          .stream();
    }
  }

  private static long stepOf(Path checkpoint) {
    Path name = checkpoint.toAbsolutePath().normalize().getFileName();
    Matcher matcher = NAME.matcher(String.valueOf(name));
    return matcher.matches() ? Long.parseLong(matcher.group(1)) : -1;
  }

  private void removeLeftovers() throws IOException {
    restoreAside();
    for (Path entry : matching("{" + TEMPORARY + "," + TRASH + "}step-*")) {
      removeOrWarn(entry);
    }
  }

  /** Removes a checkpoint: invisible in one step, deleted then. */
  private void remove(Path checkpoint) throws IOException {
    Path trash = folder.resolve(TRASH + checkpoint.getFileName());
    DurableFiles.deleteTree(trash);
    DurableFiles.rename(checkpoint, trash);
    DurableFiles.deleteTree(trash);
  }
}
