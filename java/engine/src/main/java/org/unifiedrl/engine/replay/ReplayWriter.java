package org.unifiedrl.engine.replay;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.agrona.BufferUtil;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.JvmAccess;

/**
 * Writes requests in session order into {@code shard-00000.arrow}, {@code shard-00001.arrow}, ...
 *
 * <p>A shard is written under a temporary name, forced to the device, renamed, and its folder
 * forced: a reader, or a restart after a crash, sees whole shards only. Shards and record batches
 * are cut at session ends only, so the next row of a row that is not its session's last is always
 * in the same batch.
 *
 * <p>Calls take turns, so that any thread may close the writer; the rows of a session still have to
 * come one after the other. One writer at a time works on a folder, which a lock in it enforces.
 *
 * <p>After an input or output error the writer is unusable. What reached the disk in whole record
 * batches becomes a last, shorter shard; where even that cannot be written, the unfinished shard is
 * removed. Shards finished before stay.
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

  /** Keeps a shard's footer, which lists its batches, far below what the reader takes. */
  private static final int MAX_BATCHES_PER_SHARD = 4096;

  private static final String LOCK = ".lock";

  private static final int SESSION = 0;
  private static final int USER = 1;
  private static final int TIMESTAMP = 2;
  private static final int LAST = 3;

  private final Path folder;
  private final ReplaySchema schema;
  private final RowRules rules;
  private final Options options;
  private final long maxBatchBytes;
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
  private long outOfBoxRows;
  private long openSession;

  /** The session that was left out because it grew too long, until its last row has come. */
  private long droppedSession;

  private boolean dropping;
  private FileChannel lock;
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
   * @throws ReplayException if the folder holds shards, another writer works on it, it cannot be
   *     written, or the schema is more than a file may hold
   * @throws IllegalStateException if this JVM was started without access to off-heap memory
   */
  public ReplayWriter(Path folder, ReplaySchema schema, Options options) {
    this(folder, schema, options, MAX_BATCH_BYTES);
  }

  /** A writer that lets a batch grow less than others do, for tests. */
  ReplayWriter(Path folder, ReplaySchema schema, Options options, long maxBatchBytes) {
    JvmAccess.check();
    schema.checkWritable();
    this.folder = folder;
    this.schema = schema;
    this.rules = new RowRules(schema);
    this.options = options;
    this.maxBatchBytes = maxBatchBytes;
    this.bytesPerRow = 3 * Long.BYTES + 1 + schema.rowWidth() * Float.BYTES;
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
      DurableFiles.createFolders(folder);
      lock = lock(folder);
      checkEmpty(folder);
    } catch (IOException e) {
      unlock();
      throw new ReplayException("cannot write replay shards into " + folder + ": " + reason(e), e);
    } catch (RuntimeException | Error e) {
      unlock();
      throw e;
    }
  }

  private static FileChannel lock(Path folder) throws IOException {
    FileChannel channel =
        FileChannel.open(folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    boolean locked = false;
    try {
      locked = channel.tryLock() != null;
    } catch (OverlappingFileLockException e) {
      // Held by another writer of this process: the same as one of another process.
    } finally {
      if (!locked) {
        channel.close();
      }
    }
    if (!locked) {
      throw new ReplayException(
          "another writer works on " + folder + ": close it first, or give each its own folder");
    }
    return channel;
  }

  private void unlock() {
    try {
      if (lock != null) {
        lock.close();
      }
    } catch (IOException e) {
      // Nothing was written through it; the lock goes with the descriptor in any case.
    }
    lock = null;
  }

  private static void checkEmpty(Path folder) throws IOException {
    try (DirectoryStream<Path> old = Files.newDirectoryStream(folder, "{,.}shard-*")) {
      for (Path path : old) {
        if (!path.getFileName().toString().endsWith(".tmp")) {
          throw new ReplayException(
              folder
                  + " already holds replay shards ("
                  + path.getFileName()
                  + "): choose an empty folder or remove them");
        }
        Files.delete(path); // left by a run that was killed, since nobody holds the lock
      }
    }
  }

  /**
   * Appends one request. A session's requests come one after the other, the last with {@code last}.
   *
   * @param timestamp milliseconds
   * @param row the float columns one after the other in schema order; copied
   * @throws ReplayException if the row has another length, holds a value that is not finite, an
   *     action or box edge outside the action range or a box whose edges are crossed, or starts a
   *     session before the previous one had its last row: the row is then not written and the
   *     writer goes on; if the session has outgrown a record batch: it is then left out as a whole
   *     and the writer goes on with the next one; or if the file cannot be written
   * @throws IllegalStateException if the writer is closed or has failed
   */
  public synchronized void append(
      long sessionId, long userId, long timestamp, boolean last, float[] row) {
    requireOpen();
    boolean inside = rules.check(sessionId, row);
    admit(sessionId, last);
    outOfBoxRows += inside ? 0 : 1;
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
      endSession();
    }
  }

  /**
   * Appends the requests of a block as if one by one, but copies them together. Where a row is
   * refused, those before it are written, and neither it nor those behind it; {@link
   * RowBlock#refused} tells which it is.
   *
   * @param block of this writer's columns; copied
   * @return the first row whose action lies outside its box; -1 if there is none
   * @throws ReplayException if the block has other columns, a row is refused or the file cannot be
   *     written, as for one row
   * @throws IllegalStateException if the writer is closed or has failed
   */
  public synchronized int append(RowBlock block) {
    requireOpen();
    block.refused(-1);
    if (!block.schema().columns().equals(schema.columns())) {
      throw new ReplayException(
          "block of the columns "
              + block.schema().columns()
              + ": this writer has "
              + schema.columns()
              + "; nothing was written");
    }
    int sound = rules.firstRefused(block);
    int outside = -1;
    int from = 0; // first row that was admitted and not copied
    for (int i = 0; i < sound; i++) {
      if (stagedRows == capacity) {
        stage(block, from, i);
        from = i;
      }
      boolean last = block.last()[i];
      try {
        admit(block.sessionIds()[i], last);
      } catch (ReplayException e) {
        stage(block, from, i);
        block.refused(i);
        throw e;
      }
      if (!rules.inBox(block, i)) {
        outOfBoxRows++;
        outside = outside < 0 ? i : outside;
      }
      stagedRows++;
      if (last && isFull(stagedRows)) {
        stage(block, from, i + 1);
        from = i + 1;
      }
      if (last) {
        endSession();
      }
    }
    stage(block, from, sound);
    if (sound < block.rows()) {
      block.refused(sound);
      rules.check(block.sessionIds()[sound], rules.row(block, sound, new float[schema.rowWidth()]));
    }
    return outside;
  }

  /** Copies admitted rows to where they end the staged ones. */
  private void stage(RowBlock block, int from, int to) {
    int at = stagedRows - (to - from);
    for (int i = from; i < to; i++) {
      int row = at + i - from;
      staged[SESSION].putLong(row * Long.BYTES, block.sessionIds()[i]);
      staged[USER].putLong(row * Long.BYTES, block.userIds()[i]);
      staged[TIMESTAMP].putLong(row * Long.BYTES, block.timestamps()[i]);
      staged[LAST].put(row, (byte) (block.last()[i] ? 1 : 0));
    }
    for (int c = LAST + 1; c < staged.length && from < to; c++) {
      int width = widths[c] / Float.BYTES;
      stagedFloats[c].put(
          at * width, block.column(c - LAST - 1), from * width, (to - from) * width);
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("this replay writer is closed or failed earlier: " + folder);
    }
  }

  /** Refuses a row that its session does not allow, and makes room for it. */
  private void admit(long sessionId, boolean last) {
    if (dropping) {
      dropping = sessionId == droppedSession && !last;
      if (sessionId == droppedSession) {
        throw tooLong(sessionId, "this row was not written either");
      }
    }
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
  }

  /** Whether a batch or shard of complete sessions ends with so many staged rows. */
  private boolean isFull(int rows) {
    return shardRows + rows >= options.rowsPerShard
        || (long) rows * bytesPerRow >= options.batchBytes;
  }

  private void endSession() {
    completeRows = stagedRows;
    boolean shardFull = shardRows + stagedRows >= options.rowsPerShard;
    if (isFull(stagedRows)) {
      flushBatch();
    }
    if (shardFull || (shard != null && shard.batches() == MAX_BATCHES_PER_SHARD)) {
      finishShard();
    }
  }

  private ReplayException tooLong(long sessionId, String outcome) {
    return new ReplayException(
        "session "
            + sessionId
            + " does not fit a record batch of at most "
            + maxBatchBytes
            + " bytes: end sessions sooner; "
            + outcome);
  }

  private void grow(long sessionId) {
    long target = (long) options.batchBytes / bytesPerRow + 1;
    long wanted = capacity == 0 ? Math.min(1024, target) : 2L * capacity;
    // One session may outgrow the target, but no further than what a single mapping can hold.
    long limit = capacity < target ? target : maxBatchBytes / bytesPerRow;
    int rows = (int) Math.min(wanted, limit);
    if (rows <= capacity) {
      int left = stagedRows - completeRows;
      stagedRows = completeRows;
      dropping = true;
      droppedSession = sessionId;
      throw tooLong(sessionId, "its " + (left + 1) + " rows so far were left out");
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
        shardFile = folder.resolve(String.format(Locale.ROOT, "shard-%05d.arrow", shards.size()));
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
    } catch (RuntimeException | Error e) {
      abort();
      throw e;
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
      publish();
    } catch (IOException e) {
      throw fail("cannot finish " + shardFile + ": " + reason(e), e);
    } catch (RuntimeException | Error e) {
      abort();
      throw e;
    }
  }

  private void publish() throws IOException {
    shard.finish();
    shard.close();
    DurableFiles.rename(temporary(shardFile), shardFile);
    shards.add(shardFile);
    totalRows += shardRows;
    shardRows = 0;
    shard = null;
  }

  private static Path temporary(Path file) {
    return file.resolveSibling("." + file.getFileName() + ".tmp");
  }

  /** Keeps what can be kept of the unfinished shard, and closes the writer. */
  private ReplayException fail(String problem, IOException cause) {
    long unfinished = shardRows;
    boolean kept = false;
    if (shard != null && unfinished > 0) {
      try {
        // Its torn end is given back first, which is more room than a footer takes.
        shard.dropTornBatch();
        publish();
        kept = true;
      } catch (IOException | RuntimeException e) {
        cause.addSuppressed(e);
      }
    }
    long lost = stagedRows + (kept ? 0 : unfinished);
    String outcome =
        kept
            ? "the unfinished shard was ended after its last whole batch, "
            : "the unfinished shard was removed, ";
    abort();
    return new ReplayException(
        problem
            + "; "
            + outcome
            + lost
            + " rows are lost, "
            + shards.size()
            + " finished shards with "
            + totalRows
            + " rows are kept",
        cause);
  }

  private static String reason(IOException e) {
    String text = e.getMessage() == null ? e.toString() : e.getMessage();
    boolean full =
        text.contains("No space left") || text.contains("quota") || text.contains("File too large");
    return full ? text + " (free space there or choose a folder on another disk)" : text;
  }

  /** Finished shards so far, in order; the last one is finished by {@link #close}. */
  public synchronized List<Path> shards() {
    return List.copyOf(shards);
  }

  /** Rows of the finished shards. */
  public synchronized long rows() {
    return totalRows;
  }

  /**
   * Rows appended so far whose action lies outside its box. They are written: under {@code
   * box_check = off} they are meant, and else {@link Replay.Options#outOfBoxLimit} decides.
   */
  public synchronized long outOfBoxRows() {
    return outOfBoxRows;
  }

  /** Removes the unfinished shard and closes the writer; finished shards stay. */
  public synchronized void abort() {
    if (shard != null) {
      try {
        shard.close();
        Files.deleteIfExists(temporary(shardFile));
      } catch (IOException e) {
        // The temporary name is hidden from readers, and the next writer removes it.
      }
      shard = null;
    }
    release();
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
    unlock();
  }

  /**
   * Finishes the last shard. Closing again does nothing.
   *
   * @throws ReplayException if the file cannot be written, or if the last session has no last row:
   *     its rows are then left out and everything before them is kept
   */
  @Override
  public synchronized void close() {
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
