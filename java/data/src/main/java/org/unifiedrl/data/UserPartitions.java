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
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.agrona.BufferUtil;
import org.agrona.IoUtil;
import org.agrona.collections.Hashing;

/**
 * Brings the rows of users together in bounded memory: each row goes to one of many parts by its
 * user, and the parts are then sorted one by one, keys in memory and rows where they lie. A part's
 * rows lie in memory as long as there is some, and in a file from then on. A sort of whole rows
 * would move them several times.
 */
final class UserPartitions implements Closeable {

  /**
   * Rows of one part at most: their keys take about 40 bytes each of the heap. Parts are made for
   * far fewer; one grows so large only through users with very many rows.
   */
  static final int MAX_ROWS = 1 << 24;

  /** Bytes of a chunk, which is written at a time. */
  private static final int CHUNK = 1 << 16;

  private static final int MAX_MAPPING = 1 << 30;

  /** Bytes of a part that is meant. */
  private static final long TARGET = 96L << 20;

  private static final int MOST = 1024;

  /** Rows by their user; all chunks but the last are full. */
  private static final class Part {
    final List<ByteBuffer> kept = new ArrayList<>();
    ByteBuffer chunk;
    IntBuffer values;
    int buffered;
    long rows;
    Path file;
    FileChannel channel;
  }

  private final Path folder;
  private final int width;
  private final int mask;
  private final int chunkRows;
  private final int maxRows;
  private final Part[] parts;
  private long memory;

  /**
   * Prepares for about so many rows.
   *
   * @param folder for files, which is created; deleted by {@link #close}
   * @param memory bytes of rows that stay in memory, besides a chunk a part
   */
  UserPartitions(Path folder, RowLayout layout, long expectedRows, long memory) throws IOException {
    this(folder, layout, partitions(layout, expectedRows), MAX_ROWS, memory);
  }

  UserPartitions(Path folder, RowLayout layout, int partitions, int maxRows, long memory)
      throws IOException {
    this.folder = Files.createDirectories(folder);
    this.maxRows = maxRows;
    this.memory = memory;
    width = layout.width();
    mask = partitions - 1;
    chunkRows = Math.max(1, CHUNK / (width * Integer.BYTES));
    parts = new Part[partitions];
    for (int p = 0; p < partitions; p++) {
      parts[p] = new Part();
      parts[p].file = folder.resolve("part-" + p);
    }
  }

  private static int partitions(RowLayout layout, long expectedRows) {
    long wanted = expectedRows * layout.width() * Integer.BYTES / TARGET + 1;
    return Integer.highestOneBit((int) Math.min(MOST, 2 * wanted - 1));
  }

  /** Adds the row that starts at {@code values[at]}. */
  void add(int[] values, int at) throws IOException {
    Part part = parts[Hashing.hash(RowLayout.getLong(values, at + RowLayout.USER), mask)];
    if (part.chunk == null) {
      part.chunk =
          ByteBuffer.allocateDirect(chunkRows * width * Integer.BYTES)
              .order(ByteOrder.nativeOrder());
      part.values = part.chunk.asIntBuffer();
    }
    part.values.put(part.buffered * width, values, at, width);
    part.rows++;
    if (++part.buffered == chunkRows) {
      store(part);
    }
  }

  private void store(Part part) throws IOException {
    if (part.channel == null && memory >= part.chunk.capacity()) {
      memory -= part.chunk.capacity();
      part.kept.add(part.chunk);
      part.chunk = null;
    } else {
      write(part);
    }
    part.buffered = 0;
  }

