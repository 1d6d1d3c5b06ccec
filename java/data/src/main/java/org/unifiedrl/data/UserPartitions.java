package org.unifiedrl.data;

import it.unimi.dsi.fastutil.ints.IntArrays;
import it.unimi.dsi.fastutil.longs.Long2IntOpenHashMap;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
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

  /**
   * Rows by their user; all chunks but the last are full. A chunk holds the keys of its rows, by
   * kind, and then the rows.
   */
  private static final class Part {
    final List<ByteBuffer> kept = new ArrayList<>();
    ByteBuffer chunk;
    LongBuffer keys;
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
  private final int chunkBytes;
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
    int rowBytes = RowLayout.KEYS * Long.BYTES + width * Integer.BYTES;
    chunkRows = Math.max(1, CHUNK / rowBytes);
    chunkBytes = chunkRows * rowBytes;
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

  /** Adds rows. */
  void add(long[][] keys, int[] rows, int count) throws IOException {
    long[] users = keys[RowLayout.USER];
    for (int i = 0; i < count; i++) {
      Part part = parts[Hashing.hash(users[i], mask)];
      if (part.chunk == null) {
        part.chunk = ByteBuffer.allocateDirect(chunkBytes).order(ByteOrder.nativeOrder());
        part.keys = part.chunk.asLongBuffer();
        part.values = values(part.chunk).asIntBuffer();
      }
      int row = part.buffered;
      for (int k = 0, at = row; k < RowLayout.KEYS; k++, at += chunkRows) {
        part.keys.put(at, keys[k][i]);
      }
      part.values.put(row * width, rows, i * width, width);
      part.rows++;
      if (++part.buffered == chunkRows) {
        store(part);
      }
    }
  }

  /** The rows of a chunk, behind its keys. */
  private ByteBuffer values(ByteBuffer chunk) {
    int keys = RowLayout.KEYS * Long.BYTES * chunkRows;
    return chunk.slice(keys, chunkBytes - keys).order(ByteOrder.nativeOrder());
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
     * @param values its {@link RowLayout} begins at {@code at}
     */
    void accept(long user, long session, long time, FloatBuffer values, int at)
        throws LogRows.BadRowException;
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
      if (part.rows > maxRows) {
        throw tooMany(chunks, part.rows);
      }
      FloatBuffer[] values =
          chunks.stream().map(chunk -> values(chunk).asFloatBuffer()).toArray(FloatBuffer[]::new);
      Keys keys = new Keys(chunks, (int) part.rows);
      for (int i : keys.order()) {
        int chunk = i / chunkRows;
        int at = (i - chunk * chunkRows) * width;
        sink.accept(keys.user(i), keys.session[i], keys.time[i], values[chunk], at);
      }
    } finally {
      mapped.forEach(IoUtil::unmap);
    }
  }

  /** Maps a file, in pieces of whole chunks. */
  private List<MappedByteBuffer> map(FileChannel file) throws IOException {
    long piece = (long) Math.max(1, MAX_MAPPING / chunkBytes) * chunkBytes;
    List<MappedByteBuffer> mapped = new ArrayList<>();
    for (long from = 0; from < file.size(); from += piece) {
      mapped.add(
          file.map(FileChannel.MapMode.READ_ONLY, from, Math.min(piece, file.size() - from)));
    }
    return mapped;
  }

  private void addChunks(ByteBuffer mapping, List<ByteBuffer> chunks) {
    for (int from = 0; from < mapping.capacity(); from += chunkBytes) {
      chunks.add(mapping.slice(from, chunkBytes));
    }
  }

  /** Copies one kind of keys of all rows. */
  private void read(List<ByteBuffer> chunks, int key, long[] keys) {
    for (int from = 0, c = 0; from < keys.length; from += chunkRows, c++) {
      chunks
          .get(c)
          .order(ByteOrder.nativeOrder())
          .asLongBuffer()
          .get(key * chunkRows, keys, from, Math.min(chunkRows, keys.length - from));
    }
  }

  /** The keys of a part's rows. */
  private final class Keys {
    final int[] user; // numbered as they come
    final long[] session;
    final long[] place;
    final long[] time;
    private final long[] ids; // of users, by number
    private final int users;

    Keys(List<ByteBuffer> chunks, int count) {
      user = new int[count];
      session = new long[count];
      place = new long[count];
      time = new long[count];
      ids = new long[count];
      read(chunks, RowLayout.USER, ids);
      read(chunks, RowLayout.SESSION, session);
      read(chunks, RowLayout.ORDER, place);
      read(chunks, RowLayout.TIME, time);
      Long2IntOpenHashMap numbers = new Long2IntOpenHashMap();
      for (int i = 0; i < count; i++) {
        int next = numbers.size();
        int known = numbers.putIfAbsent(ids[i], next);
        if (numbers.size() > next) {
          ids[next] = ids[i]; // which no later row needs: there are no more users than rows
          known = next;
        }
        user[i] = known;
      }
      users = numbers.size();
    }

    long user(int row) {
      return ids[user[row]];
    }

    private int compare(int a, int b) {
      int by = Long.compare(session[a], session[b]);
      by = by != 0 ? by : Long.compare(place[a], place[b]);
      return by != 0 ? by : Long.compare(time[a], time[b]);
    }

    /** Rows in the order of sessions: users as they come, each one's rows sorted. */
    int[] order() {
      int[] from = new int[users + 1];
      for (int u : user) {
        from[u + 1]++;
      }
      for (int u = 0; u < users; u++) {
        from[u + 1] += from[u];
      }
      int[] order = new int[user.length];
      int[] at = from.clone();
      boolean sorted = true;
      for (int i = 0; i < order.length; i++) {
        order[at[user[i]]++] = i;
        sorted = sorted && (i == 0 || compare(i - 1, i) <= 0);
      }
      for (int u = 0; u < users && !sorted; u++) { // most logs are in the order of time
        for (int i = from[u] + 1; i < from[u + 1]; i++) {
          if (compare(order[i - 1], order[i]) > 0) {
            IntArrays.stableSort(order, from[u], from[u + 1], this::compare);
            break;
          }
        }
      }
      return order;
    }
  }

  private ImportException tooMany(List<ByteBuffer> chunks, long count) {
    long[] users = new long[(int) Math.min(count, Integer.MAX_VALUE - 8)];
    read(chunks, RowLayout.USER, users);
    Map<Long, Integer> counts = new HashMap<>();
    for (long user : users) {
      counts.merge(user, 1, Integer::sum);
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
    part.keys = null;
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
