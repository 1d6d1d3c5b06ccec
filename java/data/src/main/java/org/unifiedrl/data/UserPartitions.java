package org.unifiedrl.data;

import it.unimi.dsi.fastutil.ints.IntArrays;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;
import org.agrona.BufferUtil;
import org.agrona.IoUtil;
import org.agrona.collections.Hashing;

/**
 * Brings the rows of users together in little memory: each row goes to one of many files by its
 * user, and the files are then sorted one by one, keys in memory and rows where they lie. A sort of
 * whole rows would move them several times.
 */
final class UserPartitions implements Closeable {

  /**
   * Rows of one file at most: their keys take about 40 bytes each of the heap. Files are made for
   * far fewer; one grows so large only through users with very many rows.
   */
  static final int MAX_ROWS = 1 << 24;

  /** Ints that are written at a time. */
  private static final int BUFFER = 1 << 14;

  private static final int MAX_MAPPING = 1 << 30;

  /** Bytes of a file that is meant. */
  private static final long TARGET = 96L << 20;

  private static final int MOST = 1024;

  private final Path folder;
  private final int width;
  private final int mask;
  private final int bufferRows;
  private final int maxRows;
  private final int[][] buffers;
  private final int[] buffered;
  private final long[] rows;
  private final FileChannel[] files;
  private final ByteBuffer bytes;

  /**
   * Prepares files for about so many rows.
   *
   * @param folder for the files, which is created; deleted by {@link #close}
   */
  UserPartitions(Path folder, RowLayout layout, long expectedRows) throws IOException {
    this(folder, layout, partitions(layout, expectedRows), MAX_ROWS);
  }

  UserPartitions(Path folder, RowLayout layout, int partitions, int maxRows) throws IOException {
    this.folder = Files.createDirectories(folder);
    this.maxRows = maxRows;
    width = layout.width();
    mask = partitions - 1;
    bufferRows = Math.max(1, BUFFER / width);
    buffers = new int[partitions][];
    buffered = new int[partitions];
    rows = new long[partitions];
    files = new FileChannel[partitions];
    bytes =
        ByteBuffer.allocateDirect(bufferRows * width * Integer.BYTES)
            .order(ByteOrder.nativeOrder());
  }

  private static int partitions(RowLayout layout, long expectedRows) {
    long wanted = expectedRows * layout.width() * Integer.BYTES / TARGET + 1;
    return Integer.highestOneBit((int) Math.min(MOST, 2 * wanted - 1));
  }

  /** Adds the row that starts at {@code values[at]}. */
  void add(int[] values, int at) throws IOException {
    long user = RowLayout.getLong(values, at + RowLayout.USER);
    int p = Hashing.hash(user, mask);
    if (buffers[p] == null) {
      buffers[p] = new int[bufferRows * width];
    }
    System.arraycopy(values, at, buffers[p], buffered[p] * width, width);
    rows[p]++;
    if (++buffered[p] == bufferRows) {
      flush(p);
    }
  }

  private void flush(int p) throws IOException {
    if (files[p] == null) {
      files[p] =
          FileChannel.open(
              folder.resolve("part-" + p),
              StandardOpenOption.CREATE_NEW,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
    }
    bytes.clear();
    bytes.asIntBuffer().put(buffers[p], 0, buffered[p] * width);
    bytes.limit(buffered[p] * width * Integer.BYTES);
    while (bytes.hasRemaining()) {
      files[p].write(bytes);
    }
    buffered[p] = 0;
  }

  /**
   * Gives all rows to a sink: user by user, a user's by session, then by place in it, then by time,
   * and equal ones in the order in which they were added.
   *
   * @throws ImportException if one user has too many rows
   */
  void sorted(LogRows.Sink sink) throws IOException, LogRows.BadRowException {
    for (int p = 0; p <= mask; p++) {
      if (rows[p] > 0) {
        if (buffered[p] > 0) {
          flush(p);
        }
        buffers[p] = null;
        sorted(p, sink);
        files[p].close();
        Files.delete(folder.resolve("part-" + p));
        files[p] = null;
      }
    }
  }

  private void sorted(int p, LogRows.Sink sink) throws IOException, LogRows.BadRowException {
    int perMapping = MAX_MAPPING / (width * Integer.BYTES);
    int count = (int) Math.min(rows[p], Integer.MAX_VALUE);
    MappedByteBuffer[] mapped = new MappedByteBuffer[(count - 1) / perMapping + 1];
    IntBuffer[] values = new IntBuffer[mapped.length];
    try {
      for (int m = 0; m < mapped.length; m++) {
        long from = (long) m * perMapping * width * Integer.BYTES;
        long size = Math.min(files[p].size() - from, (long) perMapping * width * Integer.BYTES);
        mapped[m] = files[p].map(FileChannel.MapMode.READ_ONLY, from, size);
        values[m] = mapped[m].order(ByteOrder.nativeOrder()).asIntBuffer();
      }
      if (rows[p] > maxRows) {
        throw tooMany(values, perMapping, count);
      }
      int[] order = order(values, perMapping, count);
      int[] row = new int[width];
      for (int i : order) {
        values[i / perMapping].get(i % perMapping * width, row, 0, width);
        sink.accept(row, 0);
      }
    } finally {
      for (MappedByteBuffer mapping : mapped) {
        IoUtil.unmap(mapping);
      }
    }
  }

  private int[] order(IntBuffer[] values, int perMapping, int count) {
    long[] users = keys(values, perMapping, count, RowLayout.USER);
    long[] sessions = keys(values, perMapping, count, RowLayout.SESSION);
    long[] places = keys(values, perMapping, count, RowLayout.ORDER);
    long[] times = keys(values, perMapping, count, RowLayout.TIME);
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      order[i] = i;
    }
    IntArrays.stableSort(
        order,
        (a, b) -> {
          int by = Long.compare(users[a], users[b]);
          by = by != 0 ? by : Long.compare(sessions[a], sessions[b]);
          by = by != 0 ? by : Long.compare(places[a], places[b]);
          return by != 0 ? by : Long.compare(times[a], times[b]);
        });
    return order;
  }

  private long[] keys(IntBuffer[] values, int perMapping, int count, int key) {
    long[] keys = new long[count];
    for (int i = 0; i < count; i++) {
      keys[i] = RowLayout.getLong(values[i / perMapping], i % perMapping * width + key);
    }
    return keys;
  }

  private ImportException tooMany(IntBuffer[] values, int perMapping, int count) {
    Map<Long, Integer> counts = new HashMap<>();
    for (int i = 0; i < count; i++) {
      counts.merge(
          RowLayout.getLong(values[i / perMapping], i % perMapping * width), 1, Integer::sum);
    }
    Map.Entry<Long, Integer> most =
        counts.entrySet().stream().max(Map.Entry.comparingByValue()).orElseThrow();
    return new ImportException(
        ("user %d has %,d requests, which is more than one user's rows can be sorted by: is the user"
                + " column right? Leave this user out, or split the log by time")
            .formatted(most.getKey(), most.getValue()));
  }

  @Override
  public void close() throws IOException {
    BufferUtil.free(bytes);
    for (int p = 0; p <= mask; p++) {
      if (files[p] != null) {
        files[p].close();
        Files.deleteIfExists(folder.resolve("part-" + p));
      }
    }
    Files.deleteIfExists(folder);
  }
}
