package org.unifiedrl.engine.replay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Damaged files end in a {@link ReplayException}, or are read with the same content. */
class ReplayCorruptionTest {

  @TempDir Path folder;
  private Path file;
  private byte[] good;
  private float[][] rows;

  @BeforeEach
  void write() throws IOException {
    SampleData.write(folder, 11, 20, new ReplayWriter.Options(1000, 1000));
    file = folder.resolve("shard-00000.arrow");
    good = Files.readAllBytes(file);
    rows = read(Replay.Options.DEFAULT);
  }

  @Test
  void everyTruncationIsRefused() throws IOException {
    for (int length = 0; length < good.length; length += length < 100 ? 1 : 37) {
      Files.write(file, Arrays.copyOf(good, length));
      if (read(Replay.Options.DEFAULT) != null) {
        fail("accepted a file cut to " + length + " of " + good.length + " bytes");
      }
    }
  }

  @Test
  void everyBitFlipIsRefusedOrHarmless() throws IOException {
    // All footer bytes, and a sample of the rest.
    SplittableRandom random = new SplittableRandom(12);
    int end = good.length - 10;
    int footer = end - ByteBuffer.wrap(good).order(ByteOrder.LITTLE_ENDIAN).getInt(end);
    int footerBytes = good.length - footer;
    assertThat(footerBytes).isBetween(1000, 10_000);
    for (int trial = 0; trial < footerBytes + 1000; trial++) {
      int at = trial < footerBytes ? footer + trial : random.nextInt(good.length);
      byte[] bad = good.clone();
      bad[at] ^= (byte) (1 << random.nextInt(8));
      overwrite(bad);
      float[][] found = read(Replay.Options.DEFAULT);
      if (found != null && !Arrays.deepEquals(found, rows)) {
        fail("a flipped bit in byte " + at + " of " + good.length + " changed what was read");
      }
    }
  }

  @Test
  void damageWithoutChecksumsNeverEscapesTheFile() throws IOException {
    // As files of other writers are read: only structure and values can be checked.
    SplittableRandom random = new SplittableRandom(13);
    Replay.Options unchecked = new Replay.Options(false, true, 1);
    for (int trial = 0; trial < 4000; trial++) {
      byte[] bad = good.clone();
      int flips = 1 + random.nextInt(4);
      for (int i = 0; i < flips; i++) {
        int at =
            random.nextBoolean()
                ? good.length - 1 - random.nextInt(2500)
                : random.nextInt(good.length);
        bad[at] = (byte) random.nextInt(256);
      }
      overwrite(bad);
      read(unchecked);
    }
    assertThat(trialsSurvived(unchecked)).isTrue();
  }

  /**
   * Overwrites in place: to truncate first makes some file systems flush, a hundred times slower.
   */
  private void overwrite(byte[] bytes) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(bytes), 0);
      channel.truncate(bytes.length);
    }
  }

  private boolean trialsSurvived(Replay.Options options) throws IOException {
    overwrite(good);
    return Arrays.deepEquals(read(options), rows);
  }

  /** All rows, or null if the file was refused; any other exception fails the test. */
  private float[][] read(Replay.Options options) {
    try (Replay replay = Replay.open(folder, options)) {
      float[][] all = new float[(int) replay.rows()][];
      for (int row = 0; row < all.length; row++) {
        all[row] = ReplayTest.readRow(replay, row);
      }
      return all;
    } catch (ReplayException e) {
      assertThat(e).hasMessageContaining(file.getFileName().toString());
      return null;
    }
  }
}
