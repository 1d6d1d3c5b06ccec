package org.unifiedrl.engine;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Keeps a folder to one process at a time, until it is closed or the process ends. Its file, {@code
 * .lock}, stays.
 */
public final class FolderLock implements AutoCloseable {

  /** Files of this process's locks: closing any channel on one would release it. */
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final Path folder;
  private final Path file;
  private final FileChannel channel;

  private FolderLock(Path folder, Path file, FileChannel channel) {
    this.folder = folder;
    this.file = file;
    this.channel = channel;
  }

  /**
   * Locks a folder, which is created if it does not exist.
   *
   * @throws IllegalStateException if another process, or another part of this one, works on it
   */
  public static FolderLock of(Path folder) {
    try {
      DurableFiles.createFolders(folder);
      Path file = folder.toRealPath().resolve(".lock");
      if (!HELD.add(file)) {
        throw busy(folder);
      }
      FolderLock lock = null;
      try {
        FileChannel channel =
            FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        lock = new FolderLock(folder, file, channel);
        if (channel.tryLock() == null) { // held until the channel is closed
          throw busy(folder);
        }
        return lock;
      } catch (IOException | RuntimeException e) {
        if (lock == null) {
          HELD.remove(file);
        } else {
          lock.close();
        }
        throw e;
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot lock " + folder + ": " + e, e);
    }
  }

  private static IllegalStateException busy(Path folder) {
    return new IllegalStateException(
        "another process works on " + folder + ": wait for it, or end it");
  }

  @Override
  public void close() {
    if (!channel.isOpen()) {
      return; // another lock may hold the folder by now
    }
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot unlock " + folder, e);
    } finally {
      HELD.remove(file);
    }
  }
}
