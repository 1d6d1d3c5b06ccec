package org.unifiedrl.data;

import it.unimi.dsi.fastutil.ints.IntArrays;
import it.unimi.dsi.fastutil.ints.IntComparator;
import it.unimi.dsi.fastutil.longs.Long2IntOpenHashMap;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
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

  /** Receives rows in the order of sessions. */
  interface Sink {
    /**
     * Takes a row; copies what it keeps.
     *
     * @param head its first {@link RowLayout#VALUES} ints
     * @param values its float32 values
     */
    void accept(int[] head, float[] values) throws LogRows.BadRowException;
  }

  /**
   * Gives all rows to a sink: user by user, a user's by session, then by place in it, then by time,
   * and equal ones in the order in which they were added.
   *
   * @throws ImportException if one user has too many rows
   */
  void sorted(Sink sink) throws IOException, LogRows.BadRowException {
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

  private void sorted(int p, Sink sink) throws IOException, LogRows.BadRowException {
    int perMapping = MAX_MAPPING / (width * Integer.BYTES);
    int count = (int) Math.min(rows[p], Integer.MAX_VALUE);
    MappedByteBuffer[] mapped = new MappedByteBuffer[(count - 1) / perMapping + 1];
    IntBuffer[] ints = new IntBuffer[mapped.length];
    FloatBuffer[] floats = new FloatBuffer[mapped.length];
    try {
      for (int m = 0; m < mapped.length; m++) {
        long from = (long) m * perMapping * width * Integer.BYTES;
        long size = Math.min(files[p].size() - from, (long) perMapping * width * Integer.BYTES);
        mapped[m] = files[p].map(FileChannel.MapMode.READ_ONLY, from, size);
        ByteBuffer bytes = mapped[m].order(ByteOrder.nativeOrder());
        ints[m] = bytes.asIntBuffer();
        floats[m] = bytes.asFloatBuffer();
      }
      if (rows[p] > maxRows) {
        throw tooMany(ints, perMapping, count);
      }
      int[] order = order(ints, perMapping, count);
      int[] head = new int[RowLayout.VALUES];
      float[] values = new float[width - RowLayout.VALUES];
      for (int i : order) {
        int m = i / perMapping;
        int at = (i - m * perMapping) * width;
        ints[m].get(at, head);
        floats[m].get(at + RowLayout.VALUES, values);
        sink.accept(head, values);
      }
    } finally {
      for (MappedByteBuffer mapping : mapped) {
        IoUtil.unmap(mapping);
      }
    }
  }

  /** Places of the rows in the order of sessions: users as they come, each one's rows sorted. */
  private int[] order(IntBuffer[] rows, int perMapping, int count) {
    int[] user = new int[count]; // numbered as they come
    long[] session = new long[count];
    long[] place = new long[count];
    long[] time = new long[count];
    Long2IntOpenHashMap numbers = new Long2IntOpenHashMap();
    int[] head = new int[RowLayout.NUMBER];
    for (int i = 0; i < count; i++) {
      int m = i / perMapping;
      rows[m].get((i - m * perMapping) * width, head);
      long id = RowLayout.getLong(head, RowLayout.USER);
      int next = numbers.size();
      int known = numbers.putIfAbsent(id, next);
      user[i] = numbers.size() > next ? next : known;
      session[i] = RowLayout.getLong(head, RowLayout.SESSION);
      place[i] = RowLayout.getLong(head, RowLayout.ORDER);
      time[i] = RowLayout.getLong(head, RowLayout.TIME);
    }
    int[] from = new int[numbers.size() + 1];
    for (int u : user) {
      from[u + 1]++;
    }
    for (int u = 0; u < numbers.size(); u++) {
      from[u + 1] += from[u];
    }
    int[] order = new int[count];
    int[] at = from.clone();
    for (int i = 0; i < count; i++) {
      order[at[user[i]]++] = i;
    }
    IntComparator byKeys =
        (a, b) -> {
          int by = Long.compare(session[a], session[b]);
          by = by != 0 ? by : Long.compare(place[a], place[b]);
          return by != 0 ? by : Long.compare(time[a], time[b]);
        };
    for (int u = 0; u < numbers.size(); u++) {
      for (int i = from[u] + 1; i < from[u + 1]; i++) {
        if (byKeys.compare(order[i - 1], order[i]) > 0) { // most logs are in the order of time
          IntArrays.stableSort(order, from[u], from[u + 1], byKeys);
          break;
        }
      }
    }
    return order;
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
