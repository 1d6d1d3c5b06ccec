package org.unifiedrl.mtf.study;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.unifiedrl.engine.DurableFiles;

/**
 * The cells that are done, one JSON file each, which appears whole or not at all: a study that was
 * killed goes on with the cells that are missing. Any number of threads, one per cell.
 */
public final class CellStore {

  private final Path folder;

  /** Cells in a folder, which need not exist. */
  public CellStore(Path folder) {
    this.folder = folder;
  }

  /** The file of a cell. */
  public Path file(Cell cell) {
    return folder.resolve(cell.fileName() + ".json");
  }

  /**
   * A cell's result, if it is there.
   *
   * @throws OtherSettingsException if the file is of other settings
   */
  public Optional<CellResult> read(Cell cell) {
    Path file = file(cell);
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    CellResult result;
    try {
      result = Cell.JSON.readValue(file.toFile(), CellResult.class);
    } catch (IOException e) {
      throw new UncheckedIOException(file + " is not the result of a cell; remove it", e);
    }
    if (!cell.identity().equals(result.identity())) {
      throw new OtherSettingsException(
          file
              + " was run with other settings ("
              + result.identity()
              + ", now "
              + cell.identity()
              + "): give another folder, or remove the file to run this cell again");
    }
    return Optional.of(result);
  }

  /** Keeps a result. */
  public void write(Cell cell, CellResult result) {
    ObjectNode node = Cell.JSON.valueToTree(result);
    node.put("world", cell.world());
    node.put("data", cell.data());
    node.put("method", cell.method());
    node.put("seed", cell.seed());
    node.set("settings", cell.settings());
    write(file(cell), node);
  }

  /** Writes JSON whole or not at all, also if the power fails. */
  static void write(Path file, ObjectNode node) {
    try {
      DurableFiles.createFolders(file.toAbsolutePath().getParent());
      Path temporary = file.resolveSibling("." + file.getFileName() + ".tmp");
      Files.writeString(temporary, node + "\n");
      DurableFiles.force(temporary);
      DurableFiles.rename(temporary, file);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + file + ": " + e.getMessage(), e);
    }
  }

  /** A cell's file is there, and of other settings. */
  public static final class OtherSettingsException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    OtherSettingsException(String message) {
      super(message);
    }
  }
}