  private void write(Part part) throws IOException {
    if (part.channel == null) {
      part.channel =
          FileChannel.open(
              part.file,
              StandardOpenOption.CREATE_NEW,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
    }
    part.chunk.position(0).limit(part.buffered * width * Integer.BYTES);
    while (part.chunk.hasRemaining()) {
      part.channel.write(part.chunk);
    }
    part.chunk.clear();
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
    for (Part part : parts) {
      if (part.rows > 0) {
        sorted(part, sink);
        free(part);
      }
    }
  }

  private void sorted(Part part, Sink sink) throws IOException, LogRows.BadRowException {
    List<MappedByteBuffer> mapped = new ArrayList<>();
    try {
      List<ByteBuffer> chunks = new ArrayList<>(part.kept);
      if (part.channel != null) {
        mapped.addAll(map(part.channel));
        mapped.forEach(mapping -> addChunks(mapping, chunks));
      }
      if (part.buffered > 0) {
        chunks.add(part.chunk);
      }
      int count = (int) Math.min(part.rows, Integer.MAX_VALUE);
      IntBuffer[] ints = new IntBuffer[chunks.size()];
      FloatBuffer[] floats = new FloatBuffer[chunks.size()];
      for (int c = 0; c < ints.length; c++) {
        ByteBuffer chunk = chunks.get(c).order(ByteOrder.nativeOrder());
        ints[c] = chunk.asIntBuffer();
        floats[c] = chunk.asFloatBuffer();
      }
      if (part.rows > maxRows) {
        throw tooMany(ints, count);
      }
      int[] head = new int[RowLayout.VALUES];
      float[] values = new float[width - RowLayout.VALUES];
      for (int i : order(ints, count)) {
        int c = i / chunkRows;
        int at = (i - c * chunkRows) * width;
        ints[c].get(at, head);
        floats[c].get(at + RowLayout.VALUES, values);
        sink.accept(head, values);
      }
    } finally {
      mapped.forEach(IoUtil::unmap);
    }
  }

  /** Maps a file, in pieces of whole chunks. */
  private List<MappedByteBuffer> map(FileChannel file) throws IOException {
    long chunk = (long) chunkRows * width * Integer.BYTES;
    long piece = Math.max(1, MAX_MAPPING / chunk) * chunk;
    List<MappedByteBuffer> mapped = new ArrayList<>();
    for (long from = 0; from < file.size(); from += piece) {
      mapped.add(
          file.map(FileChannel.MapMode.READ_ONLY, from, Math.min(piece, file.size() - from)));
    }
    return mapped;
  }

  private void addChunks(ByteBuffer mapping, List<ByteBuffer> chunks) {
    int chunk = chunkRows * width * Integer.BYTES;
    for (int from = 0; from < mapping.capacity(); from += chunk) {
      chunks.add(mapping.slice(from, Math.min(chunk, mapping.capacity() - from)));
    }
  }

  /** Places of the rows in the order of sessions: users as they come, each one's rows sorted. */
  private int[] order(IntBuffer[] rows, int count) {
    int[] user = new int[count]; // numbered as they come
    long[] session = new long[count];
    long[] place = new long[count];
    long[] time = new long[count];
    Long2IntOpenHashMap numbers = new Long2IntOpenHashMap();
    int[] head = new int[RowLayout.NUMBER];
    for (int i = 0; i < count; i++) {
      rows[i / chunkRows].get(i % chunkRows * width, head);
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

  private ImportException tooMany(IntBuffer[] values, int count) {
    Map<Long, Integer> counts = new HashMap<>();
    for (int i = 0; i < count; i++) {
      counts.merge(
          RowLayout.getLong(values[i / chunkRows], i % chunkRows * width), 1, Integer::sum);
    }
    Map.Entry<Long, Integer> most =
        counts.entrySet().stream().max(Map.Entry.comparingByValue()).orElseThrow();
    return new ImportException(
        ("user %d has %,d requests, which is more than one user's rows can be sorted by: is the user"
                + " column right? Leave this user out, or split the log by time")
            .formatted(most.getKey(), most.getValue()));
  }

  private static void free(Part part) throws IOException {
    part.kept.forEach(BufferUtil::free);
    part.kept.clear();
    BufferUtil.free(part.chunk);
    part.chunk = null;
    part.values = null;
    if (part.channel != null) {
      part.channel.close();
      Files.deleteIfExists(part.file);
      part.channel = null;
    }
  }

  @Override
  public void close() throws IOException {
    for (Part part : parts) {
      free(part);
    }
    Files.deleteIfExists(folder);
  }
}
