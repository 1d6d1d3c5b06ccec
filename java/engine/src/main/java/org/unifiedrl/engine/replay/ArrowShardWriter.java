package org.unifiedrl.engine.replay;

import com.google.flatbuffers.FlatBufferBuilder;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.zip.CRC32C;
import org.apache.arrow.flatbuf.Block;
import org.apache.arrow.flatbuf.Buffer;
import org.apache.arrow.flatbuf.FieldNode;
import org.apache.arrow.flatbuf.Footer;
import org.apache.arrow.flatbuf.KeyValue;
import org.apache.arrow.flatbuf.Message;
import org.apache.arrow.flatbuf.MessageHeader;
import org.apache.arrow.flatbuf.MetadataVersion;
import org.apache.arrow.flatbuf.RecordBatch;

/**
 * Writes one Arrow IPC file: uncompressed, no nulls, every buffer aligned to 64 bytes. Arrow's own
 * writer is not used because its vectors would copy every row once more and bring a second memory
 * manager.
 */
final class ArrowShardWriter implements Closeable {

  /**
   * Bytes that are written at a time: they come from the processor's cache after their checksum,
   * and the kernel takes up to three times as long for each byte of a far larger write.
   */
  private static final int PIECE = 1 << 18;

  /** Bytes after which they are forced, so that little is left to wait for at the end. */
  private static final long FORCE_BYTES = 32 << 20;

  private record BatchBlock(long offset, int metadataLength, long bodyLength) {}

  private static final ByteBuffer PADDING = ByteBuffer.allocate(ArrowFormat.ALIGNMENT);

  private final FileChannel channel;
  private final ReplaySchema schema;
  private final CRC32C crc = new CRC32C();
  private final List<BatchBlock> blocks = new ArrayList<>();
  private final List<String> checksums = new ArrayList<>();
  private long position;

  /** Forces what is written so far, beside the writing of what comes; null if none does. */
  private FutureTask<Void> forcing;

  /** Where the file ended when that began. */
  private long forcedTo;

  /**
   * Why the file could not be forced. The file system says it once: it may have dropped what was
   * written, so that nothing of this file can be kept, even where another try succeeds.
   */
  private volatile IOException unforced;

  /** Where the last whole batch, or the header, ends. */
  private long wholeEnd;

