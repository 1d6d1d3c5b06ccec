package org.unifiedrl.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** Files, or a query, whose rows are imported. */
public sealed interface LogSource {

  /** How files are laid out. */
  enum Format {
    PARQUET,
    CSV,
    JSON_LINES
  }

  /**
   * Files of one layout.
   *
   * @param files at least one; their rows are imported in this order
   */
  record LogFiles(List<Path> files, Format format) implements LogSource {}

  /**
   * A query in DuckDB's SQL, which may read any files.
   *
   * @param sql a SELECT
   */
  record Query(String sql) implements LogSource {}

  /**
   * Files by their names' endings: {@code .parquet}, {@code .csv} and {@code .tsv}, {@code .jsonl}
   * and {@code .ndjson}, each of the last two also with {@code .gz}.
   *
   * @throws ImportException if there is no such file, or endings differ or are not known
   */
  static LogSource files(List<Path> files) {
    if (files.isEmpty()) {
      throw new ImportException("no log is given: expected files");
    }
    Format format = null;
    for (Path file : files) {
      if (!Files.isRegularFile(file)) {
        throw new ImportException(file + ": there is no such file");
      }
      try {
        if (Files.size(file) == 0) {
          throw new ImportException(file + " is empty (0 bytes): leave it out");
        }
      } catch (IOException e) {
        throw new ImportException("cannot read " + file + ": " + e, e);
      }
      Format own = format(file);
      if (format != null && own != format) {
        throw new ImportException(
            file + " is of another kind than " + files.get(0) + ": import one kind at a time");
      }
      format = own;
    }
    return new LogFiles(List.copyOf(files), format);
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
    if (plain.endsWith(".csv") || plain.endsWith(".tsv")) {
      return Format.CSV;
    }
    if (plain.endsWith(".jsonl") || plain.endsWith(".ndjson")) {
      return Format.JSON_LINES;
    }
    throw new ImportException(
        file + ": expected .parquet, .csv, .tsv, .jsonl or .ndjson; other files by --sql");
  }
}
