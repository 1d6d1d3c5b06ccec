package org.unifiedrl.mtf.serving;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.replay.ReplayException;
import org.unifiedrl.engine.replay.ReplayRing;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplaySchema.Column;
import org.unifiedrl.engine.replay.ReplayWriter;

/**
 * Log of explored requests: serving threads append, one thread writes Arrow shards.
 *
 * <p>Between them stands a bounded off-heap ring. When it is full, a row is dropped and counted, or
 * its thread waits, as {@link Options} say. Appending allocates nothing once a request has been
 * appended before, and touches no file.
 *
 * <p><b>Files.</b> A folder {@code part-TIME-N} for each stretch of time, which holds {@code
 * shard-*.arrow} and {@code models.json}: number, version and digest of each model that acted. A
 * shard appears whole, when it has its rows or its age, and when the log is closed. What was
 * appended since the last one is lost if the process is killed.
 *
 * <p><b>Rows.</b> {@code session_id} is the request's id, and every request is a session of its
 * own: which requests a user's session holds is not known before it is over. Then user, time,
 * {@code state}, {@code action}, {@code baseline_action} (the served one), {@code box_low}, {@code
 * box_high}, {@code log_density}, and {@code model}, a number of {@code models.json}.
 *
 * <p><b>Outcomes come later</b> and are joined by request id when the log is imported. Until then
 * there is no column {@code reward}: with zeros in it training would run, and learn that nothing is
 * worth anything, while without it training stops and names what is missing. The files' metadata
 * say {@code outcomes = pending}.
 *
 * <p>Safe for all threads.
 */
public final class ServingLog implements AutoCloseable {

  /** Column of the number of the model that acted. */
  public static final String MODEL = "model";

  /** File in each part that says what the numbers of models are. */
  public static final String MODELS_FILE = "models.json";

  /** Key of the metadata that says whether outcomes were joined. */
  public static final String OUTCOMES = "outcomes";

  /** Value of {@link #OUTCOMES} before they were. */
  public static final String PENDING = "pending";

  private static final Logger LOG = LoggerFactory.getLogger(ServingLog.class);
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final DateTimeFormatter NAME =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

  private static final long IDLE_NANOS = 1_000_000;
  private static final long RETRY_NANOS = 1_000_000_000;

  /** Models that a log tells apart: whole numbers that a float32 column holds exactly. */
  private static final int MAX_MODELS = 1 << 24;

  /**
   * How much is held, and for how long.
   *
   * @param capacity rows that the ring holds at least, 1 or more
   * @param whenFull what {@link #append} does then
   * @param rowsPerShard rows after which a shard ends, 1 or more
   * @param age time after which the rows written so far appear as a shard, positive
   */
  public record Options(int capacity, ReplayRing.Policy whenFull, long rowsPerShard, Duration age) {

    /** 65,536 rows, dropping; a shard after a million rows or five minutes. */
    public static final Options DEFAULT =
        new Options(1 << 16, ReplayRing.Policy.DROP, 1_000_000, Duration.ofMinutes(5));

    public Options {
      if (age.isZero() || age.isNegative()) {
        throw new IllegalArgumentException("age is " + age + ": expected a positive duration");
      }
    }
  }

  /** A model and its number in this log. */
  private record Numbered(LoadedModel model, int number) {}

  private final Path folder;
  private final Options options;
  private final ReplaySchema schema;
  private final ReplayRing ring;
  private final int rowWidth;
  private final int states;
  private final int actions;
  private final Thread thread;
  private final Map<String, Integer> numbers = new LinkedHashMap<>(); // by digest; guarded by this
  private final List<String[]> models = new ArrayList<>(); // version, digest; guarded by this
  private volatile Numbered latest;
  private volatile boolean stopping;
  private volatile String failure;
  private volatile long lostRows; // of those that had left the ring
  private volatile long leftRows; // in the ring, at the end
  private final LongAdder accepted = new LongAdder();

