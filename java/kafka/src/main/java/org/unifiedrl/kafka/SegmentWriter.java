package org.unifiedrl.kafka;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.unifiedrl.engine.DurableFiles;

/** Writes a partition's segments, one after the other; each is there wholly or not at all. */
final class SegmentWriter {

  private final Path folder;
  private final String topic;
  private final int partition;
  private final Path temporary;

  private long from;
  private long next;
  private long durable;

  private FileChannel channel;
  private OutputStream out;
  private long rows;
  private long bytes;
  private long since;

  SegmentWriter(Path folder, String topic, int partition, Position start) {
    this.folder = folder;
    this.topic = topic;
    this.partition = partition;
    this.temporary = folder.resolve(Segment.temporary(topic, partition));
    this.from = start.segments();
    this.next = start.next();
    this.durable = next;
  }

  /** Appends the message at an offset. */
  void append(byte[] line, long offset) throws IOException {
    if (out == null) {
      channel =
          FileChannel.open(
              temporary,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE);
      out = new BufferedOutputStream(Channels.newOutputStream(channel), 1 << 16);
    }
    out.write(line);
    rows++;
    bytes += line.length;
    advance(offset + 1);
  }

  /** Goes on at an offset: what lies before it was appended, or gives no row. */
  void advance(long offset) {
    if (offset > next) {
      if (!pending()) {
        since = System.nanoTime();
      }
      next = offset;
    }
  }

  long rows() {
    return rows;
  }

  long bytes() {
    return bytes;
  }

  /** Whether something was collected that is not yet durable. */
  boolean pending() {
    return next != durable;
  }

  /** Nanoseconds since the first message that is not yet durable; 0 if there is none. */
  long age() {
    return pending() ? System.nanoTime() - since : 0;
  }

  /** How far the partition is collected. */
  Position position() {
    return new Position(from, next);
  }

  /** How far what was collected is durable. */
  Position durable() {
    return new Position(from, durable);
  }

  /** Makes the rows so far a segment, durably; returns whether there were any. */
  boolean publish() throws IOException {
    durable = next;
    if (out == null) {
      return false;
    }
    out.flush();
    channel.force(true);
    channel.close();
    DurableFiles.rename(
        temporary, folder.resolve(new Segment(topic, partition, from, next).fileName()));
    out = null;
    from = next;
    rows = 0;
    bytes = 0;
    return true;
  }

  /** Drops the rows since the last segment. */
  void abort() {
    if (out != null) {
      try {
        channel.close();
        Files.deleteIfExists(temporary);
      } catch (IOException e) {
        // The name is hidden from readers, and the next collector removes it.
      }
      out = null;
    }
  }
}
