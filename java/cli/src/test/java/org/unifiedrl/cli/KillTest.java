package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointStore;

/** Training that is killed at random moments, and goes on. */
class KillTest {

  private static final int KILLS = 30;

  @TempDir Path temporary;

  @Test
  @Timeout(value = 20, unit = TimeUnit.MINUTES)
  void theNewestVisibleCheckpointIsAlwaysAStateThatTheRunHad() throws Exception {
    Path config =
        CommandLineRun.tinyConfiguration(
            temporary, "steps: 2000", "checkpoint: 10", "report: 10", "keep: 1000");
    Path log = temporary.resolve("log");
    Path whole = temporary.resolve("whole");
    assertThat(CommandLineRun.of("explore", "--quiet", "--config", config, "--out", log).code())
        .isZero();
    CommandLineRun run = CommandLineRun.of("train", "--quiet", "--data", log, "--out", whole);
    assertThat(run.code()).as(run.err()).isZero();

    SplittableRandom random = new SplittableRandom(20260401);
    int kills = 0;
    int withCheckpoint = 0;
    int attempt = 0;
    Path folder = temporary.resolve("run-0");
    while (kills < KILLS) {
      boolean resume = newest(folder).isPresent();
      if (!resume) {
        folder = temporary.resolve("run-" + ++attempt);
      }
      Process process = train(log, folder, resume);
      // Most of the time goes to training; a part of the kills hits the start.
      long started = System.nanoTime();
      while (process.isAlive()
          && newest(folder).isEmpty()
          && System.nanoTime() - started < TimeUnit.SECONDS.toNanos(60)) {
        Thread.sleep(1);
      }
      boolean ended = process.waitFor(random.nextInt(700), TimeUnit.MILLISECONDS);
      if (ended) {
        assertThat(process.exitValue()).isZero();
        folder = temporary.resolve("run-" + ++attempt);
        continue;
      }
      process.destroyForcibly();
      assertThat(process.waitFor()).as("ended by the kill").isEqualTo(128 + 9);
      kills++;
      Optional<Checkpoint> newest = newest(folder);
      if (newest.isPresent()) {
        withCheckpoint++;
        assertEqualsTheState(newest.get(), whole);
      }
    }
    assertThat(withCheckpoint).as("kills that left a checkpoint").isGreaterThan(KILLS / 2);

    if (newest(folder).isPresent()) {
      Process last = train(log, folder, true);
      assertThat(last.waitFor()).isZero();
      Checkpoint end = newest(folder).orElseThrow();
      assertThat(end.step()).isEqualTo(2000);
      assertEqualsTheState(end, whole);
    }
  }

  /** The checkpoint's numbers are those of the uninterrupted run at the same step. */
  private static void assertEqualsTheState(Checkpoint checkpoint, Path whole) throws IOException {
    Path name = checkpoint.folder().getFileName();
    Path expected = whole.resolve("checkpoints").resolve(name).resolve("model.safetensors");
    assertThat(Files.mismatch(expected, checkpoint.folder().resolve("model.safetensors")))
        .as("step " + checkpoint.step())
        .isEqualTo(-1);
  }

  private static Optional<Checkpoint> newest(Path folder) {
    return new CheckpointStore(folder.resolve("checkpoints"), 1).latest();
  }

  private static Process train(Path log, Path folder, boolean resume) throws IOException {
    String[] command = {
      "train", "--quiet", "--data", log.toString(), "--out", folder.toString(), "--resume"
    };
    return CommandLineRun.process(
        log.resolveSibling("output.txt"), resume ? command : Arrays.copyOf(command, 6));
  }
}
