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
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.Predicate;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.FolderLock;

/** A file of messages that are no rows: one JSON object a line, the bytes in base 64. */
final class Quarantine implements AutoCloseable {

  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** One line of the file; Jackson writes bytes in base 64. */
  record Entry(
      String topic,
      String topicId,
      int partition,
      long offset,
      long timestamp,
      String reason,
      byte[] value) {}

  private final String topicId;
  private final FolderLock lock;
  private final FileChannel channel;
  private boolean dirty;

  private Quarantine(String topicId, FolderLock lock, FileChannel channel) {
    this.topicId = topicId;
    this.lock = lock;
    this.channel = channel;
  }

  /**
   * Opens a file, which is created if missing. Entries that a killed collector wrote but did not
   * get past are dropped: their messages are read again.
   *
   * @param topicId of the topic whose messages come
   * @param again which entries those are
   * @throws CollectException if it holds something else, or another collector writes to it
   */
  static Quarantine open(Path file, String topicId, Predicate<Entry> again) throws IOException {
    Path absolute = file.toAbsolutePath();
    FolderLock lock;
    try {
      lock = FolderLock.beside(absolute);
    } catch (IllegalStateException e) {
      throw new CollectException(
          file + ": another collector writes to it; give each a file of its own", e);
    }
    try {
      if (Files.exists(absolute)) {
        Path kept = absolute.resolveSibling("." + absolute.getFileName() + ".tmp");
        if (copy(absolute, kept, again)) {
          DurableFiles.force(kept);
          DurableFiles.rename(kept, absolute);
        } else {
          Files.delete(kept);
        }
      }
      FileChannel channel =
          FileChannel.open(absolute, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
      DurableFiles.forceFolder(absolute.getParent());
      return new Quarantine(topicId, lock, channel);
    } catch (IOException | RuntimeException e) {
      lock.close();
      throw e;
    }
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
            topicId,
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
    try (lock) {
      channel.close();
    }
  }
}
