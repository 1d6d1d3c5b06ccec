package org.unifiedrl.engine;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Files that are either wholly there or not there at all, also after a crash or a power cut: write
 * under a temporary name, force, rename, force the folder.
 */
public final class DurableFiles {

  private DurableFiles() {}

  /** Forces a file's content and length to the device. */
  public static void force(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.force(true);
    }
  }

  /** Forces a folder's entries (created, renamed and deleted names) to the device. */
  public static void forceFolder(Path folder) throws IOException {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /**
   * Creates a folder and the missing ones above it, and forces each new name to the device: a
   * folder whose own name was lost in a power cut takes with it whatever was forced inside.
   */
  public static void createFolders(Path folder) throws IOException {
    Deque<Path> missing = new ArrayDeque<>();
    Path at = folder.toAbsolutePath().normalize();
    while (at != null && !Files.isDirectory(at)) {
      missing.push(at);
      at = at.getParent();
    }
    for (Path level : missing) {
      try {
        Files.createDirectory(level);
      } catch (FileAlreadyExistsException e) {
        if (!Files.isDirectory(level)) {
          throw e;
        }
      }
      forceFolder(level.getParent());
    }
  }

  /**
   * Renames a file or folder in one step and forces the target's parent. What stood under the
   * target name is replaced if it is a file.
   */
  public static void rename(Path from, Path to) throws IOException {
    Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    forceFolder(to.toAbsolutePath().getParent());
  }
}
