package org.unifiedrl.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.PythonScript;

class TensorBoardListenerTest {

  private static final String IMPORT =
      "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator";

  @TempDir Path run;

  private static void train(TensorBoardListener listener, long from, long to, double offset) {
    listener.begin(from, 30);
    for (long step = from + 10; step <= to; step += 10) {
      listener.metrics(step, Map.of("q_mean", step + offset, "q_mean/watch_time", -step / 4.0));
      listener.resources(step, Map.of("steps_per_second", 5.0));
    }
  }

  /** A training that was killed after step 30 and resumed from a checkpoint at 10, at once. */
  @Test
  void tensorBoardsOwnReaderSeesEveryScalarAndOfAResumedTrainingTheNewOnes()
      throws InterruptedException, IOException {
    TensorBoardListener killed = new TensorBoardListener(run);
    train(killed, 0, 30, 0.25);
    TensorBoardListener resumed = new TensorBoardListener(run);
    train(resumed, 10, 20, 0.5);
    resumed.end();
    resumed.close();
    killed.close();
    try (Stream<Path> files = Files.list(run.resolve("tensorboard"))) {
      assertThat(files.toList()).hasSize(2);
    }
    PythonScript.run(
        IMPORT,
        """
        events = EventAccumulator(sys.argv[1])
        events.Reload()
        tags = sorted(events.Tags()['scalars'])
        assert tags == ['q_mean/watch_time', 'resources/steps_per_second', 'training/q_mean'], tags
        def scalars(tag): return [(e.step, e.value) for e in events.Scalars(tag)]
        assert scalars('training/q_mean') == [(10, 10.25), (20, 20.5)], scalars('training/q_mean')
        assert scalars('q_mean/watch_time') == [(10, -2.5), (20, -5.0)], scalars('q_mean/watch_time')
        import time
        assert abs(events.Scalars('training/q_mean')[0].wall_time - time.time()) < 3600
        """,
        run.resolve("tensorboard"));
  }

  /** What the reader says of a flipped bit: so it did check what the other test reads. */
  @Test
  void theReaderChecksTheChecksums() throws IOException, InterruptedException {
    TensorBoardListener listener = new TensorBoardListener(run);
    train(listener, 0, 30, 0);
    listener.close();
    Path file;
    try (Stream<Path> files = Files.list(run.resolve("tensorboard"))) {
      file = files.findFirst().orElseThrow();
    }
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 10] ^= 1;
    Files.write(file, bytes);
    PythonScript.run(
        "from tensorboard.backend.event_processing.event_file_loader import EventFileLoader",
        """
        read = [event.step for event in EventFileLoader(sys.argv[1]).Load()]
        assert read.count(30) == 1 and read.count(20) == 2, read
        """,
        file);
  }

  @Test
  void aFileInTheWayIsNamed() throws IOException {
    Files.writeString(run.resolve("tensorboard"), "");
    TensorBoardListener listener = new TensorBoardListener(run);
    assertThatThrownBy(() -> listener.begin(0, 1))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining(run.resolve("tensorboard").toString());
    listener.close();
    assertThat(List.of(run.toFile().list())).containsExactly("tensorboard");
  }
}