  // Below: the writing thread's, and the constructor's before it starts.
  private ReplayWriter writer;
  private Path part;
  private int parts;
  private int writtenModels;
  private long openedAt;
  private long rowsBefore; // of the ring's count, when this part was opened

  /** Opens a log with the default options. */
  public static ServingLog open(Path folder, FusionPolicy policy) {
    return open(folder, policy, Options.DEFAULT);
  }

  /**
   * Opens a log of what a policy explores.
   *
   * @param folder created if need be; parts of earlier runs stay
   * @throws ReplayException if nothing can be written there
   * @throws IllegalArgumentException if the policy acts on candidates: it is not explored
   */
  public static ServingLog open(Path folder, FusionPolicy policy, Options options) {
    return new ServingLog(folder, policy.model(), options);
  }

  private ServingLog(Path folder, PolicyModel model, Options options) {
    if (model.kind() == PolicyModel.Kind.PAIR_ACTOR) {
      throw new IllegalArgumentException(
          "a policy of kind " + model.kind() + " is not explored, so there is nothing to log");
    }
    this.folder = folder;
    this.options = options;
    states = model.stateSize();
    actions = model.actionSize();
    schema =
        new ReplaySchema(
            List.of(
                new Column(ReplaySchema.STATE, states),
                new Column(ReplaySchema.ACTION, actions),
                new Column(ReplaySchema.BASELINE_ACTION, actions),
                new Column(ReplaySchema.BOX_LOW, actions),
                new Column(ReplaySchema.BOX_HIGH, actions),
                new Column(ReplaySchema.LOG_DENSITY, 1),
                new Column(MODEL, 1)),
            Map.of(
                OUTCOMES,
                PENDING,
                "request_id",
                ReplaySchema.SESSION_ID,
                "exploration",
                "uniform",
                "state_names",
                PolicyModel.json(model.stateNames()),
                "score_names",
                PolicyModel.json(model.scoreNames())));
    rowWidth = schema.rowWidth();
    // Every row ends its session, so that none is ever pending.
    ring = new ReplayRing(schema, options.capacity(), options.whenFull(), 1);
    openPart();
    thread = new Thread(this::run, "unifiedrl-serving-log");
    thread.setDaemon(true); // a service that forgets to close the log still ends
    thread.start();
  }

  /** Columns and metadata of its shards. */
  public ReplaySchema schema() {
    return schema;
  }

  /**
   * Appends an explored request.
   *
   * @param request after {@link FusionPolicy.Request#explore}
   * @param user the request's user
   * @param time of the request, in milliseconds since 1970-01-01 UTC
   * @return whether it was taken; false if the ring was full and the row was dropped
   * @throws IllegalStateException if the request was not explored, is of a model of other sizes, or
   *     the log is closed
   */
  public boolean append(FusionPolicy.Request request, long user, long time) {
    LoadedModel model = request.loaded();
    if (model.states != states || model.actions != actions) {
      throw new IllegalStateException(
          "this log has %d features and %d action values, and model %s has %d and %d: open a log of its own"
              .formatted(states, actions, model.model.version(), model.states, model.actions));
    }
    float[] row = request.row(rowWidth);
    int at = copy(request.features(), row, 0);
    at = copy(request.action(), row, at);
    at = copy(request.servedAction(), row, at);
    at = copy(request.boxLow(), row, at);
    at = copy(request.boxHigh(), row, at);
    row[at] = request.logDensity();
    row[at + 1] = number(model);
    boolean taken = ring.offer(request.id(), user, time, true, row);
    if (taken) {
      accepted.increment();
    }
    return taken;
  }

  private static int copy(float[] values, float[] row, int at) {
    System.arraycopy(values, 0, row, at, values.length);
    return at + values.length;
  }

  private int number(LoadedModel model) {
    Numbered known = latest;
    if (known != null && known.model() == model) {
      return known.number();
    }
    synchronized (this) {
      Integer number = numbers.get(model.digest);
      if (number == null) {
        number = models.size();
        if (number == MAX_MODELS) {
          throw new IllegalStateException("this log has " + number + " models: open a new one");
        }
        numbers.put(model.digest, number);
        models.add(new String[] {model.model.version(), model.digest});
      }
      latest = new Numbered(model, number);
      return number;
    }
  }

