package org.unifiedrl.engine.replay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.DurableFiles;

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

  /** The files are the same, byte for byte, however the rows came. */
  @Property(tries = 60)
  void blocksAreWrittenAsTheirRowsAre(
      @ForAll @Size(min = 1, max = 40) List<@IntRange(min = 1, max = 30) Integer> lengths,
      @ForAll @IntRange(min = 1, max = 200) int rowsPerShard,
      @ForAll @IntRange(min = 1, max = 20_000) int batchBytes,
      @ForAll @IntRange(min = 1, max = 300) int blockRows,
      @ForAll long seed)
      throws IOException {
    Path place = Files.createTempDirectory("replay-blocks");
    SplittableRandom random = new SplittableRandom(seed);
    ReplaySchema schema = SampleData.schema();
    ReplayWriter.Options options = new ReplayWriter.Options(rowsPerShard, batchBytes);
    Path rows = place.resolve("rows");
    Path blocks = place.resolve("blocks");
    try (ReplayWriter one = new ReplayWriter(rows, schema, options);
        ReplayWriter many = new ReplayWriter(blocks, schema, options)) {
      RowBlock block = new RowBlock(schema, blockRows);
      for (int session = 0; session < lengths.size(); session++) {
        for (int i = 0; i < lengths.get(session); i++) {
          float[] row = SampleData.row(random);
          boolean last = i == lengths.get(session) - 1;
          one.append(session, -session, seed, last, row);
          add(block, schema, session, -session, seed, last, row);
          if (block.rows() == block.capacity()) {
            assertThat(many.append(block)).isEqualTo(-1);
            block.rows(0);
          }
        }
      }
      many.append(block);
      block.rows(0);
      many.append(block); // of nothing
    }
    try (Stream<Path> files = Files.list(rows)) {
      for (Path file : files.toList()) {
        assertThat(blocks.resolve(file.getFileName())).hasSameBinaryContentAs(file);
      }
    }
    DurableFiles.deleteTree(place);
  }

  private static void add(
      RowBlock block,
      ReplaySchema schema,
      long session,
      long user,
      long time,
      boolean last,
      float[] values) {
    int row = block.rows();
    block.rows(row + 1);
    block.sessionIds()[row] = session;
    block.userIds()[row] = user;
    block.timestamps()[row] = time;
    block.last()[row] = last;
    for (int c = 0; c < schema.columns().size(); c++) {
      int width = schema.columns().get(c).width();
      System.arraycopy(values, schema.rowOffset(c), block.column(c), row * width, width);
    }
  }

  /** A block of sessions of one row each, of which one row has one value changed. */
  private static RowBlock sessions(int rows, int bad, int at, float value) {
    SplittableRandom random = new SplittableRandom(3);
    ReplaySchema schema = SampleData.schema();
    RowBlock block = new RowBlock(schema, rows + 2);
    for (int i = 0; i < rows; i++) {
      float[] row = SampleData.row(random);
      if (i == bad) {
        row[at] = value;
      }
      add(block, schema, i, 1, i, true, row);
    }
    return block;
  }

  @Test
  void aBlockIsTakenUpToTheRowThatIsRefused() {
    int action = SampleData.STATE;
    int low = SampleData.STATE + 2 * SampleData.ACTION;
    int end = SampleData.schema().rowWidth() - 1;
    try (ReplayWriter writer = new ReplayWriter(folder, SampleData.schema())) {
      assertBlockRefused(
          writer, 4, 0, Float.NaN, "session 4, column 'state'[0]: expected a finite");
      assertBlockRefused(writer, 0, end, Float.NEGATIVE_INFINITY, "expected a finite number");
      assertBlockRefused(writer, 6, action + 1, 1.1f, "session 6, column 'action'[1]: expected a");
      assertBlockRefused(writer, 2, low, -1.1f, "'box_low'[0]: expected a value within");
      assertBlockRefused(writer, 3, low + 1, 0.9f, "'box_low'[1]: expected box_low <= box_high");
      RowBlock good = sessions(7, -1, 0, 0);
      assertThat(writer.append(good)).isEqualTo(-1);
      assertThat(good.refused()).isEqualTo(-1);
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(4 + 0 + 6 + 2 + 3 + 7);
      assertThat(replay.sessionId(3)).isEqualTo(3);
      assertThat(replay.sessionId(4)).isEqualTo(0);
    }
  }

  private static void assertBlockRefused(
      ReplayWriter writer, int bad, int at, float value, String message) {
    RowBlock block = sessions(7, bad, at, value);
    assertThatThrownBy(() -> writer.append(block))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining(message)
        .hasMessageContaining("the row was not written");
    assertThat(block.refused()).isEqualTo(bad);
  }

  @Test
  void sessionsOfABlockThatAreCutOrTooLongAreRefused() {
    ReplaySchema schema = SampleData.schema();
    int bytesPerRow = 25 + 4 * schema.rowWidth();
    ReplayWriter.Options options = new ReplayWriter.Options(1000, 1);
    try (ReplayWriter writer = new ReplayWriter(folder, schema, options, 5L * bytesPerRow)) {
      RowBlock cut = sessions(4, -1, 0, 0);
      cut.last()[1] = false;
      assertThatThrownBy(() -> writer.append(cut))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("row of session 2 while session 1 has no last row yet");
      assertThat(cut.refused()).isEqualTo(2);
      RowBlock rest = sessions(2, -1, 0, 0);
      rest.sessionIds()[0] = 1; // ends what is open
      writer.append(rest);
      RowBlock endless = sessions(9, -1, 0, 0);
      for (int i = 1; i < 9; i++) {
        endless.sessionIds()[i] = 1;
        endless.last()[i] = false;
      }
      assertThatThrownBy(() -> writer.append(endless))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("its 6 rows so far were left out");
      assertThat(endless.refused()).isEqualTo(6);
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(5);
      long[] sessions = IntStream.range(0, 5).mapToLong(replay::sessionId).toArray();
      assertThat(sessions).containsExactly(0, 1, 1, 1, 0);
    }
  }

  @Test
  void theFirstActionOfABlockOutsideItsBoxIsTold() {
    int action = SampleData.STATE;
    try (ReplayWriter writer = new ReplayWriter(folder, SampleData.schema())) {
      RowBlock two = sessions(7, 3, action, 1);
      two.column(SampleData.schema().find(ReplaySchema.ACTION))[5 * SampleData.ACTION] = -1;
      assertThat(writer.append(two)).isEqualTo(3);
      assertThat(writer.append(sessions(7, 5, action + 1, -1))).isEqualTo(5);
      assertThat(writer.outOfBoxRows()).isEqualTo(3);
      RowBlock wider = new RowBlock(ReplaySchema.standard(4, 2, 2, Map.of()), 1);
      wider.rows(1);
      assertThatThrownBy(() -> writer.append(wider))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("block of the columns")
          .hasMessageContaining("nothing was written");
      RowBlock none = sessions(1, -1, 0, 0);
      assertThatThrownBy(() -> none.rows(4))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("4 rows: expected 0 to 3");
    }
    assertThatThrownBy(() -> new RowBlock(SampleData.schema(), 0))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("capacity is 0");
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
  void aRowThatItsReaderWouldRefuseIsRefusedAtOnce() {
    SplittableRandom random = new SplittableRandom(2);
    int low = SampleData.STATE + 2 * SampleData.ACTION;
    int high = SampleData.STATE + 3 * SampleData.ACTION;
    try (ReplayWriter writer = new ReplayWriter(folder, SampleData.schema())) {
      writer.append(1, 1, 1, true, SampleData.row(random));
      assertRefused(writer, low + 1, 0.9f, "'box_low'[1]: expected box_low <= box_high, found 0.9");
      assertRefused(writer, high, 1.5f, "'box_high'[0]: expected a value within the action range");
      assertRefused(writer, low, -2, "'box_low'[0]: expected a value within the action range");
      assertRefused(writer, SampleData.STATE, -1.1f, "'action'[0]: expected a value within");
      writer.append(3, 1, 1, true, SampleData.row(random));
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(2);
      assertThat(replay.sessionId(1)).isEqualTo(3);
    }
  }

  /** Edges are sums of float32 numbers: rounding may put one a little outside the range. */
  @Test
  void whatRoundingPutOutsideTheActionRangeIsTaken() {
    int low = SampleData.STATE + 2 * SampleData.ACTION;
    int high = SampleData.STATE + 3 * SampleData.ACTION;
    float[] row = SampleData.row(new SplittableRandom(2));
    row[low] = -1 - 5e-7f;
    row[high] = Math.nextUp(1f);
    try (ReplayWriter writer = new ReplayWriter(folder, SampleData.schema())) {
      writer.append(1, 1, 1, true, row);
      assertRefused(writer, high, 1 + 2e-6f, "'box_high'[0]: expected a value within");
      assertRefused(writer, low, -1 - 2e-6f, "'box_low'[0]: expected a value within");
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(1);
      assertThat(replay.outOfBoxRows()).isZero();
      assertThat(ReplayTest.readRow(replay, 0)).containsExactly(row);
    }
  }

  @Test
  void aValueThatIsNotFiniteIsRefusedWhereverItIs() {
    int width = SampleData.schema().rowWidth();
    try (ReplayWriter writer = new ReplayWriter(folder, SampleData.schema())) {
      for (int at = 0; at < width; at++) {
        String column = SampleData.schema().describeRowIndex(at).substring("column ".length());
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, -1 / 0f}) {
          assertRefused(writer, at, bad, column + ": expected a finite number, found " + bad);
        }
      }
      writer.append(1, 1, 1, true, SampleData.row(new SplittableRandom(2)));
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(1);
    }
  }

  private static void assertRefused(ReplayWriter writer, int at, float value, String message) {
    float[] bad = SampleData.row(new SplittableRandom(3));
    bad[at] = value;
    assertThatThrownBy(() -> writer.append(2, 1, 1, true, bad))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("session 2, column " + message);
  }

  @Test
  void actionsOutsideTheirBoxAreWrittenAndCounted() {
    SplittableRandom random = new SplittableRandom(2);
    try (ReplayWriter writer = new ReplayWriter(folder, SampleData.schema())) {
      for (int i = 0; i < 2000; i++) {
        float[] row = SampleData.row(random);
        row[SampleData.STATE] = i == 70 || i == 700 ? 0.99f : row[SampleData.STATE];
        writer.append(i, 1, 1, true, row);
      }
      assertThat(writer.outOfBoxRows()).isEqualTo(2);
    }
    try (Replay replay = Replay.open(folder)) { // 2 of 2,000 are the share that is allowed
      assertThat(replay.outOfBoxRows()).isEqualTo(2);
    }
    assertThatThrownBy(() -> Replay.open(folder, new Replay.Options(true, true, 0.0009)))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("2 of 2000 actions lie outside their logged box")
        .hasMessageContaining("row 70");
  }

  @Test
  void closeFromAnotherThreadEndsAppendingWithAnException() throws InterruptedException {
    for (int round = 0; round < 30; round++) {
      boolean abort = round % 2 == 0;
      Path place = folder.resolve("round-" + round);
      ReplayWriter writer =
          new ReplayWriter(place, SampleData.schema(), new ReplayWriter.Options(5000, 20_000));
      AtomicReference<Throwable> end = new AtomicReference<>();
      AtomicLong appended = new AtomicLong();
      float[] row = SampleData.row(new SplittableRandom(round));
      Thread appending =
          new Thread(
              () -> {
                try {
                  while (true) {
                    writer.append(appended.get(), 1, 1, true, row);
                    appended.incrementAndGet();
                  }
                } catch (Throwable e) {
                  end.set(e);
                }
              });
      appending.start();
      while (appended.get() < 2000) {
        Thread.onSpinWait();
      }
      if (abort) {
        writer.abort();
      } else {
        writer.close();
      }
      appending.join();
      assertThat(end.get())
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("closed or failed");
      if (!abort) {
        try (Replay replay = Replay.open(place)) {
          assertThat(replay.rows()).isEqualTo(appended.get()).isEqualTo(writer.rows());
        }
      }
    }
  }

  @Test
  void twoWritersDoNotShareAFolder() throws IOException {
    float[] row = SampleData.row(new SplittableRandom(1));
    try (ReplayWriter first = new ReplayWriter(folder, SampleData.schema())) {
      first.append(1, 1, 1, true, row);
      assertThatThrownBy(() -> new ReplayWriter(folder, SampleData.schema()))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("another writer works on " + folder);
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(1);
    }
    Path other = Files.createDirectory(folder.resolve("other"));
    try (FileChannel channel =
        FileChannel.open(
            other.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      assertThat(channel.lock().isValid()).isTrue();
      assertThatThrownBy(() -> new ReplayWriter(other, SampleData.schema()))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("another writer");
    }
    new ReplayWriter(other, SampleData.schema()).close();
  }

  @Test
  void whatAKilledWriterLeftIsRemoved() throws IOException {
    Files.writeString(folder.resolve(".shard-00000.arrow.tmp"), "half a shard");
    new ReplayWriter(folder, SampleData.schema()).close();
    assertThat(names()).isEmpty();
  }

  /** Names in the folder but for the lock, which stays. */
  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(f -> f.getFileName().toString())
          .filter(name -> !name.equals(".lock"))
          .sorted()
          .toList();
    }
  }

  @Test
  void aSessionThatOutgrowsABatchIsLeftOutAndTheWriterGoesOn() {
    float[] row = SampleData.row(new SplittableRandom(1));
    try (ReplayWriter writer =
        new ReplayWriter(folder, SampleData.schema(), new ReplayWriter.Options(1000, 1000), 4000)) {
      writer.append(1, 1, 1, true, row);
      int accepted = 0;
      try {
        for (; accepted < 1000; accepted++) {
          writer.append(2, 1, 1, false, row);
        }
      } catch (ReplayException e) {
        assertThat(e)
            .hasMessageContaining("session 2 does not fit a record batch of at most 4000 bytes")
            .hasMessageContaining("its " + (accepted + 1) + " rows so far were left out");
      }
      assertThat(accepted).isBetween(20, 60);
      for (int i = 0; i < 2; i++) {
        boolean last = i == 1;
        assertThatThrownBy(() -> writer.append(2, 1, 1, last, row))
            .isInstanceOf(ReplayException.class)
            .hasMessageContaining("this row was not written either");
      }
      writer.append(3, 1, 1, true, row);
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(2);
      assertThat(replay.sessionId(0)).isEqualTo(1);
      assertThat(replay.sessionId(1)).isEqualTo(3);
    }
  }

  @Test
  void schemasThatNoReaderTakesAreRefused() {
    List<ReplaySchema.Column> columns =
        IntStream.range(0, 9_997).mapToObj(i -> new ReplaySchema.Column("c" + i, 1)).toList();
    assertUnwritable(new ReplaySchema(columns, Map.of()), "9997 columns: expected at most 9996");
    List<ReplaySchema.Column> one = List.of(new ReplaySchema.Column("c".repeat(1 << 20) + "d", 1));
    assertUnwritable(new ReplaySchema(one, Map.of()), "column names have 1048577 bytes");
    Map<String, String> many =
        IntStream.range(0, 10_001).boxed().collect(Collectors.toMap(i -> "k" + i, i -> ""));
    assertUnwritable(SampleData.schema(many), "metadata has 10001 entries");
    Map<String, String> large = Map.of("text", "x".repeat((8 << 20) + 1));
    assertUnwritable(SampleData.schema(large), "8388613 bytes");
    // The largest that is written is read.
    Map<String, String> most =
        IntStream.range(0, 10_000)
            .boxed()
            .collect(Collectors.toMap(i -> String.format("k%06d", i), i -> "v".repeat(800)));
    ReplaySchema widest = new ReplaySchema(columns.subList(0, 9_996), most);
    try (ReplayWriter writer = new ReplayWriter(folder, widest)) {
      writer.append(1, 1, 1, true, new float[9_996]);
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.schema()).isEqualTo(widest);
    }
  }

  private void assertUnwritable(ReplaySchema schema, String message) {
    assertThatThrownBy(() -> new ReplayWriter(folder, schema))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining(message);
  }

  @Test
  void aShardEndsBeforeItsFooterGrowsTooLarge() {
    ReplaySchema schema = new ReplaySchema(List.of(new ReplaySchema.Column("state", 1)), Map.of());
    try (ReplayWriter writer =
        new ReplayWriter(folder, schema, new ReplayWriter.Options(1_000_000, 1))) {
      for (int i = 0; i < 5000; i++) {
        writer.append(i, 1, 1, true, new float[] {i});
      }
      assertThat(writer.rows()).isEqualTo(4096);
      assertThat(writer.shards()).hasSize(1);
    }
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(5000);
    }
  }

  @Test
  void badOptionsAndColumnsAreRefused() {
    assertThatThrownBy(() -> new ReplayWriter.Options(0, 1))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("rowsPerShard is 0: expected at least 1");
    for (int bytes : new int[] {0, -1, (512 << 20) + 1}) {
      assertThatThrownBy(() -> new ReplayWriter.Options(1, bytes))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("batchBytes is " + bytes + ": expected 1 to");
    }
    for (int width : new int[] {0, -1, (1 << 20) + 1}) {
      assertThatThrownBy(() -> new ReplaySchema.Column("state", width))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("column 'state' has width " + width + ": expected 1 to");
    }
    assertThatThrownBy(() -> new ReplaySchema.Column("user_id", 1))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("column name 'user_id'");
    assertThatThrownBy(() -> new ReplaySchema(List.of(), Map.of()))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("at least one float32 column");
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
    assertThatIllegalStateException()
        .isThrownBy(() -> writer.append(3, 1, 1, true, row))
        .withMessageContaining("closed or failed earlier: " + folder);
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
    assertThat(names()).isEmpty();
  }

  /** Real write errors: the shell limits the size of files that the child may write. */
  @Test
  void aFullDiskLeavesFinishedShardsAndWholeBatches() throws IOException, InterruptedException {
    Assumptions.assumeTrue(
        Files.isExecutable(Path.of("/bin/bash")), "skipped: /bin/bash is not here to limit files");
    // 64 blocks of 1,024 bytes hold some batches, but no whole shard.
    assertThat(fullDisk("100000", "1"))
        .contains("cannot write")
        .contains("free space there")
        .contains("the unfinished shard was ended after its last whole batch")
        .contains("1 finished shards");
    assertThat(names()).containsExactly("shard-00000.arrow");
    try (Replay replay = Replay.open(folder)) {
      // 81 bytes a row; the batch that did not fit has 8 KiB.
      assertThat(replay.rows()).isBetween(48L * 1024 / 81, 64L * 1024 / 81);
      for (int row = 0; row < replay.rows(); row++) {
        assertThat(replay.timestamp(row)).isEqualTo(row);
      }
    }
  }

  @Test
  void aFullDiskWithoutAWholeBatchLeavesFinishedShards() throws IOException, InterruptedException {
    Assumptions.assumeTrue(
        Files.isExecutable(Path.of("/bin/bash")), "skipped: /bin/bash is not here to limit files");
    // The second shard is one session, so one batch, that does not fit.
    assertThat(fullDisk("400", "2000"))
        .contains("cannot write")
        .contains(
            "the unfinished shard was removed, 2000 rows are lost, 1 finished shards with 400");
    assertThat(names()).containsExactly("shard-00000.arrow");
    try (Replay replay = Replay.open(folder)) {
      assertThat(replay.rows()).isEqualTo(400);
    }
  }

  private String fullDisk(String... arguments) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                "/bin/bash",
                "-c",
                "ulimit -f 64; exec \"$@\"",
                "bash",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-opens",
                "java.base/jdk.internal.misc=ALL-UNNAMED",
                "-XX:-UsePerfData",
                "-cp",
                System.getProperty("java.class.path"),
                FullDisk.class.getName(),
                folder.toString()));
    command.addAll(List.of(arguments));
    Process child = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(output).isZero();
    return output;
  }

  /** Child process: sessions of one row, after 400 of them of a given length. */
  static final class FullDisk {
    private FullDisk() {}

    public static void main(String[] arguments) {
      int rowsPerShard = Integer.parseInt(arguments[1]);
      int length = Integer.parseInt(arguments[2]);
      ReplayWriter writer =
          new ReplayWriter(
              Path.of(arguments[0]),
              ReplaySchema.standard(3, 2, 2, Map.of()),
              new ReplayWriter.Options(rowsPerShard, 8 << 10));
      float[] row = new float[14];
      try {
        for (int i = 0; i < 2400; i++) {
          int later = Math.max(0, i - 400);
          boolean last = i < 400 || later % length == length - 1;
          writer.append(i < 400 ? i : 400 + later / length, 0, i, last, row);
        }
        System.exit(2);
      } catch (ReplayException e) {
        System.out.println(e.getMessage());
      }
    }
  }
}
