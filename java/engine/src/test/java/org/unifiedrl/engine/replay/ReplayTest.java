package org.unifiedrl.engine.replay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReplayTest {

  private static final ReplayWriter.Options SMALL = new ReplayWriter.Options(100, 1000);

  @TempDir Path folder;

  @Test
  void givesBackEveryRowInOrder() {
    long rows = SampleData.write(folder, 1, 200, SMALL);
    SplittableRandom random = new SplittableRandom(1);
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(rows);
      assertThat(replay.schema()).isEqualTo(SampleData.schema());
      assertThat(replay.outOfBoxRows()).isZero();
      long row = 0;
      for (long session = 0; session < 200; session++) {
        int length = 1 + random.nextInt(5);
        for (int i = 0; i < length; i++, row++) {
          assertThat(replay.sessionId(row)).isEqualTo(session);
          assertThat(replay.userId(row)).isEqualTo(session / 2);
          assertThat(replay.timestamp(row)).isEqualTo(1000 * row);
          assertThat(replay.isLast(row)).isEqualTo(i == length - 1);
          assertThat(readRow(replay, row)).containsExactly(SampleData.row(random));
        }
      }
      assertThat(row).isEqualTo(rows);
      assertThat(replay.segmentCount()).isGreaterThan(10);
    }
  }

  @Test
  void columnAddressesHoldTheColumnsAligned() {
    SampleData.write(folder, 2, 100, SMALL);
    try (Replay replay = Replay.open(folder);
        Replay.Use use = replay.use()) {
      assertThat(use).isNotNull();
      long row = 0;
      for (int segment = 0; segment < replay.segmentCount(); segment++) {
        int rows = replay.segmentRows(segment);
        UnsafeBuffer last = new UnsafeBuffer(replay.lastAddress(segment), rows);
        assertThat(last.getByte(rows - 1)).isEqualTo((byte) 1);
        for (int column = 0; column < replay.schema().columns().size(); column++) {
          int width = replay.schema().columns().get(column).width();
          long address = replay.columnAddress(segment, column);
          assertThat(address % 64).isZero();
          UnsafeBuffer values = new UnsafeBuffer(address, rows * width * Float.BYTES);
          float[] expected = new float[width];
          for (int r = 0; r < rows; r++) {
            replay.get(row + r, column, expected, 0);
            for (int i = 0; i < width; i++) {
              assertThat(values.getFloat((r * width + i) * Float.BYTES)).isEqualTo(expected[i]);
            }
          }
        }
        row += rows;
      }
    }
  }

  @Test
  void shardsEndAtTheRowLimit() {
    SampleData.write(folder, 3, 200, SMALL);
    List<Path> files = List.of(folder.resolve("shard-00000.arrow"));
    try (Replay replay = Replay.open(files, Replay.Options.DEFAULT)) {
      assertThat(replay.rows()).isBetween(100L, 104L);
    }
  }

  @Test
  void severalFoldersAreOneReplayInTheGivenOrder() {
    Path second = folder.resolve("second");
    SampleData.write(folder, 3, 200, SMALL);
    SampleData.write(second, 4, 50, SMALL);
    try (Replay one = Replay.open(folder);
        Replay other = Replay.open(second);
        Replay both = Replay.open(List.of(second, folder), Replay.Options.DEFAULT)) {
      assertThat(both.rows()).isEqualTo(one.rows() + other.rows());
      assertThat(both.sessionId(0)).isEqualTo(other.sessionId(0));
      assertThat(both.timestamp(other.rows())).isEqualTo(one.timestamp(0));
      assertThat(both.segmentFile(both.segmentCount() - 1).getParent()).isEqualTo(folder);
    }
  }

  @Test
  void useAfterCloseIsRefused() {
    SampleData.write(folder, 4, 10, SMALL);
    Replay replay = Replay.open(folder);
    replay.close();
    assertThatCode(replay::close).doesNotThrowAnyException();
    assertThatIllegalStateException().isThrownBy(() -> replay.isLast(0));
    assertThatIllegalStateException().isThrownBy(() -> replay.columnAddress(0, 0));
    assertThatIllegalStateException().isThrownBy(() -> replay.get(0, 0, new float[3], 0));
    assertThatIllegalStateException().isThrownBy(replay::use).withMessageContaining("closed");
  }

  @Test
  void closeWaitsForUsers() {
    SampleData.write(folder, 5, 10, SMALL);
    Replay replay = Replay.open(folder);
    Replay.Use use = replay.use();
    UnsafeBuffer last = new UnsafeBuffer(replay.lastAddress(0), replay.segmentRows(0));
    replay.close();
    assertThat(last.getByte(replay.segmentRows(0) - 1)).isEqualTo((byte) 1);
    use.close();
    use.close();
    assertThatIllegalStateException().isThrownBy(replay::use);
  }

  @Test
  void closeFromAnotherThreadEndsReadersWithAnException() throws InterruptedException {
    SampleData.write(folder, 6, 100, SMALL);
    for (int round = 0; round < 50; round++) {
      Replay replay = Replay.open(folder);
      AtomicReference<Throwable> end = new AtomicReference<>();
      Thread reader =
          new Thread(
              () -> {
                float[] target = new float[SampleData.STATE];
                try {
                  for (long row = 0; ; row = (row + 1) % replay.rows()) {
                    replay.get(row, 0, target, 0);
                  }
                } catch (IllegalStateException e) {
                  end.set(e);
                }
              });
      reader.start();
      Thread.sleep(1);
      replay.close();
      reader.join();
      assertThat(end.get()).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void badValuesNameFileRowAndColumn() throws IOException {
    // The writer refuses NaN, so bad values are put into the file behind its back.
    assertBad("state", 1, Float.NaN, "column 'state'[1]: expected a finite number, found NaN");
    assertBad("reward", 0, Float.POSITIVE_INFINITY, "column 'reward'[0]");
    assertBad("box_low", 1, 0.9f, "expected box_low <= box_high");
    assertBad("box_high", 0, 1.5f, "within the action range [-1.0, 1.0], found 1.5");
    assertBad("action", 0, -1.1f, "column 'action'[0]: expected a value within the action range");
    assertBad("action", 0, 0.95f, "1 of");
  }

  private void assertBad(String column, int element, float value, String message)
      throws IOException {
    Path place = Files.createTempDirectory(folder, "bad");
    SampleData.write(place, 8, 10, ReplayWriter.Options.DEFAULT);
    int badRow = 4;
    Path file = place.resolve("shard-00000.arrow");
    byte[] bytes = Files.readAllBytes(file);
    Replay.Options unchecked = new Replay.Options(false, true, 0.001);
    try (Replay replay = Replay.open(place);
        Replay.Use use = replay.use()) {
      assertThat(use).isNotNull();
      int index = replay.schema().columnIndex(column);
      int width = replay.schema().columns().get(index).width();
      // The whole file has one batch, whose first buffer is the session ids 0, 0.., and so on: the
      // distance of two addresses is the distance of their places in the file.
      long fromLast = replay.columnAddress(0, index) - replay.lastAddress(0);
      int at = lastFlagsAt(bytes, replay) + (int) fromLast + (badRow * width + element) * 4;
      int bits = Float.floatToRawIntBits(value);
      for (int i = 0; i < 4; i++) {
        bytes[at + i] = (byte) (bits >> (8 * i));
      }
    }
    Files.write(file, bytes);
    assertThatThrownBy(() -> Replay.open(place, unchecked))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("shard-00000.arrow")
        .hasMessageContaining("row " + badRow)
        .hasMessageContaining(message);
    assertThatThrownBy(() -> Replay.open(place))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("CRC32C of its record batch 0");
  }

  /** Finds the 64-byte aligned place of the last flags in a file of one batch. */
  private static int lastFlagsAt(byte[] bytes, Replay replay) {
    byte[] flags = new byte[(int) replay.rows()];
    for (int i = 0; i < flags.length; i++) {
      flags[i] = (byte) (replay.isLast(i) ? 1 : 0);
    }
    for (int at = 0; ; at += 64) {
      if (Arrays.equals(Arrays.copyOfRange(bytes, at, at + flags.length), flags)) {
        return at;
      }
    }
  }

  @Test
  void actionsMayLeaveTheirBoxWhereTheMetadataSaysSo() {
    ReplaySchema free =
        new ReplaySchema(SampleData.schema().columns(), Map.of(ReplaySchema.BOX_CHECK_KEY, "off"));
    SplittableRandom random = new SplittableRandom(9);
    try (ReplayWriter writer = new ReplayWriter(folder, free)) {
      for (int i = 0; i < 10; i++) {
        float[] row = SampleData.row(random);
        row[SampleData.STATE] = i < 4 ? 0.99f : row[SampleData.STATE];
        writer.append(i, i, 0, true, row);
      }
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.outOfBoxRows()).isEqualTo(4);
    }
  }

  @Test
  void foldersWithoutShardsAndForeignFilesAreRefused() throws IOException {
    assertThatThrownBy(() -> Replay.open(folder))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("no replay shards (*.arrow) in folder");
    assertThatThrownBy(() -> Replay.open(folder.resolve("missing.arrow")))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("there is no replay shard or folder")
        .hasMessageContaining("missing.arrow");
    Files.writeString(folder.resolve("foreign.arrow"), "session,user\n1,2\n".repeat(100));
    assertThatThrownBy(() -> Replay.open(folder))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("is not an Arrow IPC file");
    Files.write(folder.resolve("foreign.arrow"), new byte[0]);
    assertThatThrownBy(() -> Replay.open(folder)).isInstanceOf(ReplayException.class);
  }

  @Test
  void aFileThatWasCutIsNamedBeforeItIsRead() throws IOException {
    SampleData.write(folder, 1, 2000, new ReplayWriter.Options(100_000, 20_000));
    Path file = folder.resolve("shard-00000.arrow");
    try (Replay replay = Replay.open(folder)) {
      replay.checkFiles();
      long size = Files.size(file);
      cut(file, 100);
      assertThatThrownBy(replay::checkFiles)
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining(
              file + " had " + size + " bytes when it was opened and has 100 now");
      Thread.currentThread().interrupt();
      assertThatThrownBy(replay::checkFiles).isInstanceOf(ReplayException.class);
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void removingAFileIsSafe() throws IOException {
    SampleData.write(folder, 1, 20, ReplayWriter.Options.DEFAULT);
    try (Replay replay = Replay.open(folder)) {
      Files.delete(folder.resolve("shard-00000.arrow"));
      replay.checkFiles();
      assertThat(replay.isLast(replay.rows() - 1)).isTrue();
    }
  }

  @Test
  void aFileThatIsCutWhileItIsOpenedIsRefused() throws Exception {
    SampleData.write(folder, 1, 4000, new ReplayWriter.Options(100_000, 20_000));
    Path file = folder.resolve("shard-00000.arrow");
    byte[] whole = Files.readAllBytes(file);
    AtomicBoolean done = new AtomicBoolean();
    Thread cutter =
        new Thread(
            () -> {
              try {
                for (int i = 0; !done.get(); i++) {
                  cut(file, 4096 + (i % 7) * 10_000);
                  Files.write(file, whole, StandardOpenOption.WRITE);
                  Thread.sleep(i % 4);
                }
              } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
              }
            });
    cutter.start();
    int refused = 0;
    try {
      for (int i = 0; i < 300; i++) {
        try (Replay replay = Replay.open(folder, new Replay.Options(i % 2 == 0, true, 0))) {
          assertThat(replay.rows()).isPositive();
        } catch (ReplayException | InternalError e) {
          // The JVM may report a page that is gone a little after compiled code has touched it.
          refused++;
        }
      }
    } finally {
      done.set(true);
      cutter.join();
    }
    assertThat(refused).isPositive();
  }

  private static void cut(Path file, long size) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.truncate(size);
    }
  }

  @Test
  void shardsOfDifferentSchemasDoNotMix() throws IOException {
    SampleData.write(folder.resolve("a"), 1, 3, SMALL);
    try (ReplayWriter writer =
        new ReplayWriter(folder.resolve("b"), ReplaySchema.standard(4, 2, 2, Map.of()))) {
      float[] row = new float[ReplaySchema.standard(4, 2, 2, Map.of()).rowWidth()];
      writer.append(1, 1, 1, true, row);
    }
    List<Path> both =
        List.of(
            folder.resolve("a").resolve("shard-00000.arrow"),
            folder.resolve("b").resolve("shard-00000.arrow"));
    assertThatThrownBy(() -> Replay.open(both, Replay.Options.DEFAULT))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("does not go with");
  }

  static float[] readRow(Replay replay, long row) {
    ReplaySchema schema = replay.schema();
    float[] values = new float[schema.rowWidth()];
    for (int column = 0; column < schema.columns().size(); column++) {
      replay.get(row, column, values, schema.rowOffset(column));
    }
    return values;
  }
}
