package org.unifiedrl.mtf.experiment;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.unifiedrl.engine.DurableFiles;

/**
 * Keeps a folder to one process at a time, until it is closed or the process ends. Its file, {@code
 * .lock}, stays.
 */
public final class FolderLock implements AutoCloseable {

  private final Path folder;
  private final FileChannel channel;

  private FolderLock(Path folder, FileChannel channel) {
    this.folder = folder;
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
      FileChannel channel =
          FileChannel.open(
              folder.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      FolderLock lock = new FolderLock(folder, channel);
      try {
        if (channel.tryLock() != null) { // held until the channel is closed
          return lock;
        }
      } catch (OverlappingFileLockException e) {
        lock.close();
        throw busy(folder, e);
      } catch (IOException e) {
        lock.close();
        throw e;
      }
      lock.close();
      throw busy(folder, null);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot lock " + folder + ": " + e, e);
    }
  }

  private static IllegalStateException busy(Path folder, Exception cause) {
    return new IllegalStateException(
        "another process works on the run in " + folder + ": wait for it, or end it", cause);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot unlock " + folder, e);
    }
  }
}
