package org.unifiedrl.data;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.duckdb.DuckDBResultSet;
import org.unifiedrl.engine.JvmAccess;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.engine.replay.ReplayException;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;

/**
 * Turns a production log into replay shards: checks every row, brings the rows of a session
 * together in the order of time, and writes them.
 *
 * <p>Memory is bounded by the options whatever the log's size: DuckDB sorts on disk beyond it. A
 * log with a bad row is refused, by file, row and column, before anything is written; what fails
 * later leaves no shards.
 */
public final class LogImport {

  private static final long HELD_OUT = 0x494d_504fL;
  private static final int BATCH_ROWS = 65_536;

  /** Leading columns of the query that are no float32 values of the row. */
  private static final int KEYS = 6;

  /**
   * How a log is imported.
   *
   * @param heldOut share of users whose requests are kept for evaluation, 0 to 0.9
   * @param seed key of who they are
   * @param threads threads of DuckDB, at least 1
   * @param memoryMegabytes memory of DuckDB, beyond which it sorts on disk; at least 64
   * @param temporary folder for that, which is created if missing
   */
  public record Options(
      double heldOut, long seed, int threads, int memoryMegabytes, Path temporary) {
    public Options {
      if (!(heldOut >= 0 && heldOut <= 0.9)) {
        throw new ImportException("held-out share is " + heldOut + ": expected 0 to 0.9");
      }
      if (threads < 1 || memoryMegabytes < 64) {
        throw new ImportException("expected at least 1 thread and 64 MB of memory");
      }
    }
  }

  /**
   * What was imported.
   *
   * @param requests rows to learn from
   * @param sessions their sessions
   * @param heldOutRequests rows of held-out users
   * @param outOfBox rows whose action lies outside its box
   */
  public record Result(long requests, long sessions, long heldOutRequests, long outOfBox) {}

  /** Receives (rows done, all rows), from the importing thread. */
  public interface Progress {
    void at(long done, long total);
  }

  private final LogMapping mapping;
  private final Options options;

  public LogImport(LogMapping mapping, Options options) {
    JvmAccess.check();
    this.mapping = mapping;
    this.options = options;
  }

  /**
   * Imports a log.
   *
   * @param train folder for the shards to learn from; must hold none
   * @param heldOut folder for those of held-out users
   * @throws ImportException if the log cannot be read, does not fit the mapping, or has a bad row
   */
  public Result run(LogSource source, Path train, Path heldOut, Progress progress) {
    Properties properties = new Properties();
    properties.setProperty("jdbc_stream_results", "true");
    try (Connection connection = DriverManager.getConnection("jdbc:duckdb:", properties)) {
      try (Statement set = connection.createStatement()) {
        set.execute("SET threads = " + options.threads());
        set.execute("SET memory_limit = '" + options.memoryMegabytes() + "MB'");
        set.execute("SET temp_directory = " + ImportQuery.text(options.temporary().toString()));
        set.execute("SET TimeZone = 'UTC'");
      }
      ImportQuery query = new ImportQuery(mapping, columns(connection, source));
      long total = check(connection, source, query);
      if (total == 0) {
        throw new ImportException("the log has no rows");
      }
      return write(connection, query, relation(source), train, heldOut, total, progress);
    } catch (SQLException e) {
      throw new ImportException("the log cannot be read: " + e.getMessage(), e);
    }
  }

  private static String relation(LogSource source) {
    if (source instanceof LogSource.LogFiles log) {
      return files(log.format(), log.files());
    }
    return "(" + ((LogSource.Query) source).sql() + ")";
  }

  private static String files(LogSource.Format format, List<Path> files) {
    String list =
        files.stream()
            .map(file -> ImportQuery.text(file.toString()))
            .collect(Collectors.joining(", ", "[", "]"));
    return switch (format) {
      case PARQUET -> "read_parquet(" + list + ")";
      // As text, so that what is no number is found by the checks and has a row.
      case CSV -> "read_csv(" + list + ", all_varchar = true, header = true)";
      case JSON_LINES -> "read_json(" + list + ", format = 'newline_delimited')";
    };
  }

  /** Types by column; every file must have the same columns. */
  private static Map<String, String> columns(Connection connection, LogSource source)
      throws SQLException {
    if (!(source instanceof LogSource.LogFiles log)) {
      return describe(connection, relation(source));
    }
    Map<String, String> first = null;
    for (Path file : log.files()) {
      Map<String, String> own = describe(connection, files(log.format(), List.of(file)));
      if (first != null && !own.equals(first)) {
        Map<String, String> expected = first;
        String column =
            own.keySet().stream()
                .filter(name -> !own.get(name).equals(expected.get(name)))
                .findFirst()
                .orElseGet(
                    () ->
                        expected.keySet().stream()
                            .filter(name -> !own.containsKey(name))
                            .findFirst()
                            .orElseThrow());
        throw new ImportException(
            "%s: column '%s' has type %s, and %s in %s: import files of one schema at a time"
                .formatted(file, column, own.get(column), first.get(column), log.files().get(0)));
      }
      first = first == null ? own : first;
    }
    return first;
  }