  private void run() {
    while (!stopping) {
      if (!step()) {
        LockSupport.parkNanos(writer == null ? RETRY_NANOS : IDLE_NANOS);
      }
    }
    while (step()) {
      // What was appended before the end.
    }
    closePart();
    // Where nothing could be written at the end, the ring still has rows.
    leftRows = accepted.sum() - ring.writtenRows() - ring.discardedRows();
  }

  /** Moves rows on; returns whether there were any. */
  private boolean step() {
    try {
      if (writer == null) {
        openPart();
      }
      writeModels();
      int rows = ring.drain(writer);
      if (rows == 0 && partRows() > 0 && System.nanoTime() - openedAt >= options.age().toNanos()) {
        closePart();
        return true;
      }
      return rows > 0;
    } catch (RuntimeException | IOException | Error e) { // memory may be short for a while only
      fail(e);
      closePart();
      return false;
    }
  }

  private long partRows() {
    return ring.writtenRows() - rowsBefore;
  }

  private void openPart() {
    part = folder.resolve("part-%s-%d".formatted(NAME.format(Instant.now()), parts));
    while (Files.exists(part)) { // of a run that began in this second
      parts++;
      part = folder.resolve("part-%s-%d".formatted(NAME.format(Instant.now()), parts));
    }
    writer =
        new ReplayWriter(part, schema, new ReplayWriter.Options(options.rowsPerShard(), 8 << 20));
    parts++;
    writtenModels = 0;
    rowsBefore = ring.writtenRows();
    openedAt = System.nanoTime();
  }

  private void writeModels() throws IOException {
    ArrayNode list = JSON.createArrayNode();
    synchronized (this) {
      if (models.size() == writtenModels) {
        return;
      }
      for (int i = 0; i < models.size(); i++) {
        list.addObject()
            .put("model", i)
            .put("version", models.get(i)[0])
            .put("sha256", models.get(i)[1]);
      }
    }
    DurableFiles.writeText(part.resolve(MODELS_FILE), list.toPrettyString() + "\n");
    writtenModels = list.size();
  }

  /** Ends the part, which makes its last shard appear; the next row opens another. */
  @SuppressWarnings("NonAtomicVolatileUpdate") // written by this thread only
  private void closePart() {
    if (writer == null) {
      return;
    }
    long rows = partRows();
    try {
      if (rows > 0) {
        writeModels();
      }
      writer.close();
    } catch (RuntimeException | IOException | Error e) {
      fail(e);
      writer.abort();
    }
    lostRows += rows - writer.rows();
    try {
      if (writer.rows() == 0) {
        DurableFiles.deleteTree(part);
      }
    } catch (IOException e) {
      LOG.warn("cannot remove the empty {}: {}", part, e.toString());
    }
    writer = null;
  }

  private void fail(Throwable e) {
    // The file system's own exceptions hold nothing but a path.
    failure = e instanceof ReplayException ? e.getMessage() : e.toString();
    LOG.error("explored requests are not logged: {}", failure);
  }

  /** Rows on their way into shards or in them. */
  public long writtenRows() {
    return ring.writtenRows() - lostRows;
  }

  /** Rows that were refused because the ring was full, or were not sound. */
  public long droppedRows() {
    return ring.droppedRows();
  }

  /** Rows that were taken and could not be written. */
  public long lostRows() {
    return lostRows + ring.discardedRows() + leftRows;
  }

  /** What last kept the log from being written; null if nothing did. */
  public String failure() {
    return failure;
  }

  /**
   * Ends appending and writes what was appended before. Requests should be over by then: a row that
   * another thread appends meanwhile may be refused or lost. Closing again does nothing.
   */
  @Override
  public void close() {
    ring.close();
    stopping = true;
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join(); // never interrupted itself: that would close the file under it
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
