package org.unifiedrl.engine.replay;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.agrona.BufferUtil;
import org.unifiedrl.engine.DurableFiles;

/**
 * Writes requests in session order into {@code shard-00000.arrow}, {@code shard-00001.arrow}, ...
 *
 * <p>A shard is written under a temporary name, forced to the device, renamed, and its folder
 * forced: a reader, or a restart after a crash, sees whole shards only. Shards and record batches
 * are cut at session ends only, so the next row of a row that is not its session's last is always
 * in the same batch.
 *
 * <p>One thread at a time. After an input or output error the writer is unusable, its unfinished
 * shard is removed, and the shards finished before stay.
 */
public final class ReplayWriter implements AutoCloseable {

  /**
   * How much goes where.
   *
   * @param rowsPerShard rows after which a shard ends at the next session end, at least 1
   * @param batchBytes bytes after which a record batch ends at the next session end; also about the
   *     memory that the writer holds; 1 to 512 MiB
   */
  public record Options(long rowsPerShard, int batchBytes) {

    /** 4 million rows a shard, 64 MiB a record batch. */
    public static final Options DEFAULT = new Options(4_000_000, 64 << 20);

    public Options {
      if (rowsPerShard < 1) {
        throw new ReplayException("rowsPerShard is " + rowsPerShard + ": expected at least 1");
      }
      if (batchBytes < 1 || batchBytes > 512 << 20) {
        throw new ReplayException(
            "batchBytes is " + batchBytes + ": expected 1 to " + (512 << 20) + " (512 MiB)");
      }
    }
  }

  /** A batch that one endless session makes larger than this is refused. */
  private static final long MAX_BATCH_BYTES = 1L << 30;

  private static final int SESSION = 0;
  private static final int USER = 1;
  private static final int TIMESTAMP = 2;
  private static final int LAST = 3;

  private final Path folder;
  private final ReplaySchema schema;
  private final Options options;
  private final int rowWidth;
  private final int bytesPerRow;
  private final int[] widths;
  private final List<Path> shards = new ArrayList<>();

  /** Rows of the batch being filled; the first four are the fixed columns. */
  private final ByteBuffer[] staged;

  /** The same memory, for bulk copies of the float columns. */
  private final FloatBuffer[] stagedFloats;

  private int capacity;
  private int stagedRows;
  private int completeRows;
  private long shardRows;
  private long totalRows;
  private long openSession;
  private ArrowShardWriter shard;
  private Path shardFile;
  private boolean closed;

  /** Opens a writer with the default options; see the other constructor. */
  public ReplayWriter(Path folder, ReplaySchema schema) {
    this(folder, schema, Options.DEFAULT);
  }

  /**
   * Opens a writer on a folder, which is created if missing and must hold no shard yet.
   *
   * @throws ReplayException if the folder holds shards or cannot be written
   */
  public ReplayWriter(Path folder, ReplaySchema schema, Options options) {
    schema.checkMetadata();
    this.folder = folder;
    this.schema = schema;
    this.options = options;
    this.rowWidth = schema.rowWidth();
    this.bytesPerRow = 3 * Long.BYTES + 1 + rowWidth * Float.BYTES;
    int fixed = ReplaySchema.FIXED.size();
    this.widths = new int[fixed + schema.columns().size()];
    for (int i = 0; i < widths.length; i++) {
      widths[i] =
          i == LAST
              ? 1
              : i < fixed ? Long.BYTES : schema.columns().get(i - fixed).width() * Float.BYTES;
    }
    this.staged = new ByteBuffer[widths.length];
    this.stagedFloats = new FloatBuffer[widths.length];
    try {
      Files.createDirectories(folder);
      try (DirectoryStream<Path> old = Files.newDirectoryStream(folder, "{,.}shard-*")) {
        for (Path path : old) {
          if (!path.getFileName().toString().endsWith(".tmp")) {
            throw new ReplayException(
                folder
                    + " already holds replay shards ("
                    + path.getFileName()
                    + "): choose an empty folder or remove them");
          }
          Files.delete(path); // left by a run that was killed
        }
      }
    } catch (IOException e) {
      throw new ReplayException("cannot write replay shards into " + folder + ": " + reason(e), e);
    }
  }

  /**
   * Appends one request. A session's requests come one after the other, the last with {@code last}.
   *
   * @param timestamp milliseconds
   * @param row the float columns one after the other in schema order; copied
   * @throws ReplayException if the row has another length, holds a value that is not finite, or
   *     starts a session before the previous one had its last row: the row is then not written and
   *     the writer goes on; or if the file cannot be written
   * @throws IllegalStateException if the writer is closed or has failed
   */
  public void append(long sessionId, long userId, long timestamp, boolean last, float[] row) {
    if (closed) {
      throw new IllegalStateException("this replay writer is closed or failed earlier: " + folder);
    }
    schema.checkRow(sessionId, row, rowWidth);
    if (stagedRows > completeRows && sessionId != openSession) {
      throw new ReplayException(
          "row of session "
              + sessionId
              + " while session "
              + openSession
              + " has no last row yet: append a session's rows one after the other and mark its"
              + " last; the row was not written");
    }
    if (stagedRows == capacity) {
      grow(sessionId);
    }
    openSession = sessionId;
    staged[SESSION].putLong(stagedRows * Long.BYTES, sessionId);
    staged[USER].putLong(stagedRows * Long.BYTES, userId);
    staged[TIMESTAMP].putLong(stagedRows * Long.BYTES, timestamp);
    staged[LAST].put(stagedRows, (byte) (last ? 1 : 0));
    int from = 0;
    for (int i = LAST + 1; i < staged.length; i++) {
      int width = widths[i] / Float.BYTES;
      stagedFloats[i].put(stagedRows * width, row, from, width);
      from += width;
    }
    stagedRows++;
    if (last) {
      completeRows = stagedRows;
      boolean shardFull = shardRows + stagedRows >= options.rowsPerShard;
      if (shardFull || (long) stagedRows * bytesPerRow >= options.batchBytes) {
        flushBatch();
      }
      if (shardFull) {
        finishShard();
      }
    }
  }

