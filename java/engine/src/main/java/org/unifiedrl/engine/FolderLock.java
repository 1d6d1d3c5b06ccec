package org.unifiedrl.engine;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Keeps a folder, or a file, to one process at a time, until it is closed or the process ends. What
 * is locked is a file of its own, {@code .lock} in the folder, that nobody reads and that stays:
 * closing any descriptor of a locked file would release it.
 */
public final class FolderLock implements AutoCloseable {

  /** Files of this process's locks: closing any channel on one would release it. */
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final Path locked;
  private final Path file;
  private final FileChannel channel;

  private FolderLock(Path locked, Path file, FileChannel channel) {
    this.locked = locked;
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
      return lock(folder, folder.toRealPath().resolve(".lock"));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot lock " + folder + ": " + e, e);
    }
  }

  /**
   * Locks a file, which need not exist and may be replaced meanwhile, by {@code .NAME.lock} beside
   * it. Its folder is created if it does not exist.
   *
   * @throws IllegalStateException if another process, or another part of this one, works on it
   */
  public static FolderLock beside(Path file) {
    Path absolute = file.toAbsolutePath();
    try {
      DurableFiles.createFolders(absolute.getParent());
      Path folder = absolute.getParent().toRealPath();
      return lock(file, folder.resolve("." + absolute.getFileName() + ".lock"));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot lock " + file + ": " + e, e);
    }
  }

  private static FolderLock lock(Path locked, Path file) throws IOException {
    if (!HELD.add(file)) {
      throw busy(locked);
    }
    FolderLock lock = null;
    try {
      FileChannel channel =
          FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      lock = new FolderLock(locked, file, channel);
      if (channel.tryLock() == null) { // held until the channel is closed
        throw busy(locked);
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
  }

  private static IllegalStateException busy(Path locked) {
    return new IllegalStateException(
        "another process works on " + locked + ": wait for it, or end it");
  }

  @Override
  public void close() {
    if (!channel.isOpen()) {
      return; // another lock may hold the folder by now
    }
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot unlock " + locked, e);
    } finally {
      HELD.remove(file);
    }
  }
}
