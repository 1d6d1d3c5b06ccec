package org.unifiedrl.cli;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What the file system refused, in words: its exceptions often hold nothing but the path. */
final class FileErrors {

  private FileErrors() {}

  /** Why it failed. */
  static String reason(IOException e) {
    if (e instanceof NoSuchFileException) {
      return "there is no such file or folder";
    }
    if (e instanceof AccessDeniedException) {
      return "permission denied";
    }
    if (e instanceof FileAlreadyExistsException || e instanceof NotDirectoryException) {
      return "a file is in the way";
    }
    if (e instanceof DirectoryNotEmptyException) {
      return "it is a folder that holds something";
    }
    String text = e instanceof FileSystemException f ? f.getReason() : e.getMessage();
    if (text == null) {
      return e.toString();
    }
    return switch (text) {
      case "No space left on device" -> "the disk is full";
      case "Is a directory" -> "it is a folder";
      case "Not a directory" -> "a file is in the way";
      case "Read-only file system" -> "the file system is read-only";
      default -> text;
    };
  }

  /** Message of an exception, with the words that a cause of the file system's lacks. */
  static String message(Throwable e) {
    String message = e.getMessage() == null ? e.toString() : e.getMessage();
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof FileSystemException file) {
        String reason = reason(file);
        return message.contains(reason) ? message : message + " (" + reason + ")";
      }
    }
    return message;
  }

  /**
   * Returns if files can be created in a folder, which need not exist; nothing is left there.
   *
   * @throws IOException if they cannot
   */
  static void probe(Path folder) throws IOException {
    List<Path> missing = new ArrayList<>();
    for (Path path = folder.toAbsolutePath();
        path != null && Files.notExists(path);
        path = path.getParent()) {
      missing.add(path);
    }
    try {
      Files.createDirectories(folder);
      Files.delete(Files.createTempFile(folder, ".unifiedrl-", ".probe"));
    } finally {
      for (Path path : missing) {
        Files.deleteIfExists(path);
      }
    }
  }
}
