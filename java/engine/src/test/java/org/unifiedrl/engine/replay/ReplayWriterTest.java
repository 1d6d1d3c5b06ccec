package org.unifiedrl.engine.replay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReplayWriterTest {

  @TempDir Path folder;

  @Property(tries = 60)
  void anySessionsComeBackWhateverTheLimits(
      @ForAll @Size(min = 1, max = 40) List<@IntRange(min = 1, max = 30) Integer> lengths,
      @ForAll @IntRange(min = 1, max = 200) int rowsPerShard,
      @ForAll @IntRange(min = 1, max = 20_000) int batchBytes,
      @ForAll long seed)
      throws IOException {
    Path place = Files.createTempDirectory("replay-property");
    SplittableRandom random = new SplittableRandom(seed);
    ReplaySchema schema = SampleData.schema().with(new ReplaySchema.Column("page_scores", 4));
    float[][] rows = new float[lengths.stream().mapToInt(i -> i).sum()][];
    try (ReplayWriter writer =
        new ReplayWriter(place, schema, new ReplayWriter.Options(rowsPerShard, batchBytes))) {
      int next = 0;
      for (int session = 0; session < lengths.size(); session++) {
        for (int i = 0; i < lengths.get(session); i++) {
          float[] row = new float[schema.rowWidth()];
          float[] standard = SampleData.row(random);
          System.arraycopy(standard, 0, row, 0, standard.length);
          row[standard.length + 3] = Float.intBitsToFloat(random.nextInt(0x7F800000));
          rows[next++] = row;
          writer.append(session, -session, seed, i == lengths.get(session) - 1, row);
        }
      }
    }
    try (Replay replay = Replay.open(place)) {
      assertThat(replay.rows()).isEqualTo(rows.length);
      for (int row = 0; row < rows.length; row++) {
        assertThat(ReplayTest.readRow(replay, row)).containsExactly(rows[row]);
        assertThat(replay.timestamp(row)).isEqualTo(seed);
      }
    }
    try (Stream<Path> files = Files.list(place)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(place);
  }

  @Test
  void badRowsAreRefusedAndTheWriterGoesOn() {
    float[] good = SampleData.row(new SplittableRandom(1));
    float[] bad = good.clone();
    bad[SampleData.STATE + 1] = Float.NaN;
    try (ReplayWriter writer = new ReplayWriter(folder, SampleData.schema())) {
      assertThatThrownBy(() -> writer.append(5, 1, 1, true, bad))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("session 5, column 'action'[1]: expected a finite number");
      assertThatThrownBy(() -> writer.append(5, 1, 1, true, new float[3]))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("has 3 values: expected 14");
      writer.append(5, 1, 1, false, good);
      assertThatThrownBy(() -> writer.append(6, 1, 1, true, good))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("session 5 has no last row yet");
      writer.append(5, 1, 2, true, good);
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(2);
    }
  }

  @Test
  void anUnfinishedSessionIsLeftOutAndReported() {
    float[] row = SampleData.row(new SplittableRandom(1));
    ReplayWriter writer = new ReplayWriter(folder, SampleData.schema());
    writer.append(1, 1, 1, true, row);
    writer.append(2, 1, 2, false, row);
    assertThatThrownBy(writer::close)
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("session 2 has no last row: its 1 rows were left out");
    writer.close();
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(1);
      assertThat(replay.sessionId(0)).isEqualTo(1);
    }
    assertThatIllegalStateException().isThrownBy(() -> writer.append(3, 1, 1, true, row));
  }

  @Test
  void aFolderWithShardsIsNotMixedWithNewOnes() {
    SampleData.write(folder, 1, 2, ReplayWriter.Options.DEFAULT);
    assertThatThrownBy(() -> new ReplayWriter(folder, SampleData.schema()))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("already holds replay shards");
  }

  @Test
  void nothingIsVisibleBeforeAShardIsWhole() throws IOException {
    ReplayWriter writer =
        new ReplayWriter(folder, SampleData.schema(), new ReplayWriter.Options(1000, 1));
    writer.append(1, 1, 1, true, SampleData.row(new SplittableRandom(1)));
    assertThatThrownBy(() -> Replay.open(folder)).hasMessageContaining("no replay shards");
    writer.abort();
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).isEmpty();
    }
  }

  /** A real write error: the shell limits the size of files that the child may write. */
  @Test
  void aFullDiskLeavesFinishedShardsOnly() throws IOException, InterruptedException {
    Assumptions.assumeTrue(
        Files.isExecutable(Path.of("/bin/bash")), "skipped: /bin/bash is not here to limit files");
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    // 64 blocks of 1,024 bytes; a shard of 400 rows fits, one of 2,000 does not.
    Process child =
        new ProcessBuilder(
                "/bin/bash",
                "-c",
                "ulimit -f 64; exec \"$@\"",
                "bash",
                java,
                "--add-opens",
                "java.base/jdk.internal.misc=ALL-UNNAMED",
                "-XX:-UsePerfData",
                "-cp",
                System.getProperty("java.class.path"),
                FullDisk.class.getName(),
                folder.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(output).isZero();
    assertThat(output)
        .contains("cannot write")
        .contains("the unfinished shard was removed, 1 finished shards with 400 rows are kept");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files.map(f -> f.getFileName().toString())).containsExactly("shard-00000.arrow");
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(400);
    }
  }

  /** Child process: one shard that fits, then a session that does not. */
  static final class FullDisk {
    private FullDisk() {}

    public static void main(String[] arguments) {
      ReplayWriter writer =
          new ReplayWriter(
              Path.of(arguments[0]),
              ReplaySchema.standard(3, 2, 2, Map.of()),
              new ReplayWriter.Options(400, 8 << 10));
      float[] row = new float[14];
      try {
        for (int i = 0; i < 2400; i++) {
          writer.append(i < 400 ? i : 400, 0, i, i < 400 || i == 2399, row);
        }
        System.exit(2);
      } catch (ReplayException e) {
        System.out.println(e.getMessage());
      }
    }
  }
}