  private void grow(long sessionId) {
    long target = (long) options.batchBytes / bytesPerRow + 1;
    long wanted = capacity == 0 ? Math.min(1024, target) : 2L * capacity;
    // One session may outgrow the target, but no further than what a single mapping can hold.
    long limit = capacity < target ? target : MAX_BATCH_BYTES / bytesPerRow;
    int rows = (int) Math.min(wanted, limit);
    if (rows <= capacity) {
      String message =
          "session "
              + sessionId
              + " is still open after "
              + (stagedRows - completeRows)
              + " rows, and a record batch holds at most "
              + MAX_BATCH_BYTES
              + " bytes: end sessions sooner";
      throw fail(message, null);
    }
    for (int i = 0; i < staged.length; i++) {
      ByteBuffer larger =
          ByteBuffer.allocateDirect(Math.multiplyExact(rows, widths[i]))
              .order(ByteOrder.LITTLE_ENDIAN);
      ByteBuffer old = staged[i];
      if (old != null) {
        larger.put(0, old, 0, stagedRows * widths[i]);
        BufferUtil.free(old);
      }
      staged[i] = larger;
      stagedFloats[i] = larger.asFloatBuffer();
    }
    capacity = rows;
  }

  /** Writes the staged rows, all of complete sessions. */
  private void flushBatch() {
    if (stagedRows == 0) {
      return;
    }
    try {
      if (shard == null) {
        shardFile = folder.resolve(String.format("shard-%05d.arrow", shards.size()));
        shard = new ArrowShardWriter(temporary(shardFile), schema);
      }
      for (int i = 0; i < staged.length; i++) {
        staged[i].position(0).limit(stagedRows * widths[i]);
      }
      ByteBuffer[] fixed = Arrays.copyOfRange(staged, 0, LAST + 1);
      ByteBuffer[] columns = Arrays.copyOfRange(staged, LAST + 1, staged.length);
      shard.writeBatch(stagedRows, fixed, columns);
      for (ByteBuffer buffer : staged) {
        buffer.clear();
      }
    } catch (IOException e) {
      throw fail("cannot write " + shardFile + ": " + reason(e), e);
    }
    shardRows += stagedRows;
    stagedRows = 0;
    completeRows = 0;
  }

  private void finishShard() {
    if (shard == null) {
      return;
    }
    try {
      shard.finish();
      shard.close();
      DurableFiles.rename(temporary(shardFile), shardFile);
    } catch (IOException e) {
      throw fail("cannot finish " + shardFile + ": " + reason(e), e);
    }
    shards.add(shardFile);
    totalRows += shardRows;
    shardRows = 0;
    shard = null;
  }

  private static Path temporary(Path file) {
    return file.resolveSibling("." + file.getFileName() + ".tmp");
  }

  private ReplayException fail(String problem, IOException cause) {
    abort();
    ReplayException exception =
        new ReplayException(
            problem
                + "; the unfinished shard was removed, "
                + shards.size()
                + " finished shards with "
                + totalRows
                + " rows are kept",
            cause);
    return exception;
  }

  private static String reason(IOException e) {
    String text = e.getMessage() == null ? e.toString() : e.getMessage();
    boolean full = text.contains("No space left") || text.contains("quota");
    return full ? text + " (free space there or choose a folder on another disk)" : text;
  }

  /** Finished shards, in order; more are added as they finish, the last one by {@link #close}. */
  public List<Path> shards() {
    return Collections.unmodifiableList(shards);
  }

  /** Rows of the finished shards. */
  public long rows() {
    return totalRows;
  }

  /** Removes the unfinished shard and closes the writer; finished shards stay. */
  public void abort() {
    release();
    if (shard != null) {
      try {
        shard.close();
        Files.deleteIfExists(temporary(shardFile));
      } catch (IOException e) {
        // The temporary name is hidden from readers, and the next writer removes it.
      }
      shard = null;
    }
  }

  private void release() {
    closed = true;
    for (int i = 0; i < staged.length; i++) {
      BufferUtil.free(staged[i]);
      staged[i] = null;
      stagedFloats[i] = null;
    }
    capacity = 0;
    stagedRows = 0;
    completeRows = 0;
  }

  /**
   * Finishes the last shard. Closing again does nothing.
   *
   * @throws ReplayException if the file cannot be written, or if the last session has no last row:
   *     its rows are then left out and everything before them is kept
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    int incomplete = stagedRows - completeRows;
    stagedRows = completeRows;
    flushBatch();
    finishShard();
    release();
    if (incomplete > 0) {
      throw new ReplayException(
          "session "
              + openSession
              + " has no last row: its "
              + incomplete
              + " rows were left out of "
              + folder
              + "; append the last request of a session with last = true");
    }
  }
}
