package org.unifiedrl.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.unifiedrl.engine.NativeReplay;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;

/** A replay of random requests in a temporary folder, opened as training opens its log. */
final class RandomReplay implements AutoCloseable {

  private static final int SESSION_ROWS = 20;
  private static final float BOX_WIDTH = 0.2f;

  private final Path folder;
  private final Replay replay;
  private final NativeReplay view;

  /**
   * Writes and opens it.
   *
   * @param stateSize state features S
   * @param actionSize action dimensions A
   * @param rewardGroups reward groups q
   * @param rows requests, a multiple of 20
   */
  RandomReplay(int stateSize, int actionSize, int rewardGroups, int rows) {
    try {
      folder = Files.createTempDirectory("unifiedrl-bench");
    } catch (IOException e) {
      throw new UncheckedIOException("no temporary folder for the benchmark's replay", e);
    }
    ReplaySchema schema = ReplaySchema.standard(stateSize, actionSize, rewardGroups, Map.of());
    int action = schema.rowOffset(schema.columnIndex(ReplaySchema.ACTION));
    int low = schema.rowOffset(schema.columnIndex(ReplaySchema.BOX_LOW));
    int high = schema.rowOffset(schema.columnIndex(ReplaySchema.BOX_HIGH));
    float[] row = new float[schema.rowWidth()];
    Random random = new Random(1);
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      for (int r = 0; r < rows; r++) {
        for (int i = 0; i < row.length; i++) {
          row[i] = 2 * random.nextFloat() - 1;
        }
        for (int i = 0; i < actionSize; i++) {
          row[low + i] = (1 - BOX_WIDTH) * row[low + i] - BOX_WIDTH / 2;
          row[high + i] = row[low + i] + BOX_WIDTH;
          row[action + i] = row[low + i] + BOX_WIDTH * random.nextFloat();
        }
        boolean last = r % SESSION_ROWS == SESSION_ROWS - 1;
        writer.append(r / SESSION_ROWS, r / SESSION_ROWS, r, last, row);
      }
    }
    replay = Replay.open(folder);
    view = NativeReplay.of(replay);
  }

  /** What an engine draws from. */
  NativeReplay view() {
    return view;
  }

  /** Columns of the log. */
  ReplaySchema schema() {
    return replay.schema();
  }

  /** Closes the replay and removes its files. */
  @Override
  public void close() {
    view.close();
    replay.close();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot remove the benchmark's replay in " + folder, e);
    }
  }
}
