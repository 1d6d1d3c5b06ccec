package org.unifiedrl.engine.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.DurableFiles;

class CheckpointStoreTest {

  @TempDir Path folder;

  /** The state that step n has in these tests. */
  static Map<String, Tensor> tensors(long step) {
    float[] values = new float[5000];
    SplittableRandom random = new SplittableRandom(step);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextDouble();
    }
    return Map.of("actor", Tensor.of(values, 50, 100), "step", Tensor.of(new long[] {step}, 1));
  }

  static String state(long step) {
    return "{\"step\":" + step + "}";
  }

  private static void assertIsStep(Checkpoint checkpoint, long step) {
    assertThat(checkpoint.step()).isEqualTo(step);
    assertThat(checkpoint.tensors()).isEqualTo(tensors(step));
    assertThat(checkpoint.stateJson()).isEqualTo(state(step));
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void keepsTheLastAndLoadsTheNewest() throws IOException {
    CheckpointStore store = new CheckpointStore(folder, 2);
    assertThat(store.latest()).isEmpty();
    for (long step : new long[] {0, 10, 20, 123}) {
      Path saved = store.save(step, tensors(step), state(step));
      assertIsStep(CheckpointStore.load(saved), step);
    }
    assertThat(names()).containsExactly(".lock", "step-000000020", "step-000000123");
    assertIsStep(store.latest().orElseThrow(), 123);
    assertThatThrownBy(() -> store.latest().orElseThrow().tensor("critic"))
        .hasMessageContaining("no tensor 'critic'");
  }

  @Test
  void anyFlippedBitOrMissingByteFallsBackToThePrevious() throws IOException {
    CheckpointStore store = new CheckpointStore(folder, 3);
    store.save(1, tensors(1), state(1));
    Path newest = store.save(2, tensors(2), state(2));
    SplittableRandom random = new SplittableRandom(4);
    for (String name : List.of("model.safetensors", "state.json", "manifest.json")) {
      Path file = newest.resolve(name);
      byte[] good = Files.readAllBytes(file);
      for (int trial = 0; trial < 40; trial++) {
        byte[] bad = good.clone();
        bad[random.nextInt(bad.length)] ^= (byte) (1 << random.nextInt(8));
        Files.write(file, bad);
        // A flip in the manifest's white space is harmless; anything else is noticed.
        Checkpoint latest = store.latest().orElseThrow();
        assertIsStep(latest, name.equals("manifest.json") ? latest.step() : 1);
      }
      Files.write(file, Arrays.copyOf(good, good.length - 1));
      assertIsStep(store.latest().orElseThrow(), 1);
      Files.delete(file);
      assertIsStep(store.latest().orElseThrow(), 1);
      assertThatThrownBy(() -> CheckpointStore.load(newest))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("step-000000002");
      Files.write(file, good);
    }
    assertIsStep(store.latest().orElseThrow(), 2);
  }

  @Test
  void aDamagedNewestIsReplacedWhenItsStepIsSavedAgain() throws IOException {
    CheckpointStore store = new CheckpointStore(folder, 3);
    store.save(1, tensors(1), state(1));
    Path second = store.save(2, tensors(2), state(2));
    assertThatThrownBy(() -> store.save(1, tensors(1), state(1)))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("is not newer than");
    Files.delete(second.resolve("state.json"));
    store.save(1, tensors(1), state(1));
    assertIsStep(store.latest().orElseThrow(), 1);
    store.save(2, tensors(2), state(2));
    assertIsStep(store.latest().orElseThrow(), 2);
    Files.delete(second.resolve("state.json"));
    Files.delete(folder.resolve("step-000000001").resolve("manifest.json"));
    assertThatThrownBy(store::latest)
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("is sound");
  }

  @Test
  void leftoversOfACrashAreIgnoredAndRemoved() throws IOException {
    CheckpointStore store = new CheckpointStore(folder, 3);
    store.save(1, tensors(1), state(1));
    Files.createDirectory(folder.resolve(".tmp-step-000000002"));
    Files.writeString(folder.resolve(".tmp-step-000000002").resolve("model.safetensors"), "half");
    Files.createDirectory(folder.resolve(".trash-step-000000000"));
    Files.writeString(folder.resolve("notes.txt"), "not ours");
    assertIsStep(store.latest().orElseThrow(), 1);
    store.save(2, tensors(2), state(2));
    assertThat(names()).containsExactly(".lock", "notes.txt", "step-000000001", "step-000000002");
  }

  @Test
  void latestKeepsUpWithASaverThatPrunes() throws InterruptedException {
    CheckpointStore saver = new CheckpointStore(folder, 1);
    saver.save(1, tensors(1), state(1));
    AtomicBoolean done = new AtomicBoolean();
    Thread saving =
        new Thread(
            () -> {
              for (long step = 2; !done.get(); step++) {
                saver.save(step, tensors(step), state(step));
              }
            });
    saving.start();
    try {
      CheckpointStore reader = new CheckpointStore(folder, 1);
      long end = System.nanoTime() + 2_000_000_000;
      while (System.nanoTime() < end) {
        Checkpoint latest = reader.latest().orElseThrow();
        assertIsStep(latest, latest.step());
      }
    } finally {
      done.set(true);
      saving.join();
    }
  }

  @Test
  void aCheckpointThatIsSavedAgainIsNeverMissing() throws IOException {
    CheckpointStore store = new CheckpointStore(folder, 3);
    Path saved = store.save(7, tensors(7), state(7));
    // What a crash between the two renames leaves, for a reader ...
    Path aside = folder.resolve(".aside-step-000000007");
    Files.move(saved, aside);
    assertIsStep(store.latest().orElseThrow(), 7);
    // ... and for a saver.
    Files.move(saved, aside);
    store.save(8, tensors(8), state(8));
    assertIsStep(CheckpointStore.load(saved), 7);
    // And what a crash after them leaves.
    Files.createDirectory(aside);
    assertIsStep(store.latest().orElseThrow(), 8);
    assertThat(names()).containsExactly(".lock", "step-000000007", "step-000000008");
  }

  @Test
  void whatCannotBePrunedDoesNotFailASave() throws IOException {
    CheckpointStore store = new CheckpointStore(folder, 1);
    store.save(1, tensors(1), state(1));
    // Two halves of a path that is too long for the system, put together by a rename: folders that
    // nobody can list, and so not delete, not even root.
    String half = ("/" + "d".repeat(200)).repeat(11);
    Path other = folder.resolve("other");
    Files.createDirectories(Path.of(other + half));
    Files.createDirectories(Path.of(folder.resolve("step-000000001") + half));
    Files.move(other, Path.of(folder.resolve("step-000000001") + half, "other"));
    try {
      for (long step = 2; step < 4; step++) {
        store.save(step, tensors(step), state(step));
        assertIsStep(store.latest().orElseThrow(), step);
      }
    } finally {
      for (String name : List.of("step-000000001", ".trash-step-000000001")) {
        Path end = Path.of(folder.resolve(name) + half, "other");
        if (Files.exists(end)) {
          Files.move(end, other);
        }
      }
    }
  }

  @Test
  void newFoldersAreCreatedLevelByLevel() throws IOException {
    Path deep = folder.resolve("a").resolve("b").resolve("c");
    DurableFiles.createFolders(deep);
    DurableFiles.createFolders(deep);
    assertThat(deep).isDirectory();
    Path file = Files.writeString(folder.resolve("file"), "");
    assertThatThrownBy(() -> DurableFiles.createFolders(file.resolve("x")))
        .isInstanceOf(IOException.class);
  }

  /** A real write error: the shell limits the size of files that the child may write. */
  @Test
  void aFullDiskKeepsTheEarlierCheckpoint() throws IOException, InterruptedException {
    Assumptions.assumeTrue(
        Files.isExecutable(Path.of("/bin/bash")), "skipped: /bin/bash is not here to limit files");
    CheckpointStore store = new CheckpointStore(folder, 2);
    store.save(1, tensors(1), state(1));
    Process child =
        new ProcessBuilder(
                "/bin/bash",
                "-c",
                "ulimit -f 8; exec \"$@\"",
                "bash",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:-UsePerfData",
                "-cp",
                System.getProperty("java.class.path"),
                FullDisk.class.getName(),
                folder.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(output).isZero();
    assertThat(output).contains("cannot write tensors to " + folder).contains("the disk's space");
    assertIsStep(store.latest().orElseThrow(), 1);
    assertThat(names()).containsExactly(".lock", "step-000000001");
  }

  /** Child process: saves where the disk is full. */
  static final class FullDisk {
    private FullDisk() {}

    public static void main(String[] arguments) {
      try {
        new CheckpointStore(Path.of(arguments[0]), 2).save(2, tensors(2), state(2));
        System.exit(2);
      } catch (CheckpointException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @Test
  void badRequestsLeaveNothingBehind() throws IOException {
    CheckpointStore store = new CheckpointStore(folder, 1);
    assertThatThrownBy(() -> store.save(-1, tensors(0), "{}")).hasMessageContaining("at least 0");
    assertThatThrownBy(() -> store.save(1, tensors(0), "{\"a\":")).hasMessageContaining("not JSON");
    assertThatThrownBy(() -> new CheckpointStore(folder, 0)).hasMessageContaining("keepLast is 0");
    assertThatThrownBy(() -> store.save(1, Map.of("__metadata__", Tensor.of(new float[1], 1)), "1"))
        .isInstanceOf(CheckpointException.class);
    assertThat(names()).containsExactly(".lock");
    try (FileChannel other = FileChannel.open(folder.resolve(".lock"), StandardOpenOption.WRITE)) {
      assertThat(other.lock().isValid()).isTrue();
      assertThatThrownBy(() -> store.save(1, tensors(1), "{}"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("another run is saving");
    }
    Path file = Files.writeString(folder.resolve("file"), "");
    assertThatThrownBy(() -> new CheckpointStore(file, 1).save(1, tensors(1), "{}"))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("cannot save a checkpoint");
  }

  /** kill -9 at random moments of saving: the newest visible checkpoint is always a whole one. */
  @Test
  void survivesThirtyKills() throws IOException, InterruptedException {
    CheckpointStore store = new CheckpointStore(folder, 2);
    SplittableRandom random = new SplittableRandom(System.nanoTime());
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    Path errors = Files.createFile(folder.resolve("errors.txt"));
    long newest = 0;
    for (int kill = 0; kill < 30; kill++) {
      Process child =
          new ProcessBuilder(
                  java,
                  "-XX:TieredStopAtLevel=1",
                  "-XX:-UsePerfData",
                  "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
                  "-cp",
                  System.getProperty("java.class.path"),
                  SaveLoop.class.getName(),
                  folder.toString())
              .redirectError(ProcessBuilder.Redirect.appendTo(errors.toFile()))
              .start();
      assertThat(child.getInputStream().read())
          .as("the child's first save; its errors: %s", Files.readString(errors))
          .isEqualTo('s');
      Thread.sleep(random.nextInt(40), random.nextInt(1_000_000));
      child.destroyForcibly();
      assertThat(child.waitFor(30, TimeUnit.SECONDS)).isTrue();
      Checkpoint latest = store.latest().orElseThrow();
      assertIsStep(latest, latest.step());
      assertThat(latest.step()).as("progress is never lost").isGreaterThan(newest);
      newest = latest.step();
      // Newest visible means the newest folder, not one fallen back to.
      assertThat(names().stream().filter(n -> n.startsWith("step-")).reduce((a, b) -> b))
          .contains(latest.folder().getFileName().toString());
    }
  }

  /** Child process: goes on from the newest checkpoint and saves every step. */
  static final class SaveLoop {
    private SaveLoop() {}

    public static void main(String[] arguments) {
      CheckpointStore store = new CheckpointStore(Path.of(arguments[0]), 2);
      long step = store.latest().map(Checkpoint::step).orElse(0L);
      while (true) {
        step++;
        store.save(step, tensors(step), state(step));
        System.out.print('s');
        System.out.flush();
      }
    }
  }
}
