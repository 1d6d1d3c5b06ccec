package org.unifiedrl.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.Set;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.duckdb.DuckDBResultSet;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.JvmAccess;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.mtf.session.LoggedRequests;

/**
 * Turns a production log into replay shards: checks every row, brings the rows of a session
 * together in the order of time, and writes them.
 *
 * <p>Memory is bounded whatever the log's size: rows are read in the log's order, put into parts by
 * user, in memory and then in files, and sorted part by part. A log with a bad row is refused, by
 * file, row and column; what fails leaves no shards. One thread at a time.
 */
public final class LogImport {

  /** Metadata key: number of missing values by state column, as JSON, where they were filled in. */
  public static final String MISSING_VALUES = "missing_values";

  private static final int BATCH_ROWS = 65_536;

  /**
   * How a log is imported.
   *
   * @param heldOut share of users whose requests are kept for evaluation, 0 to 0.9
   * @param seed key of who they are
   * @param threads threads of DuckDB, at least 1
   * @param memoryMegabytes memory of DuckDB, and as much again for rows (at most half of the heap's
   *     limit), at least 64
   * @param temporary folder for files while the import runs, which is created if missing
   * @param quarantine file that takes the bad rows, with what is wrong with each; null to refuse a
   *     log that has any. Its ending says how: {@code .parquet}, {@code .csv} or {@code .jsonl}
   */
  public record Options(
      double heldOut,
      long seed,
      int threads,
      int memoryMegabytes,
      Path temporary,
      Path quarantine) {
    public Options {
      if (!(heldOut >= 0 && heldOut <= 0.9)) {
        throw new ImportException("held-out share is " + heldOut + ": expected 0 to 0.9");
      }
      if (threads < 1 || memoryMegabytes < 64) {
        throw new ImportException(
            "%d threads, %d MB of memory: expected at least 1 thread and 64 MB"
                .formatted(threads, memoryMegabytes));
      }
      if (quarantine != null && !quarantine.toString().matches(".*\\.(parquet|csv|jsonl)")) {
        throw new ImportException(quarantine + ": expected .parquet, .csv or .jsonl");
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
   * @param quarantined bad rows, which were left out
   * @param baselineAction the served policy's normalised action if it was the same in all rows,
   *     else null
   * @param lowerBounds how far below the baseline action every request was explored, A values below
   *     0: the narrowest box of the log, not counting where the action range cut it
   * @param upperBounds how far above it, A values above 0
   */
  public record Result(
      long requests,
      long sessions,
      long heldOutRequests,
      long outOfBox,
      long quarantined,
      float[] baselineAction,
      List<Double> lowerBounds,
      List<Double> upperBounds) {}

  /**
   * Receives (rows done, all rows), from the importing thread. Every row is read first, and then
   * written: a row that was read is half done.
   */
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
   * @param train folder for the shards to learn from, which must not exist
   * @param heldOut folder for those of held-out users, which must not exist either
   * @throws ImportException if the log cannot be read, does not fit the mapping, or has a bad row
   */
  public Result run(LogSource source, Path train, Path heldOut, Progress progress) {
    Properties properties = new Properties();
    properties.setProperty("jdbc_stream_results", "true");
    try (Connection connection = DriverManager.getConnection("jdbc:duckdb:", properties)) {
      try (Statement set = connection.createStatement()) {
        set.execute("SET threads = " + options.threads());
        set.execute("SET enable_external_file_cache = false"); // files are read once
        set.execute("SET memory_limit = '" + options.memoryMegabytes() + "MB'");
        set.execute("SET temp_directory = " + ImportQuery.text(options.temporary().toString()));
        set.execute("SET TimeZone = 'UTC'");
      }
      ImportQuery query = new ImportQuery(mapping, columns(connection, source));
      Path rejected = options.quarantine() == null ? null : sibling(options.quarantine());
      boolean done = false;
      try {
        long quarantined = rejected == null ? 0 : quarantine(connection, source, query, rejected);
        Result result = write(connection, source, query, quarantined, train, heldOut, progress);
        if (quarantined > 0) {
          Files.move(rejected, options.quarantine(), StandardCopyOption.ATOMIC_MOVE);
        }
        done = true;
        return result;
      } finally {
        if (!done && rejected != null) {
          Files.deleteIfExists(rejected);
        }
      }
    } catch (SQLException e) {
      throw new ImportException("the log cannot be read: " + e.getMessage(), e);
    } catch (IOException e) {
      throw new ImportException("the log cannot be imported: " + e, e);
    }
  }

  private static Path sibling(Path file) {
    return file.resolveSibling("." + file.getFileName() + ".tmp");
  }

  /** Copies bad rows into a file, if there are any; returns their number. */
  private long quarantine(Connection connection, LogSource source, ImportQuery query, Path file)
      throws SQLException {
    long count = 0;
    try (Statement statement = connection.createStatement()) {
      boolean first = true;
      for (Map.Entry<String, String> place : source.parts().entrySet()) {
        String bad =
            "SELECT %s AS unifiedrl_file, * FROM (%s)"
                .formatted(ImportQuery.text(place.getKey()), query.bad(place.getValue()));
        statement.execute((first ? "CREATE TEMP TABLE bad AS " : "INSERT INTO bad ") + bad);
        first = false;
      }
      try (ResultSet rows = statement.executeQuery("SELECT count(*) FROM bad")) {
        rows.next();
        count = rows.getLong(1);
      }
      if (count > 0) {
        String format =
            switch (LogSource.format(options.quarantine())) {
              case PARQUET -> "parquet";
              case CSV -> "csv, HEADER";
              case JSON_LINES -> "json";
              case ARROW -> throw new IllegalStateException("refused by the options");
            };
        statement.execute(
            "COPY bad TO %s (FORMAT %s)".formatted(ImportQuery.text(file.toString()), format));
      }
      statement.execute("DROP TABLE bad");
    }
    return count;
  }

  /** Types by column; every file must have the same columns. */
  private static Map<String, String> columns(Connection connection, LogSource source)
      throws SQLException {
    Map<String, String> first = null;
    String firstName = null;
    for (Map.Entry<String, String> part : source.parts().entrySet()) {
      Map<String, String> own = describe(connection, part.getValue());
      if (first == null) {
        first = own;
        firstName = part.getKey();
      } else if (!own.equals(first)) {
        throw mixed(part.getKey(), own, firstName, first);
      }
    }
    return first;
  }

  private static ImportException mixed(
      String name, Map<String, String> types, String firstName, Map<String, String> firstTypes) {
    Set<String> columns = new LinkedHashSet<>(firstTypes.keySet());
    columns.addAll(types.keySet());
    String column =
        columns.stream()
            .filter(each -> !Objects.equals(types.get(each), firstTypes.get(each)))
            .findFirst()
            .orElseThrow();
    return new ImportException(
        "%s: column '%s' %s, and in %s it %s: import files of one schema at a time"
            .formatted(name, column, has(types, column), firstName, has(firstTypes, column)));
  }

  private static String has(Map<String, String> types, String column) {
    return types.containsKey(column) ? "has type " + types.get(column) : "is not there";
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

  /** What is wrong with the log, by the first check that finds something; else what was found. */
  private ImportException diagnosed(
      Connection connection, LogSource source, ImportQuery query, Exception found)
      throws SQLException {
    List<Long> counts = new ArrayList<>();
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(query.counts(source.relation()))) {
      row.next();
      for (int i = 0; i <= query.checks().size(); i++) {
        counts.add(row.getLong(i + 1));
      }
    }
    for (int i = 0; i < query.checks().size(); i++) {
      if (counts.get(i + 1) > 0) {
        return bad(connection, source, query.checks().get(i), query, counts.get(i + 1));
      }
    }
    return new ImportException(found.getMessage(), found);
  }

  /** File and row of a row's number among those that pass a condition. */
  private static String place(
      Connection connection, LogSource source, String condition, long number) throws SQLException {
    long before = 0;
    for (Map.Entry<String, String> part : source.parts().entrySet()) {
      String passing = part.getValue() + " WHERE " + condition;
      long rows = count(connection, passing);
      if (number > before + rows) {
        before += rows;
        continue;
      }
      try (Statement statement = connection.createStatement();
          ResultSet row =
              statement.executeQuery(
                  "SELECT n FROM (SELECT row_number() OVER () AS n, %s AS passes FROM %s) WHERE passes LIMIT 1 OFFSET %d"
                      .formatted(condition, part.getValue(), number - before - 1))) {
        row.next();
        return part.getKey() + ": row " + row.getLong(1);
      }
    }
    return "row " + number;
  }

  private static long count(Connection connection, String relation) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT count(*) FROM " + relation)) {
      row.next();
      return row.getLong(1);
    }
  }

  private static ImportException bad(
      Connection connection,
      LogSource source,
      ImportQuery.Check check,
      ImportQuery query,
      long count)
      throws SQLException {
    for (Map.Entry<String, String> place : source.parts().entrySet()) {
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

  /** Number of missing values by the columns where they are filled in. */
  private static Map<String, Long> missing(
      Connection connection, ImportQuery query, String relation) throws SQLException {
    Map<String, Long> counts = new LinkedHashMap<>();
    if (!query.filled().isEmpty()) {
      try (Statement statement = connection.createStatement();
          ResultSet row = statement.executeQuery(query.missingCounts(relation))) {
        row.next();
        for (String name : query.filled()) {
          counts.put(name, row.getLong(counts.size() + 1));
        }
      }
    }
    return counts;
  }

  private ReplaySchema schema(ImportQuery query, Map<String, Long> missing) {
    Map<String, String> metadata =
        LoggedRequests.metadata(
            query.stateNames(),
            List.copyOf(mapping.reward().keySet()),
            List.copyOf(mapping.scores().keySet()),
            mapping.actionMap());
    metadata.put(ReplaySchema.BOX_CHECK_KEY, mapping.logDensity() == null ? "on" : "off");
    if (!missing.isEmpty()) {
      metadata.put(MISSING_VALUES, LoggedRequests.json(missing));
    }
    return ReplaySchema.standard(
        query.stateNames().size(), query.actionSize(), mapping.reward().size(), metadata);
  }

  private Result write(
      Connection connection,
      LogSource source,
      ImportQuery query,
      long quarantined,
      Path train,
      Path heldOut,
      Progress progress)
      throws SQLException, IOException {
    String relation = source.relation();
    if (quarantined > 0) {
      relation = "(SELECT * FROM " + relation + " WHERE " + query.good() + ")";
    }
    long total = count(connection, relation);
    if (total == 0) {
      throw new ImportException(
          quarantined == 0 ? "the log has no rows" : "all " + quarantined + " rows are bad");
    }
    if (mapping.request() != null) {
      checkRequests(connection, relation);
    }
    for (Path folder : List.of(train, heldOut)) {
      if (Files.exists(folder)) {
        throw new ImportException(folder + " exists: give a new folder");
      }
    }
    ReplaySchema schema = schema(query, missing(connection, query, relation));
    boolean done = false;
    try (ReplayWriter learn = new ReplayWriter(train, schema);
        ReplayWriter kept = new ReplayWriter(heldOut, schema)) {
      SessionWriter writer = new SessionWriter(mapping, options, query, schema, learn, kept);
      try {
        copy(connection, query, relation, total, writer, progress);
        long outOfBox = learn.outOfBoxRows() + kept.outOfBoxRows();
        boolean bounded = schema.boxCheck();
        if (bounded && outOfBox > Replay.Options.DEFAULT.outOfBoxLimit() * writer.rows()) {
          throw new ImportException(
              ("%s: the action lies outside its box, as in %,d of %,d rows; correct box, or give"
                      + " log_density if exploration was not bounded")
                  .formatted(
                      place(
                          connection,
                          source,
                          quarantined > 0 ? query.good() : "true",
                          writer.outOfBox()),
                      outOfBox,
                      writer.rows()));
        }
        if (writer.rows() == writer.heldRows()) {
          throw new ImportException(
              "all %,d requests are of held-out users: give a smaller --held-out, or another --seed"
                  .formatted(writer.rows()));
        }
        done = true;
        return new Result(
            writer.rows() - writer.heldRows(),
            writer.learned(),
            writer.heldRows(),
            outOfBox,
            quarantined,
            writer.served(),
            writer.lowerBounds(),
            writer.upperBounds());
      } catch (LogRows.BadRowException e) {
        // With bad rows left out, the checks would only find those again.
        throw quarantined > 0
            ? new ImportException(e.getMessage(), e)
            : diagnosed(connection, source, query, e);
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

  /** Reads all rows, and writes them in the order of sessions. */
  private void copy(
      Connection connection,
      ImportQuery query,
      String relation,
      long total,
      SessionWriter writer,
      Progress progress)
      throws SQLException, IOException, LogRows.BadRowException {
    RowLayout layout = new RowLayout(query.valueCount());
    Path folder = options.temporary().resolve("users");
    // Direct memory is as large as the heap may grow, unless the JVM was told otherwise.
    long memory =
        Math.min((long) options.memoryMegabytes() << 20, Runtime.getRuntime().maxMemory() / 2);
    try (UserPartitions partitions = new UserPartitions(folder, layout, total, memory)) {
      try (PreparedStatement statement = connection.prepareStatement(query.rows(relation));
          DuckDBResultSet rows = (DuckDBResultSet) statement.executeQuery();
          RootAllocator allocator = new RootAllocator();
          ArrowReader reader = (ArrowReader) rows.arrowExportStream(allocator, BATCH_ROWS)) {
        LogRows read =
            new LogRows(
                reader, layout, mapping.logDensity() != null, mapping.box().version() != null);
        while (read.next(partitions::add)) {
          progress.at(Math.min(read.count(), total) / 2, total);
        }
      }
      long[] done = {0};
      partitions.sorted(
          (user, session, time, values, at) -> {
            writer.accept(user, session, time, values, at);
            if ((++done[0] & 0xFFFF) == 0) {
              progress.at((total + done[0]) / 2, total);
            }
          });
      writer.finish();
      progress.at(total, total);
    }
  }

  private static void remove(Path folder) {
    try {
      DurableFiles.deleteTree(folder);
    } catch (IOException e) {
      // What stopped the import is what its user must know.
    }
  }
}