  /** Creates the file, which must not exist; leaves none if its header cannot be written. */
  ArrowShardWriter(Path file, ReplaySchema schema) throws IOException {
    this(
        file,
        schema,
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
  }

  /** A writer that was given its channel, for tests. */
  ArrowShardWriter(Path file, ReplaySchema schema, FileChannel channel) throws IOException {
    this.schema = schema;
    this.channel = channel;
    try {
      write(ByteBuffer.wrap(ArrowFormat.MAGIC));
      pad(ArrowFormat.HEADER_LENGTH - position);
      FlatBufferBuilder builder = new FlatBufferBuilder();
      int header = ArrowFormat.createSchema(builder, schema);
      writeMessage(builder, MessageHeader.Schema, header, 0);
      takeChecksum();
    } catch (IOException | RuntimeException | Error e) {
      try {
        channel.close();
        Files.delete(file);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  /** Batches written so far. */
  int batches() {
    return blocks.size();
  }

  /** Cuts off what a failed write left behind the last whole batch, so that others can follow. */
  void dropTornBatch() throws IOException {
    channel.truncate(wholeEnd);
    channel.position(wholeEnd);
    position = wholeEnd;
    crc.reset();
  }

  /**
   * Writes one record batch.
   *
   * @param rows rows in the batch
   * @param fixed session ids, user ids, timestamps and last flags, position to limit
   * @param columns the schema's columns, position to limit
   */
  void writeBatch(int rows, ByteBuffer[] fixed, ByteBuffer[] columns) throws IOException {
    if (forcing != null && forcing.isDone()) {
      awaitForced();
    }
    long bodyLength = 0;
    for (ByteBuffer buffer : fixed) {
      bodyLength += ArrowFormat.align(buffer.remaining());
    }
    for (ByteBuffer buffer : columns) {
      bodyLength += ArrowFormat.align(buffer.remaining());
    }
    FlatBufferBuilder builder = new FlatBufferBuilder();
    int header = createRecordBatch(builder, rows, bodyLength, fixed, columns);
    long offset = position;
    int metadataLength = writeMessage(builder, MessageHeader.RecordBatch, header, bodyLength);
    for (ByteBuffer buffer : fixed) {
      writeAligned(buffer);
    }
    for (ByteBuffer buffer : columns) {
      writeAligned(buffer);
    }
    blocks.add(new BatchBlock(offset, metadataLength, bodyLength));
    takeChecksum();
    if (forcing == null && position - forcedTo >= FORCE_BYTES) {
      FutureTask<Void> task = new FutureTask<>(() -> force(false));
      Thread thread = new Thread(task, "unifiedrl-replay-force");
      thread.setDaemon(true);
      thread.start();
      forcing = task;
      forcedTo = position;
    }
  }

  private Void force(boolean metadata) throws IOException {
    try {
      channel.force(metadata);
    } catch (IOException e) {
      unforced = e;
      throw e;
    }
    return null;
  }

  private void awaitForced() throws IOException {
    joinForcing();
    if (unforced != null) {
      throw new IOException(unforced.getMessage(), unforced);
    }
  }

  private void joinForcing() {
    FutureTask<Void> task = forcing;
    forcing = null;
    boolean interrupted = false;
    while (task != null) {
      try {
        task.get();
        task = null;
      } catch (InterruptedException e) {
        interrupted = true; // the file would be closed under the other thread
      } catch (ExecutionException e) {
        task = null;
        unforced = e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private int createRecordBatch(
      FlatBufferBuilder builder,
      int rows,
      long bodyLength,
      ByteBuffer[] fixed,
      ByteBuffer[] columns) {
    // A flatbuffer vector of structs is built from its last element to its first.
    RecordBatch.startBuffersVector(builder, 2 * fixed.length + 3 * columns.length);
    long end = bodyLength;
    for (int i = columns.length - 1; i >= 0; i--) {
      end = createBuffer(builder, end, columns[i]);
      Buffer.createBuffer(builder, end, 0); // the values' validity: none is null
      Buffer.createBuffer(builder, end, 0); // the lists' validity
    }
    for (int i = fixed.length - 1; i >= 0; i--) {
      end = createBuffer(builder, end, fixed[i]);
      Buffer.createBuffer(builder, end, 0);
    }
    int buffers = builder.endVector();
    RecordBatch.startNodesVector(builder, fixed.length + 2 * columns.length);
    for (int i = columns.length - 1; i >= 0; i--) {
      FieldNode.createFieldNode(builder, (long) rows * schema.columns().get(i).width(), 0);
      FieldNode.createFieldNode(builder, rows, 0);
    }
    for (int i = 0; i < fixed.length; i++) {
      FieldNode.createFieldNode(builder, rows, 0);
    }
    int nodes = builder.endVector();
    return RecordBatch.createRecordBatch(builder, rows, nodes, buffers, 0, 0);
  }

  private static long createBuffer(FlatBufferBuilder builder, long end, ByteBuffer buffer) {
    long start = end - ArrowFormat.align(buffer.remaining());
    Buffer.createBuffer(builder, start, buffer.remaining());
    return start;
  }

  /** Writes the footer and forces the file; afterwards only {@link #close} may be called. */
  void finish() throws IOException {
    ByteBuffer end = ArrowFormat.littleEndian(8);
    write(end.putInt(ArrowFormat.CONTINUATION).putInt(0).flip());
    byte[] footer = createFooter();
    write(ByteBuffer.wrap(footer));
    ByteBuffer trailer = ArrowFormat.littleEndian(ArrowFormat.TRAILER_LENGTH);
    write(trailer.putInt(footer.length).put(ArrowFormat.MAGIC).flip());
    awaitForced();
    force(true);
  }

  private byte[] createFooter() {
    FlatBufferBuilder builder = new FlatBufferBuilder();
    int schemaOffset = ArrowFormat.createSchema(builder, schema);
    Footer.startDictionariesVector(builder, 0);
    int dictionaries = builder.endVector();
    Footer.startRecordBatchesVector(builder, blocks.size());
    for (int i = blocks.size() - 1; i >= 0; i--) {
      BatchBlock block = blocks.get(i);
      Block.createBlock(builder, block.offset, block.metadataLength, block.bodyLength);
    }
    int recordBatches = builder.endVector();
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put(ArrowFormat.BATCH_CHECKSUMS_KEY, String.join(",", checksums));
    metadata.put(ArrowFormat.FOOTER_CHECKSUM_KEY, ArrowFormat.FOOTER_CHECKSUM_PLACEHOLDER);
    int[] pairs = ArrowFormat.createKeyValues(builder, metadata);
    int metadataVector = Footer.createCustomMetadataVector(builder, pairs);
    Footer.finishFooterBuffer(
        builder,
        Footer.createFooter(
            builder,
            MetadataVersion.V5,
            schemaOffset,
            dictionaries,
            recordBatches,
            metadataVector));
    byte[] footer = builder.sizedByteArray();
    KeyValue checksum = Footer.getRootAsFooter(ByteBuffer.wrap(footer)).customMetadata(1);
    int digitsAt = checksum.valueAsByteBuffer().position();
    byte[] digits =
        ArrowFormat.hex(ArrowFormat.footerChecksum(footer, digitsAt))
            .getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(digits, 0, footer, digitsAt, digits.length);
    return footer;
  }

  /** Writes a message so that what follows it is aligned; returns its length with prefix. */
  private int writeMessage(FlatBufferBuilder builder, byte type, int header, long bodyLength)
      throws IOException {
    Message.finishMessageBuffer(
        builder, Message.createMessage(builder, MetadataVersion.V5, type, header, bodyLength, 0));
    ByteBuffer message = builder.dataBuffer();
    int prefix = 8;
    long end = ArrowFormat.align(position + prefix + message.remaining());
    int length = Math.toIntExact(end - position);
    ByteBuffer start = ArrowFormat.littleEndian(prefix);
    write(start.putInt(ArrowFormat.CONTINUATION).putInt(length - prefix).flip());
    write(message);
    pad(end - position);
    return length;
  }

  private void writeAligned(ByteBuffer buffer) throws IOException {
    write(buffer);
    pad(ArrowFormat.align(position) - position);
  }

  private void pad(long count) throws IOException {
    write(PADDING.duplicate().limit((int) count));
  }

  private void write(ByteBuffer bytes) throws IOException {
    int end = bytes.limit();
    position += bytes.remaining();
    while (bytes.position() < end) {
      bytes.limit(Math.min(end, bytes.position() + PIECE));
      crc.update(bytes.duplicate());
      while (bytes.hasRemaining()) {
        if (channel.write(bytes) <= 0) {
          throw new IOException("the file system accepted no more bytes");
        }
      }
      bytes.limit(end);
    }
  }

  private void takeChecksum() {
    checksums.add(ArrowFormat.hex(crc.getValue()));
    crc.reset();
    wholeEnd = position;
  }

  @Override
  public void close() throws IOException {
    joinForcing();
    channel.close();
  }
}
