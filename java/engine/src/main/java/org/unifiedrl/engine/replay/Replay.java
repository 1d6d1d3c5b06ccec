package org.unifiedrl.engine.replay;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.agrona.CloseHelper;
import org.agrona.IoUtil;
import org.agrona.concurrent.UnsafeBuffer;
import org.unifiedrl.engine.JvmAccess;

/**
 * Logged requests, memory-mapped from Arrow IPC shards and validated once when opened.
 *
 * <p>Rows stand in session order: the next state of row t is the state of row t + 1 unless t is the
 * last of its session. A <em>segment</em> is one record batch; the last row of a segment always
 * ends its session, so t and t + 1 lie in one segment. Within a segment a column is one contiguous
 * array {@code [rows, width]}.
 *
 * <p>All methods may be called by any thread. Each call holds the mapping while it runs; {@link
 * #close} refuses new calls and the mapping goes when the last running one ends, so no accessor
 * touches memory that is gone. Whoever keeps an <em>address</em> beyond the call holds a {@link
 * Use} meanwhile:
 *
 * <pre>{@code
 * try (Replay.Use use = replay.use()) {
 *   engine.run(replay.columnAddress(0, state), ...);
 * }
 * }</pre>
 *
 * <p>Files must not be truncated or rewritten in place while open; {@link ReplayWriter} never does
 * either, and removing or renaming them is safe. {@link #checkFiles} notices a file that was cut,
 * and the engine asks it before it reads. What remains: a file that is cut <em>while</em> native
 * code reads it, or within the tenth of a second between two of the engine's checks, ends the
 * process by a signal, as with any mapped file.
 */
public final class Replay implements AutoCloseable {

  /**
   * What {@link #open} checks.
   *
   * @param verifyChecksums whether to compare the CRC32C values that {@link ReplayWriter} stored;
   *     files without them are read unchecked
   * @param validateRows whether to look at every value, see {@link #open(Path)}
   * @param outOfBoxLimit share of rows, 0 to 1, whose action may lie outside its box
   */
  public record Options(boolean verifyChecksums, boolean validateRows, double outOfBoxLimit) {

    /** All checks, and at most 0.1 % of the actions outside their box. */
    public static final Options DEFAULT = new Options(true, true, 0.001);

    public Options {
      if (!(outOfBoxLimit >= 0 && outOfBoxLimit <= 1)) {
        throw new ReplayException("outOfBoxLimit is " + outOfBoxLimit + ": expected 0 to 1");
      }
    }
  }

  /** A hold on the mapping: while it is open, addresses of the replay stay valid. */
  public final class Use implements AutoCloseable {
    private final AtomicBoolean released = new AtomicBoolean();

    private Use() {}

    /** Lets go; doing so again does nothing. */
    @Override
    public void close() {
      if (released.compareAndSet(false, true)) {
        exit();
      }
    }
  }

  /** A mapped file, kept open: its length is that of what is mapped, whatever its name is now. */
  private record Source(Path file, RandomAccessFile open, long size) {}

  private static final int SESSION = 0;
  private static final int USER = 1;
  private static final int TIMESTAMP = 2;
  private static final int LAST = 3;

  private final ReplaySchema schema;
  private final int[] widths;
  private final List<Source> sources;
  private final List<ArrowShardReader.Batch> batches;
  private final UnsafeBuffer[] segments;

  /** First row of each segment, then the number of rows. */
  private final long[] firstRows;

  private final long outOfBoxRows;

  /** The owner's hold and one for each running user; the mapping goes at 0. */
  private final AtomicInteger holds = new AtomicInteger(1);

  private final AtomicBoolean closed = new AtomicBoolean();

  private Replay(
      ReplaySchema schema,
      List<Source> sources,
      List<ArrowShardReader.Batch> batches,
      Options options) {
    this.schema = schema;
    this.sources = sources;
    this.batches = batches;
    this.widths = schema.columns().stream().mapToInt(ReplaySchema.Column::width).toArray();
    this.segments = new UnsafeBuffer[batches.size()];
    this.firstRows = new long[segments.length + 1];
    for (int i = 0; i < segments.length; i++) {
      segments[i] = new UnsafeBuffer(batches.get(i).body());
      firstRows[i + 1] = firstRows[i] + batches.get(i).rows();
    }
    this.outOfBoxRows =
        options.validateRows() ? new RowValidator(schema).validate(batches, options) : 0;
  }

