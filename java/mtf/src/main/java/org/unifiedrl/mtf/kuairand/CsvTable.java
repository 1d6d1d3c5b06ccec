package org.unifiedrl.mtf.kuairand;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import de.siegmar.fastcsv.reader.FieldMismatchStrategy;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.zip.GZIPInputStream;

/**
 * A CSV file with a header line, plain or gzip, read once from front to back:
 *
 * <pre>{@code
 * try (CsvTable table = new CsvTable(file)) {
 *   int user = table.column("user_id");
 *   while (table.next()) {
 *     use(table.integer(user));
 *   }
 * }
 * }</pre>
 *
 * <p>Everything wrong with it is a {@link KuaiRandException} that names file, line and column. One
 * thread at a time.
 */
final class CsvTable implements AutoCloseable {

  private final Path file;
  private final CsvReader<CsvRecord> reader;
  private final Iterator<CsvRecord> records;
  private final List<String> header;
  private CsvRecord row;

  CsvTable(Path file) {
    this.file = file;
    try {
      InputStream bytes = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
      if (file.getFileName().toString().endsWith(".gz")) {
        bytes = new GZIPInputStream(bytes, 1 << 16);
      }
      this.reader =
          CsvReader.builder()
              .missingFieldStrategy(FieldMismatchStrategy.IGNORE) // next() says which line
              .extraFieldStrategy(FieldMismatchStrategy.IGNORE)
              .ofCsvRecord(bytes);
    } catch (IOException e) {
      throw new KuaiRandException(file + ": cannot be read: " + e, e);
    }
    this.records = reader.iterator();
    if (!advance()) {
      throw new KuaiRandException(file + ": is empty; expected a header line");
    }
    this.header = new ArrayList<>(row.getFields());
  }

  /** Index of a column that must be there. */
  int column(String name) {
    int index = header.indexOf(name);
    if (index < 0) {
      throw new KuaiRandException(
          file + ", line 1: column " + name + " is missing; found " + String.join(",", header));
    }
    return index;
  }

  /** Moves to the next row; false at the end. */
  boolean next() {
    if (!advance()) {
      return false;
    }
    if (row.getFieldCount() != header.size()) {
      throw new KuaiRandException(
          file
              + ", line "
              + row.getStartingLineNumber()
              + ": expected "
              + header.size()
              + " columns, found "
              + row.getFieldCount()
              + " (is the file truncated?)");
    }
    return true;
  }

  private boolean advance() {
    try {
      if (!records.hasNext()) {
        return false;
      }
      row = records.next();
      return true;
    } catch (CsvParseException | UncheckedIOException e) {
      long line = row == null ? 0 : row.getStartingLineNumber();
      throw new KuaiRandException(
          file + ": cannot be read after line " + line + ": " + cause(e).getMessage(), e);
    }
  }

  private static Throwable cause(Throwable e) {
    return e.getCause() == null ? e : e.getCause();
  }

  String text(int column) {
    return row.getField(column);
  }

  /** A whole number within {@code [low, high]}. */
  long integer(int column, long low, long high) {
    String text = row.getField(column);
    long value;
    try {
      value = Long.parseLong(text);
    } catch (NumberFormatException e) {
      throw wrong(column, "a whole number");
    }
    if (value < low || value > high) {
      throw wrong(column, "a whole number in [" + low + ", " + high + "]");
    }
    return value;
  }

  /** A whole number of at least 0. */
  long integer(int column) {
    return integer(column, 0, Long.MAX_VALUE);
  }

  /** A finite number of at least {@code low} and at most {@code high}. */
  double number(int column, double low, double high) {
    double value;
    try {
      value = Double.parseDouble(row.getField(column));
    } catch (NumberFormatException e) {
      throw wrong(column, "a number");
    }
    if (!(value >= low && value <= high)) {
      throw wrong(column, "a number in [" + low + ", " + high + "]");
    }
    return value;
  }

  /** As {@link #number}, with {@code missing} for an empty field. */
  double number(int column, double low, double high, double missing) {
    return row.getField(column).isEmpty() ? missing : number(column, low, high);
  }

  private KuaiRandException wrong(int column, String expected) {
    return new KuaiRandException(
        file
            + ", line "
            + row.getStartingLineNumber()
            + ", column "
            + header.get(column)
            + ": expected "
            + expected
            + ", found '"
            + row.getField(column)
            + "'");
  }

  @Override
  public void close() {
    try {
      reader.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
