package org.unifiedrl.data;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.unifiedrl.engine.DurableFiles;

/**
 * Files, or a query, whose rows are imported. Arrow files are read through copies, which {@link
 * #close} deletes.
 */
public final class LogSource implements Closeable {

  /** How files are laid out. */
  enum Format {
    PARQUET,
    ARROW,
    CSV,
    JSON_LINES
  }

  private final Format format;
  private final String sql;

  /** What is read of each file: itself, or a copy that DuckDB can read. */
  private final Map<Path, Path> files;

  private final Path copies;

  private LogSource(Format format, Map<Path, Path> files, Path copies, String sql) {
    this.format = format;
    this.files = files;
    this.copies = copies;
    this.sql = sql;
  }

  /**
   * A query in DuckDB's SQL, which may read any files.
   *
   * @param sql a SELECT, or a FROM
   */
  public static LogSource query(String sql) {
    return new LogSource(null, Map.of(), null, sql.strip().replaceAll(";+$", ""));
  }

  /**
   * Files by their names' endings: {@code .parquet}, {@code .arrow} (or {@code .feather}), {@code
   * .csv} and {@code .tsv}, {@code .jsonl} and {@code .ndjson}, text also with {@code .gz}.
   *
   * @param names files, imported in this order; the last part of a name may hold {@code *} and
   *     {@code ?}, which stand for the files there in the order of their names
   * @param temporary folder for copies while the source is open
   * @throws ImportException if there is no such file, one is empty, or endings differ or are not
   *     known
   */
  public static LogSource files(List<String> names, Path temporary) {
    Format format = null;
    Map<Path, Path> files = new LinkedHashMap<>();
    Set<Path> seen = new HashSet<>();
    for (String name : names) {
      for (Path file : matching(name)) {
        requireContent(file);
        Format own = format(file);
        if (format != null && own != format) {
          throw new ImportException(
              file
                  + " is of another kind than "
                  + files.keySet().iterator().next()
                  + ": import one kind at a time");
        }
        format = own;
        if (!seen.add(file.toAbsolutePath().normalize())) {
          throw new ImportException(file + " is given twice: its rows would be there twice");
        }
        files.put(file, file);
      }
    }
    if (files.isEmpty()) {
      throw new ImportException("no log is given: expected files");
    }
    if (format != Format.ARROW) {
      return new LogSource(format, files, null, null);
    }
    Path copies = temporary.resolve("arrow");
    LogSource source = new LogSource(Format.PARQUET, files, copies, null);
    boolean done = false;
    try {
      ArrowFiles.copy(files, copies);
      done = true;
      return source;
    } catch (IOException e) {
      throw new ImportException("cannot read the log: " + e, e);
    } finally {
      if (!done) {
        source.close();
      }
    }
  }

  private static List<Path> matching(String name) {
    try {
      int slash = name.lastIndexOf('/') + 1;
      String last = name.substring(slash);
      if (!last.contains("*") && !last.contains("?")) {
        Path file = Path.of(name);
        if (!Files.isRegularFile(file)) {
          throw new ImportException(file + ": there is no such file");
        }
        return List.of(file);
      }
      Path folder = Path.of(name.substring(0, slash));
      List<Path> found = new ArrayList<>();
      try (DirectoryStream<Path> all = Files.newDirectoryStream(folder)) {
        var pattern =
            FileSystems.getDefault()
                .getPathMatcher("glob:" + last.replaceAll("([\\[\\]{}\\\\])", "\\\\$1"));
        all.forEach(
            file -> {
              if (pattern.matches(file.getFileName()) && Files.isRegularFile(file)) {
                found.add(file);
              }
            });
      }
      if (found.isEmpty()) {
        throw new ImportException("no file matches " + name);
      }
      return found.stream().sorted().toList();
    } catch (IOException | InvalidPathException e) {
      throw new ImportException("cannot list " + name + ": " + e, e);
    }
  }

  private static void requireContent(Path file) {
    try {
      if (Files.size(file) == 0) {
        throw new ImportException(file + " is empty (0 bytes): leave it out");
      }
    } catch (IOException e) {
      throw new ImportException("cannot read " + file + ": " + e, e);
    }
  }

  /**
   * Layout by a file name's ending.
   *
   * @throws ImportException if it is not known
   */
  static Format format(Path file) {
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    String plain = name.endsWith(".gz") ? name.substring(0, name.length() - 3) : name;
    if (name.endsWith(".parquet")) {
      return Format.PARQUET;
    }
    if (name.endsWith(".arrow") || name.endsWith(".feather")) {
      return Format.ARROW;
    }
    if (plain.endsWith(".csv") || plain.endsWith(".tsv")) {
      return Format.CSV;
    }
    if (plain.endsWith(".jsonl") || plain.endsWith(".ndjson")) {
      return Format.JSON_LINES;
    }
    throw new ImportException(
        file + ": expected .parquet, .arrow, .csv, .tsv, .jsonl or .ndjson; other files by --sql");
  }

  /** All rows, as what may follow FROM. */
  String relation() {
    return sql != null ? "(" + sql + "\n)" : read(List.copyOf(files.values()));
  }

  /** What may follow FROM for each part of the log, by the part's name, in order. */
  Map<String, String> parts() {
    if (sql != null) {
      return Map.of("the query", relation());
    }
    Map<String, String> parts = new LinkedHashMap<>();
    files.forEach((name, file) -> parts.put(name.toString(), read(List.of(file))));
    return parts;
  }

  private String read(List<Path> paths) {
    String list =
        paths.stream()
            // DuckDB would take these for patterns.
            .map(file -> ImportQuery.text(file.toString().replaceAll("[\\[*?]", "[$0]")))
            .collect(Collectors.joining(", ", "[", "]"));
    return switch (format) {
      case PARQUET -> "read_parquet(" + list + ")";
      // As text, so that what is no number is found by the checks and has a row.
      case CSV -> "read_csv(" + list + ", all_varchar = true, header = true)";
      // Types by all rows, so that a value of another type has a row too.
      case JSON_LINES -> "read_json(" + list + ", format = 'newline_delimited', sample_size = -1)";
      case ARROW -> throw new IllegalStateException("Arrow files are read through copies");
    };
  }

  @Override
  public void close() {
    if (copies != null) {
      try {
        DurableFiles.deleteTree(copies);
      } catch (IOException e) {
        // They lie among the temporary files, which their owner deletes.
      }
    }
  }
}
