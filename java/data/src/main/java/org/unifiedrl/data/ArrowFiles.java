package org.unifiedrl.data;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import org.apache.arrow.c.ArrowArrayStream;
import org.apache.arrow.c.Data;
import org.apache.arrow.compression.CommonsCompressionFactory;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.ipc.ArrowFileReader;
import org.apache.arrow.vector.ipc.InvalidArrowFileException;
import org.duckdb.DuckDBConnection;

/**
 * Arrow IPC files as Parquet files: DuckDB takes Arrow data once only, as a stream, and a log is
 * read more than once.
 */
final class ArrowFiles {

  private ArrowFiles() {}

  /** Copies each file into a folder, and notes where. */
  static void copy(Map<Path, Path> files, Path folder) throws IOException {
    Files.createDirectories(folder);
    int number = 0;
    for (Map.Entry<Path, Path> file : files.entrySet()) {
      Path copy = folder.resolve(number++ + ".parquet");
      copy(file.getKey(), copy);
      file.setValue(copy);
    }
  }

  private static void copy(Path file, Path copy) throws IOException {
    try (RootAllocator allocator = new RootAllocator();
        FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        ArrowFileReader reader =
            new ArrowFileReader(channel, allocator, CommonsCompressionFactory.INSTANCE);
        ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator);
        Connection connection = DriverManager.getConnection("jdbc:duckdb:")) {
      reader.getVectorSchemaRoot(); // refuses what is no Arrow file before DuckDB sees it
      Data.exportArrayStream(allocator, reader, stream);
      connection.unwrap(DuckDBConnection.class).registerArrowStream("log", stream);
      try (Statement statement = connection.createStatement()) {
        statement.execute("SET threads = 1"); // a stream has one reader
        statement.execute(
            "COPY (SELECT * FROM log) TO "
                + ImportQuery.text(copy.toString())
                + " (FORMAT parquet, COMPRESSION lz4_raw)");
      }
    } catch (InvalidArrowFileException e) {
      throw new ImportException(file + " is no Arrow IPC file: " + e.getMessage(), e);
    } catch (SQLException e) {
      throw new ImportException(file + " cannot be read: " + e.getMessage(), e);
    }
  }
}
