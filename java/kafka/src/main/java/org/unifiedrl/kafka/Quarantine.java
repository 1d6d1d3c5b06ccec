package org.unifiedrl.kafka;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.Predicate;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.unifiedrl.engine.DurableFiles;

/** A file of messages that are no rows: one JSON object a line, the bytes in base 64. */
final class Quarantine implements AutoCloseable {

  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** One line of the file; Jackson writes bytes in base 64. */
  record Entry(
      String topic, int partition, long offset, long timestamp, String reason, byte[] value) {}

  private final FileChannel channel;
  private boolean dirty;

  private Quarantine(FileChannel channel) {
    this.channel = channel;
  }

  /**
   * Opens a file, which is created if missing. Entries that a killed collector wrote but did not
   * get past are dropped: their messages are read again.
   *
   * @param again which entries those are
   * @throws CollectException if it holds something else, or another collector writes to it
   */
  static Quarantine open(Path file, Predicate<Entry> again) throws IOException {
    Path absolute = file.toAbsolutePath();
    DurableFiles.createFolders(absolute.getParent());
    boolean fresh = !Files.exists(absolute);
    FileChannel channel = lock(absolute);
    try {
      if (fresh) {
        DurableFiles.forceFolder(absolute.getParent());
      }
      Path kept = absolute.resolveSibling("." + absolute.getFileName() + ".tmp");
      if (copy(absolute, kept, again)) {
        DurableFiles.force(kept);
        DurableFiles.rename(kept, absolute);
        channel.close();
        channel = lock(absolute);
      } else {
        Files.delete(kept);
      }
      return new Quarantine(channel);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private static FileChannel lock(Path file) throws IOException {
    FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    boolean locked = false;
    try {
      locked = channel.tryLock() != null;
    } catch (OverlappingFileLockException e) {
      // Another collector of this process: the same as one of another process.
    } finally {
      if (!locked) {
        channel.close();
      }
    }
    if (!locked) {
      throw new CollectException(
          file + ": another collector writes to it; give each a file of its own");
    }
    return channel;
  }

  /** Copies what is to be kept; returns whether something was left out. */
  private static boolean copy(Path from, Path to, Predicate<Entry> again) throws IOException {
    boolean left = false;
    long number = 0;
    try (InputStream in = new BufferedInputStream(Files.newInputStream(from));
        OutputStream out = new BufferedOutputStream(Files.newOutputStream(to))) {
      ByteArrayOutputStream line = new ByteArrayOutputStream();
      for (int b = in.read(); b >= 0; b = in.read()) {
        line.write(b);
        if (b == '\n') {
          number++;
          if (again.test(entry(from, number, line.toByteArray()))) {
            left = true;
          } else {
            line.writeTo(out);
          }
          line.reset();
        }
      }
      left |= line.size() > 0; // torn by a kill
    } catch (CollectException e) {
      Files.deleteIfExists(to);
      throw e;
    }
    return left;
  }

  private static Entry entry(Path file, long number, byte[] line) throws IOException {
    try {
      Entry entry = JSON.readValue(line, Entry.class);
      if (entry != null && entry.topic() != null) {
        return entry;
      }
    } catch (JacksonException e) {
      // The same as another object.
    }
    throw new CollectException(
        file + ": line " + number + " is no message that was set aside; give another file");
  }

  /** Appends a message; it is durable after {@link #force}. */
  void append(ConsumerRecord<byte[], byte[]> message, String reason) throws IOException {
    Entry entry =
        new Entry(
            message.topic(),
            message.partition(),
            message.offset(),
            message.timestamp(),
            reason,
            message.value());
    byte[] json = JSON.writeValueAsBytes(entry);
    ByteBuffer line = ByteBuffer.allocate(json.length + 1).put(json).put((byte) '\n').flip();
    while (line.hasRemaining()) {
      channel.write(line);
    }
    dirty = true;
  }

  /** Makes what was appended durable. */
  void force() throws IOException {
    if (dirty) {
      channel.force(true);
      dirty = false;
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