  private static Map<String, String> describe(Connection connection, String relation)
      throws SQLException {
    Map<String, String> types = new LinkedHashMap<>();
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("DESCRIBE SELECT * FROM " + relation)) {
      while (rows.next()) {
        types.put(rows.getString(1), rows.getString(2));
      }
    }
    return types;
  }

  /** Counts the rows; refuses the first bad one. */
  private long check(Connection connection, LogSource source, ImportQuery query)
      throws SQLException {
    List<Long> counts = new ArrayList<>();
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(query.counts(relation(source)))) {
      row.next();
      for (int i = 0; i <= query.checks().size(); i++) {
        counts.add(row.getLong(i + 1));
      }
    }
    for (int i = 0; i < query.checks().size(); i++) {
      if (counts.get(i + 1) > 0) {
        throw bad(connection, source, query.checks().get(i), query, counts.get(i + 1));
      }
    }
    if (mapping.request() != null) {
      checkRequests(connection, relation(source));
    }
    return counts.get(0);
  }

  private static ImportException bad(
      Connection connection,
      LogSource source,
      ImportQuery.Check check,
      ImportQuery query,
      long count)
      throws SQLException {
    Map<String, String> places = new LinkedHashMap<>();
    if (source instanceof LogSource.LogFiles log) {
      log.files().forEach(f -> places.put(f.toString(), files(log.format(), List.of(f))));
    } else {
      places.put("the query", relation(source));
    }
    for (Map.Entry<String, String> place : places.entrySet()) {
      try (Statement statement = connection.createStatement();
          ResultSet row = statement.executeQuery(query.first(check, place.getValue()))) {
        if (row.next()) {
          String found = row.getString(2);
          return new ImportException(
              "%s: row %d, %s: expected %s, found %s (%d such row%s)"
                  .formatted(
                      place.getKey(),
                      row.getLong(1),
                      check.column(),
                      check.expected(),
                      found == null ? "nothing" : "'" + found + "'",
                      count,
                      count == 1 ? "" : "s"));
        }
      }
    }
    return new ImportException(check.column() + ": the log changed while it was read");
  }

  private void checkRequests(Connection connection, String relation) throws SQLException {
    String column = ImportQuery.quoted(mapping.request());
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT CAST(%s AS VARCHAR), count(*) FROM %s GROUP BY 1 HAVING count(*) > 1 LIMIT 1"
                    .formatted(column, relation))) {
      if (row.next()) {
        throw new ImportException(
            "request %s: '%s' is there %d times; remove the repeated rows, or leave request out"
                .formatted(mapping.request(), row.getString(1), row.getLong(2)));
      }
    }
  }

  private Result write(
      Connection connection,
      ImportQuery query,
      String relation,
      Path train,
      Path heldOut,
      long total,
      Progress progress)
      throws SQLException {
    ReplaySchema schema =
        ReplaySchema.standard(
            query.stateNames().size(),
            query.actionSize(),
            mapping.reward().size(),
            Map.of(
                "state_names",
                String.join(",", query.stateNames()),
                "reward_groups",
                String.join(",", mapping.reward().keySet()),
                ReplaySchema.ACTION_LOW_KEY,
                Double.toString(mapping.actionLow()),
                ReplaySchema.ACTION_HIGH_KEY,
                Double.toString(mapping.actionHigh()),
                ReplaySchema.BOX_CHECK_KEY,
                mapping.logDensity() == null ? "on" : "off"));
    boolean done = false;
    try (ReplayWriter learn = new ReplayWriter(train, schema);
        ReplayWriter kept = new ReplayWriter(heldOut, schema)) {
      try (PreparedStatement statement = connection.prepareStatement(query.rows(relation));
          DuckDBResultSet rows = (DuckDBResultSet) statement.executeQuery();
          RootAllocator allocator = new RootAllocator();
          ArrowReader reader = (ArrowReader) rows.arrowExportStream(allocator, BATCH_ROWS)) {
        Sessions sessions = new Sessions(query, schema, learn, kept);
        while (reader.loadNextBatch()) {
          sessions.append(reader.getVectorSchemaRoot());
          progress.at(sessions.rows, total);
        }
        sessions.finish();
        done = true;
        return new Result(
            sessions.rows - sessions.heldRows,
            sessions.learned,
            sessions.heldRows,
            learn.outOfBoxRows() + kept.outOfBoxRows());
      } catch (IOException e) {
        throw new ImportException("the log cannot be read: " + e.getMessage(), e);
      } finally {
        if (!done) {
          learn.abort();
          kept.abort();
        }
      }
    } finally {
      if (!done) {
        remove(train);
        remove(heldOut);
      }
    }
  }

  private static void remove(Path folder) {
    try (DirectoryStream<Path> shards = Files.newDirectoryStream(folder, "{,.}shard-*")) {
      for (Path shard : shards) {
        Files.delete(shard);
      }
    } catch (IOException e) {
      // What stopped the import is what its user must know.
    }
  }

  /** Cuts sorted rows into sessions; a row is written when the next one is known. */
  private final class Sessions {
    private final ReplayWriter learn;
    private final ReplayWriter kept;
    private final int actions;
    private final int states;
    private final int values;
    private final boolean edges;
    private final float[] row;
    private final float[] next;
    private final long gap = mapping.gapMillis();
    private long user;
    private long session;
    private long time;
    private long number;
    private boolean open;
    private boolean held;
    long rows;
    long heldRows;
    long learned;

    Sessions(ImportQuery query, ReplaySchema schema, ReplayWriter learn, ReplayWriter kept) {
      this.learn = learn;
      this.kept = kept;
      this.states = query.stateNames().size();
      this.actions = query.actionSize();
      this.edges = mapping.box().low() != null;
      this.values = states + (edges ? 4 : 2) * actions + mapping.reward().size();
      this.row = new float[schema.rowWidth()];
      this.next = new float[values];
    }

    void append(VectorSchemaRoot batch) {
      ArrowBuf users = ((BigIntVector) batch.getVector(0)).getDataBuffer();
      BigIntVector sessions = batch.getVector(1) instanceof BigIntVector v ? v : null;
      ArrowBuf times = ((BigIntVector) batch.getVector(2)).getDataBuffer();
      Float4Vector densities = (Float4Vector) batch.getVector(4);
      Float4Vector widths = (Float4Vector) batch.getVector(5);
      ArrowBuf[] columns = new ArrowBuf[values];
      for (int k = 0; k < values; k++) {
        columns[k] = ((Float4Vector) batch.getVector(KEYS + k)).getDataBuffer();
      }
      for (int i = 0; i < batch.getRowCount(); i++) {
        for (int k = 0; k < values; k++) {
          next[k] = columns[k].getFloat((long) i * Float.BYTES);
        }
        begin(
            users.getLong((long) i * Long.BYTES),
            sessions == null ? 0 : sessions.get(i),
            times.getLong((long) i * Long.BYTES));
        fill(
            densities.isNull(i) ? Double.NaN : densities.get(i),
            widths.isNull(i) ? Double.NaN : widths.get(i));
      }
    }

    /** Writes the row before, now that it is known whether the session goes on. */
    private void begin(long newUser, long newSession, long newTime) {
      boolean other = newUser != user || newSession != session || (gap > 0 && newTime - time > gap);
      if (open) {
        put(other);
      }
      if (other || !open) {
        number += open ? 1 : 0;
        held =
            Philox.uniformFloat((int) Philox.bits(options.seed() ^ HELD_OUT, 0, newUser))
                < options.heldOut();
        learned += held ? 0 : 1;
      }
      open = true;
      user = newUser;
      session = newSession;
      time = newTime;
    }

    private void put(boolean last) {
      try {
        (held ? kept : learn).append(number, user, time, last, row);
      } catch (ReplayException e) {
        throw new ImportException("user " + user + " at " + time + " ms: " + e.getMessage(), e);
      }
      rows++;
      heldRows += held ? 1 : 0;
    }

    void finish() {
      if (open) {
        put(true);
      }
    }

    /** The row in the order of the schema: what the box leaves open is made here. */
    private void fill(double logDensity, double versionWidth) {
      System.arraycopy(next, 0, row, 0, states + 2 * actions);
      int low = states + 2 * actions;
      int high = low + actions;
      int rewards = next.length - mapping.reward().size();
      if (edges) {
        System.arraycopy(next, low, row, low, 2 * actions);
      } else {
        double width = mapping.box().halfWidth() != null ? mapping.box().halfWidth() : versionWidth;
        for (int k = 0; k < actions; k++) {
          double centre = next[states + actions + k];
          row[low + k] = (float) Math.max(centre - width, mapping.actionLow());
          row[high + k] = (float) Math.min(centre + width, mapping.actionHigh());
        }
      }
      double density = logDensity;
      if (mapping.logDensity() == null) {
        density = 0;
        for (int k = 0; k < actions; k++) {
          if (row[high + k] > row[low + k]) { // elsewhere nothing was drawn
            density -= Math.log((double) row[high + k] - row[low + k]);
          }
        }
      }
      System.arraycopy(next, rewards, row, high + actions, mapping.reward().size());
      row[row.length - 1] = (float) density;
    }
  }
}