  /**
   * Opens a shard, or all {@code *.arrow} files of a folder in the order of their names.
   *
   * <p>Every value is checked once: numbers are finite; {@code box_low <= box_high}; box and action
   * lie within the action range of the schema's metadata, and actions in their box, up to 1e-6 of
   * the larger end of that range, except for the allowed share or with {@code box_check = off};
   * last flags are 0 or 1; a row that is not the last has a next row of the same session and user
   * in its batch.
   *
   * @throws ReplayException naming file, row and column, if anything is not as described; or if
   *     there is no such file or folder, or it is cut while it is opened
   * @throws IllegalStateException if this JVM was started without access to off-heap memory
   */
  public static Replay open(Path fileOrFolder) {
    return open(fileOrFolder, Options.DEFAULT);
  }

  /** Like {@link #open(Path)}, with chosen checks. */
  public static Replay open(Path fileOrFolder, Options options) {
    return open(List.of(fileOrFolder), options);
  }

  private static List<Path> shards(Path fileOrFolder) {
    if (!Files.isDirectory(fileOrFolder)) {
      return List.of(fileOrFolder);
    }
    List<Path> files = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(fileOrFolder, "*.arrow")) {
      for (Path entry : entries) {
        if (!entry.getFileName().toString().startsWith(".")) {
          files.add(entry);
        }
      }
    } catch (IOException e) {
      throw new ReplayException("cannot list replay shards in " + fileOrFolder + ": " + e, e);
    }
    Collections.sort(files);
    return files.isEmpty() ? List.of(fileOrFolder) : files;
  }

  /** Opens shards, or folders of them, of one schema as one replay, in the given order. */
  public static Replay open(List<Path> filesOrFolders, Options options) {
    JvmAccess.check();
    List<Path> files = filesOrFolders.stream().flatMap(path -> shards(path).stream()).toList();
    ReplaySchema schema = null;
    List<Source> sources = new ArrayList<>();
    List<ArrowShardReader.Batch> batches = new ArrayList<>();
    try {
      for (Path file : files) {
        ArrowShardReader.Shard shard = readShard(file, options, sources);
        batches.addAll(shard.batches());
        if (schema == null) {
          schema = shard.schema();
        }
        requireAlike(files.get(0), schema, file, shard.schema());
      }
      if (schema == null || batches.isEmpty()) {
        throw new ReplayException("no rows in " + files + ": write some requests first");
      }
      return new Replay(schema, sources, batches, options);
    } catch (InternalError e) {
      // What the JVM makes of a page that a mapped file no longer has, in Java code.
      free(sources, batches);
      throw new ReplayException(
          "a replay shard among " + files + " was cut while it was opened: " + e.getMessage(), e);
    } catch (RuntimeException | Error e) {
      free(sources, batches);
      throw e;
    }
  }

  private static ArrowShardReader.Shard readShard(
      Path file, Options options, List<Source> sources) {
    if (Files.isDirectory(file)) {
      throw new ReplayException("no replay shards (*.arrow) in folder " + file);
    }
    if (!Files.exists(file)) {
      throw new ReplayException(
          "there is no replay shard or folder "
              + file
              + ": check the path, or write some requests there first");
    }
    try {
      RandomAccessFile open = new RandomAccessFile(file.toFile(), "r");
      sources.add(new Source(file, open, open.length()));
      return ArrowShardReader.read(file, open.getChannel(), options.verifyChecksums());
    } catch (IOException e) {
      throw new ReplayException("cannot read replay shard " + file + ": " + e, e);
    }
  }

  private static void requireAlike(Path first, ReplaySchema a, Path second, ReplaySchema b) {
    if (!a.columns().equals(b.columns())
        || a.actionLow() != b.actionLow()
        || a.actionHigh() != b.actionHigh()
        || a.boxCheck() != b.boxCheck()) {
      throw new ReplayException(
          second
              + " does not go with "
              + first
              + ": columns "
              + b.columns()
              + " and "
              + a.columns()
              + ", action range and box check must be the same; open them apart");
    }
  }

  /** Columns and metadata; of several files, the first one's metadata. */
  public ReplaySchema schema() {
    return schema;
  }

  /** Rows (requests) of all segments. */
  public long rows() {
    return firstRows[segments.length];
  }

  /** Number of segments, at least 1. */
  public int segmentCount() {
    return segments.length;
  }

  /** Rows of a segment, at least 1. */
  public int segmentRows(int segment) {
    return batches.get(segment).rows();
  }

  /** File that a segment comes from. */
  public Path segmentFile(int segment) {
    return batches.get(segment).file();
  }

  /** Rows whose action lies outside its box; 0 if that was not checked. */
  public long outOfBoxRows() {
    return outOfBoxRows;
  }

  /** Keeps the mapping until the returned hold is closed. */
  public Use use() {
    enter();
    return new Use();
  }

  /**
   * Refuses to go on when a file is not as long as when it was mapped: to read on would end the
   * process. About half a microsecond a file; allocates nothing.
   *
   * @throws ReplayException naming the file
   * @throws IllegalStateException if this replay is closed
   */
  public void checkFiles() {
    enter();
    try {
      for (int i = 0; i < sources.size(); i++) {
        Source source = sources.get(i);
        long size = source.open().length();
        if (size != source.size()) {
          throw new ReplayException(
              source.file()
                  + " had "
                  + source.size()
                  + " bytes when it was opened and has "
                  + size
                  + " now: restore it and open it again; shards must not be cut or rewritten while"
                  + " they are read");
        }
      }
    } catch (IOException e) {
      throw new ReplayException("cannot look at the replay's files: " + e, e);
    } finally {
      exit();
    }
  }

  /** Address of a segment's float32 array {@code [rows, width]} of a column; see {@link Use}. */
  public long columnAddress(int segment, int column) {
    return address(segment, batches.get(segment).columnOffsets()[column]);
  }

  /** Address of a segment's uint8 array {@code [rows]} of last flags, 0 or 1; see {@link Use}. */
  public long lastAddress(int segment) {
    return address(segment, batches.get(segment).fixedOffsets()[LAST]);
  }

  private long address(int segment, int offset) {
    enter();
    try {
      return segments[segment].addressOffset() + offset;
    } finally {
      exit();
    }
  }

  /** Session of a row. */
  public long sessionId(long row) {
    return fixedLong(row, SESSION);
  }

  /** User of a row. */
  public long userId(long row) {
    return fixedLong(row, USER);
  }

  /** Time of a row, milliseconds. */
  public long timestamp(long row) {
    return fixedLong(row, TIMESTAMP);
  }

  private long fixedLong(long row, int column) {
    enter();
    try {
      int segment = segmentOf(row);
      int at = (int) (row - firstRows[segment]) * Long.BYTES;
      return segments[segment].getLong(batches.get(segment).fixedOffsets()[column] + at);
    } finally {
      exit();
    }
  }

  /** Whether a row is the last of its session. */
  public boolean isLast(long row) {
    enter();
    try {
      int segment = segmentOf(row);
      int at = (int) (row - firstRows[segment]);
      return segments[segment].getByte(batches.get(segment).fixedOffsets()[LAST] + at) != 0;
    } finally {
      exit();
    }
  }

  /** Copies a row's values of one column to {@code target[offset ..]}. */
  public void get(long row, int column, float[] target, int offset) {
    enter();
    try {
      int segment = segmentOf(row);
      int width = widths[column];
      int at =
          batches.get(segment).columnOffsets()[column]
              + (int) (row - firstRows[segment]) * width * Float.BYTES;
      UnsafeBuffer buffer = segments[segment];
      for (int i = 0; i < width; i++) {
        target[offset + i] = buffer.getFloat(at + i * Float.BYTES);
      }
    } finally {
      exit();
    }
  }

  private int segmentOf(long row) {
    if (row < 0 || row >= rows()) {
      throw new IndexOutOfBoundsException("row " + row + " of " + rows());
    }
    int found = Arrays.binarySearch(firstRows, row);
    return found >= 0 ? found : -found - 2;
  }

  private void enter() {
    while (true) {
      int current = holds.get();
      if (current == 0 || closed.get()) {
        throw new IllegalStateException("this replay is closed: open it again to read it");
      }
      if (holds.compareAndSet(current, current + 1)) {
        return;
      }
    }
  }

  private void exit() {
    if (holds.decrementAndGet() == 0) {
      free(sources, batches);
    }
  }

  private static void free(List<Source> sources, List<ArrowShardReader.Batch> batches) {
    batches.forEach(batch -> IoUtil.unmap(batch.body()));
    CloseHelper.quietCloseAll(sources.stream().map(Source::open).toList());
  }

  /**
   * Refuses further calls and unmaps the files as soon as nobody uses them; does not wait. Closing
   * again, or from another thread, does nothing more.
   */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      exit();
    }
  }
}
