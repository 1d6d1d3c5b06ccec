package org.unifiedrl.engine.replay;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.agrona.BufferUtil;
import org.agrona.IoUtil;
import org.apache.arrow.flatbuf.Block;
import org.apache.arrow.flatbuf.Buffer;
import org.apache.arrow.flatbuf.Endianness;
import org.apache.arrow.flatbuf.Field;
import org.apache.arrow.flatbuf.FieldNode;
import org.apache.arrow.flatbuf.FixedSizeList;
import org.apache.arrow.flatbuf.FloatingPoint;
import org.apache.arrow.flatbuf.Footer;
import org.apache.arrow.flatbuf.Int;
import org.apache.arrow.flatbuf.KeyValue;
import org.apache.arrow.flatbuf.Message;
import org.apache.arrow.flatbuf.MessageHeader;
import org.apache.arrow.flatbuf.MetadataVersion;
import org.apache.arrow.flatbuf.Precision;
import org.apache.arrow.flatbuf.RecordBatch;
import org.apache.arrow.flatbuf.Schema;
import org.apache.arrow.flatbuf.Type;

/**
 * Reads one Arrow IPC file's footer and maps its record batches.
 *
 * <p>The file is not trusted: footer and messages are copied into bounded heap buffers, so that a
 * wild flatbuffer offset ends in an exception of Java and not in a fault; every offset and length
 * is checked against the file before it is mapped; batches may not overlap, which bounds the work
 * by the size of the file.
 */
final class ArrowShardReader {

  /** Where things stand in one mapped record batch; offsets are within its body. */
  record Batch(
      Path file,
      long firstRowInFile,
      int rows,
      MappedByteBuffer body,
      int[] fixedOffsets,
      int[] columnOffsets) {}

  /** Schema and non-empty batches of a file. */
  record Shard(ReplaySchema schema, List<Batch> batches) {}

  /** A batch that is mapped must fit one buffer of Java. */
  private static final long MAX_BATCH_BYTES = Integer.MAX_VALUE;

  private static final int MAX_METADATA = 16 << 20;

  private final Path file;
  private final FileChannel channel;
  private final long size;
  private final boolean verifyChecksums;

  /** Direct, since a read into a heap buffer is copied once more. */
  private final ByteBuffer chunk = ByteBuffer.allocateDirect(1 << 18);

  /** For each fixed column, then each schema column: whether it is a list, and where it starts. */
  private final List<Field> fields = new ArrayList<>();

  private final List<Batch> batches = new ArrayList<>();

  private int nodeCount;
  private int bufferCount;

  private ArrowShardReader(Path file, FileChannel channel, boolean verifyChecksums)
      throws IOException {
    this.file = file;
    this.channel = channel;
    this.size = channel.size();
    this.verifyChecksums = verifyChecksums;
  }

  /** Reads and maps a file; the mappings stay valid after the channel is closed. */
  static Shard read(Path file, FileChannel channel, boolean verifyChecksums) throws IOException {
    ArrowShardReader reader = new ArrowShardReader(file, channel, verifyChecksums);
    boolean whole = false;
    try {
      Shard shard = reader.read();
      whole = true;
      return shard;
    } catch (ReplayException e) {
      throw e;
    } catch (RuntimeException e) {
      // What flatbuffers throws for offsets that leave their buffer is not specified.
      throw reader.corrupt("its metadata does not decode (" + e + ")", e);
    } finally {
      BufferUtil.free(reader.chunk);
      if (!whole) {
        reader.batches.forEach(batch -> IoUtil.unmap(batch.body()));
      }
    }
  }

  private Shard read() throws IOException {
    long footerStart = findFooter();
    byte[] bytes = readBytes(footerStart, size - ArrowFormat.TRAILER_LENGTH - footerStart);
    Footer footer = Footer.getRootAsFooter(littleEndian(bytes));
    checkVersion(footer.version());
    List<String> checksums = checkFooter(footer, bytes);
    Schema schema = footer.schema();
    if (schema == null) {
      throw corrupt("its footer has no schema", null);
    }
    if (footer.dictionariesLength() > 0) {
      throw unsupported("dictionary-encoded columns", "write plain columns");
    }
    ReplaySchema replaySchema;
    try {
      replaySchema = readSchema(schema);
      replaySchema.checkMetadata();
    } catch (ReplayException e) {
      throw new ReplayException(file + " is no replay shard: " + e.getMessage(), e);
    }

    int blocks = footer.recordBatchesLength();
    requireWithin("record batches", blocks, bytes.length / 24);
    long end = ArrowFormat.HEADER_LENGTH;
    long firstRow = 0;
    for (int i = 0; i < blocks; i++) {
      Block block = footer.recordBatches(i);
      long offset = block.offset();
      long metadataLength = block.metaDataLength();
      long bodyLength = block.bodyLength();
      if (offset < end
          || offset % 8 != 0
          || metadataLength < 8
          || metadataLength % 8 != 0
          || bodyLength < 0
          || offset > footerStart - metadataLength
          || bodyLength > footerStart - metadataLength - offset) {
        throw corrupt(
            String.format(
                "record batch %d is said to lie at %d + %d + %d, outside bytes %d to %d",
                i, offset, metadataLength, bodyLength, end, footerStart),
            null);
      }
      if (i == 0 && checksums != null) {
        checkHeader(offset, checksums.get(0));
      }
      end = offset + metadataLength + bodyLength;
      String checksum = checksums == null ? null : checksums.get(i + 1);
      Batch batch = readBatch(i, block, replaySchema, firstRow, checksum);
      if (batch != null) {
        batches.add(batch);
        firstRow += batch.rows();
      }
    }
    return new Shard(replaySchema, batches);
  }

  private long findFooter() throws IOException {
    int smallest = ArrowFormat.HEADER_LENGTH + ArrowFormat.TRAILER_LENGTH;
    byte[] magic = ArrowFormat.MAGIC;
    if (size < smallest
        || !Arrays.equals(Arrays.copyOf(readBytes(0, magic.length), magic.length), magic)) {
      throw new ReplayException(
          file
              + " is not an Arrow IPC file (expected at least "
              + smallest
              + " bytes that start with ARROW1, found "
              + size
              + " bytes): give a folder of replay shards, or convert the file to Arrow IPC");
    }
    ByteBuffer trailer =
        littleEndian(readBytes(size - ArrowFormat.TRAILER_LENGTH, ArrowFormat.TRAILER_LENGTH));
    int length = trailer.getInt();
    byte[] end = new byte[magic.length];
    trailer.get(end);
    if (!Arrays.equals(end, magic)) {
      throw corrupt("it does not end with ARROW1, so it is truncated or an Arrow stream", null);
    }
    if (length < 8 || length > MAX_METADATA || length > size - smallest) {
      throw corrupt(
          "its footer is said to have " + length + " bytes of a file of " + size + " bytes", null);
    }
    return size - ArrowFormat.TRAILER_LENGTH - length;
  }

  /** Verifies the footer's own checksum; returns those of header and batches, or null if none. */
  private List<String> checkFooter(Footer footer, byte[] bytes) {
    int count = footer.customMetadataLength();
    requireWithin("metadata entries", count, bytes.length / 4);
    String batches = null;
    KeyValue own = null;
    for (int i = 0; i < count; i++) {
      KeyValue pair = footer.customMetadata(i);
      if (ArrowFormat.BATCH_CHECKSUMS_KEY.equals(pair.key())) {
        batches = pair.value();
      } else if (ArrowFormat.FOOTER_CHECKSUM_KEY.equals(pair.key())) {
        own = pair;
      }
    }
    if (!verifyChecksums || (own == null && batches == null)) {
      return null;
    }
    if (own == null || batches == null) {
      throw corrupt("one of its two checksum entries is missing", null);
    }
    int digitsAt = own.valueAsByteBuffer().position();
    String expected = own.value();
    if (expected.length() != ArrowFormat.FOOTER_CHECKSUM_PLACEHOLDER.length()) {
      throw corrupt("its footer checksum has " + expected.length() + " digits", null);
    }
    requireChecksum("footer", expected, ArrowFormat.footerChecksum(bytes, digitsAt));
    List<String> list = Arrays.asList(batches.split(",", -1));
    if (list.size() != footer.recordBatchesLength() + 1) {
      throw corrupt("it has " + list.size() + " checksums for its record batches", null);
    }
    return list;
  }

  private void checkHeader(long end, String expected) throws IOException {
    requireChecksum("header", expected, checksum(new byte[0], 0, end));
  }

  private ReplaySchema readSchema(Schema schema) {
    if (schema.endianness() != Endianness.Little) {
      throw unsupported("big-endian values", "write it on a little-endian machine");
    }
    int count = schema.fieldsLength();
    requireWithin("columns", count, ReplaySchema.MAX_COLUMNS);
    long nameBytes = 0;
    Field[] fixed = new Field[ReplaySchema.FIXED.size()];
    List<ReplaySchema.Column> columns = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Field field = schema.fields(i);
      ByteBuffer encoded = field.nameAsByteBuffer();
      if (encoded == null) {
        throw corrupt("column " + i + " has no name", null);
      }
      // Many columns may share one long name in a hostile file: bounded before it is decoded.
      nameBytes += encoded.remaining();
      requireWithin("bytes of column names", nameBytes, ReplaySchema.MAX_NAME_BYTES);
      String name = field.name();
      if (field.dictionary() != null) {
        throw unsupported("the dictionary-encoded column '" + name + "'", "write plain columns");
      }
      int fixedIndex = ReplaySchema.FIXED.indexOf(name);
      if (fixedIndex >= 0) {
        checkInt(field, name);
        if (fixed[fixedIndex] != null) {
          throw corrupt("column '" + name + "' occurs twice", null);
        }
        fixed[fixedIndex] = field;
      } else {
        columns.add(new ReplaySchema.Column(name, listWidth(field, name)));
      }
      fields.add(field);
      boolean list = field.typeType() == Type.FixedSizeList;
      nodeCount += list ? 2 : 1;
      bufferCount += list ? 3 : 2;
    }
    for (int i = 0; i < fixed.length; i++) {
      if (fixed[i] == null) {
        throw new ReplayException(
            file
                + " has no column '"
                + ReplaySchema.FIXED.get(i)
                + "': a replay shard needs "
                + ReplaySchema.FIXED
                + " besides its float32 columns");
      }
    }
    return new ReplaySchema(columns, readMetadata(schema));
  }

  private Map<String, String> readMetadata(Schema schema) {
    Map<String, String> metadata = new LinkedHashMap<>();
    int count = schema.customMetadataLength();
    requireWithin("metadata entries", count, ReplaySchema.MAX_METADATA_ENTRIES);
    long length = 0;
    for (int i = 0; i < count; i++) {
      KeyValue pair = schema.customMetadata(i);
      ByteBuffer key = pair.keyAsByteBuffer();
      ByteBuffer value = pair.valueAsByteBuffer();
      length += (key == null ? 0 : key.remaining()) + (value == null ? 0 : value.remaining());
      if (key == null || length > MAX_METADATA) {
        throw corrupt("its metadata is malformed or longer than " + MAX_METADATA, null);
      }
      metadata.put(pair.key(), value == null ? "" : pair.value());
    }
    return metadata;
  }

  private void checkInt(Field field, String name) {
    boolean flag = name.equals(ReplaySchema.LAST);
    boolean matches = false;
    if (field.typeType() == Type.Int) {
      Int type = (Int) field.type(new Int());
      matches = type.bitWidth() == (flag ? 8 : 64) && type.isSigned() != flag;
    }
    if (!matches) {
      throw wrongType(name, flag ? "uint8" : "int64", field);
    }
  }

  /** Width of a float32 list column; a plain float32 column has width 1. */
  private int listWidth(Field field, String name) {
    if (field.typeType() == Type.FixedSizeList && field.childrenLength() == 1) {
      Field item = field.children(0);
      if (isFloat32(item) && item.dictionary() == null) {
        return ((FixedSizeList) field.type(new FixedSizeList())).listSize();
      }
    } else if (isFloat32(field)) {
      return 1;
    }
    throw wrongType(name, "a fixed-size list of float32", field);
  }

  private static boolean isFloat32(Field field) {
    return field.typeType() == Type.FloatingPoint
        && ((FloatingPoint) field.type(new FloatingPoint())).precision() == Precision.SINGLE;
  }

  private ReplayException wrongType(String name, String expected, Field field) {
    int type = field.typeType();
    String found = type >= 0 && type < Type.names.length ? Type.name(type) : "type " + type;
    return new ReplayException(
        file
            + ", column '"
            + name
            + "': expected "
            + expected
            + ", found Arrow "
            + found
            + " of another size or kind; cast or drop the column");
  }

  private Batch readBatch(
      int index, Block block, ReplaySchema schema, long firstRow, String checksum)
      throws IOException {
    requireWithin("bytes of batch metadata", block.metaDataLength(), MAX_METADATA);
    byte[] bytes = readBytes(block.offset(), block.metaDataLength());
    ByteBuffer prefix = littleEndian(bytes);
    if (prefix.getInt() != ArrowFormat.CONTINUATION) {
      throw unsupported("the message layout of Arrow before 0.15", "write it with a newer Arrow");
    }
    int length = prefix.getInt();
    if (length < 8 || length > bytes.length - 8) {
      throw corrupt("record batch " + index + " has metadata of " + length + " bytes", null);
    }
    Message message =
        Message.getRootAsMessage(littleEndian(Arrays.copyOfRange(bytes, 8, 8 + length)));
    checkVersion(message.version());
    if (message.headerType() != MessageHeader.RecordBatch) {
      throw corrupt("message " + index + " is not a record batch", null);
    }
    RecordBatch batch = (RecordBatch) message.header(new RecordBatch());
    if (batch.compression() != null) {
      throw unsupported("compressed buffers", "write it with compression off");
    }
    long bodyLength = block.bodyLength();
    if (bodyLength > MAX_BATCH_BYTES || batch.length() > Integer.MAX_VALUE) {
      throw unsupported(
          "a record batch of " + bodyLength + " bytes and " + batch.length() + " rows",
          "write batches below 2 GiB");
    }
    if (batch.length() < 0
        || batch.nodesLength() != nodeCount
        || batch.buffersLength() != bufferCount) {
      throw corrupt(
          String.format(
              "record batch %d has %d rows, %d nodes and %d buffers: expected %d nodes and %d"
                  + " buffers",
              index,
              batch.length(),
              batch.nodesLength(),
              batch.buffersLength(),
              nodeCount,
              bufferCount),
          null);
    }
    int rows = (int) batch.length();
    int[] fixedOffsets = new int[ReplaySchema.FIXED.size()];
    int[] columnOffsets = new int[schema.columns().size()];
    locate(index, batch, schema, block, fixedOffsets, columnOffsets);
    if (bodyLength == 0 || (rows == 0 && checksum == null)) {
      return null;
    }
    long bodyStart = block.offset() + block.metaDataLength();
    if (checksum != null) {
      // Read, not mapped: a file that is cut meanwhile ends in an exception and not in a signal.
      requireChecksum("record batch " + index, checksum, checksum(bytes, bodyStart, bodyLength));
    }
    if (rows == 0) {
      return null;
    }
    MappedByteBuffer body;
    try {
      body = channel.map(FileChannel.MapMode.READ_ONLY, bodyStart, bodyLength);
    } catch (IOException e) {
      throw new ReplayException(
          file
              + ", record batch "
              + index
              + ": cannot be mapped into memory ("
              + e.getMessage()
              + "); too many small batches are mapped at once, write larger ones",
          e);
    }
    body.order(ByteOrder.LITTLE_ENDIAN);
    return new Batch(file, firstRow, rows, body, fixedOffsets, columnOffsets);
  }

  /** CRC32C of a message and of the bytes that follow it in the file. */
  private long checksum(byte[] message, long from, long length) throws IOException {
    CRC32C crc = new CRC32C();
    crc.update(message);
    long end = from + length;
    for (long at = from; at < end; ) {
      chunk.clear().limit((int) Math.min(chunk.capacity(), end - at));
      int count = channel.read(chunk, at);
      if (count < 0) {
        throw corrupt("it ends at byte " + at, null);
      }
      crc.update(chunk.flip());
      at += count;
    }
    return crc.getValue();
  }

  /** Walks the flattened buffers of all columns (Arrow format, "Buffer listing"). */
  private void locate(
      int index,
      RecordBatch batch,
      ReplaySchema schema,
      Block block,
      int[] fixedOffsets,
      int[] columnOffsets) {
    long rows = batch.length();
    int node = 0;
    int buffer = 0;
    int column = 0;
    for (Field field : fields) {
      String name = field.name();
      String where = "record batch " + index + ", column '" + name + "'";
      int fixed = ReplaySchema.FIXED.indexOf(name);
      requireFull(where, batch.nodes(node++), rows);
      buffer++; // validity, which nothing needs where nothing is null
      long bytesPerRow;
      if (fixed >= 0) {
        bytesPerRow = name.equals(ReplaySchema.LAST) ? 1 : Long.BYTES;
      } else {
        int width = schema.columns().get(column).width();
        bytesPerRow = (long) width * Float.BYTES;
        if (field.typeType() == Type.FixedSizeList) {
          requireFull(where, batch.nodes(node++), rows * width);
          buffer++;
        }
      }
      Buffer data = batch.buffers(buffer++);
      long offset = data.offset();
      if (offset < 0
          || offset % 8 != 0
          || data.length() < rows * bytesPerRow
          || offset > block.bodyLength() - data.length()) {
        throw corrupt(
            String.format(
                "%s: buffer at %d of %d bytes does not hold %d rows of %d bytes in a body of %d",
                where, offset, data.length(), rows, bytesPerRow, block.bodyLength()),
            null);
      }
      if (fixed >= 0) {
        fixedOffsets[fixed] = (int) offset;
      } else {
        columnOffsets[column++] = (int) offset;
      }
    }
  }

  private void requireFull(String where, FieldNode node, long length) {
    if (node.length() != length) {
      throw corrupt(where + " has " + node.length() + " values: expected " + length, null);
    }
    if (node.nullCount() != 0) {
      throw new ReplayException(
          file + ", " + where + " has " + node.nullCount() + " nulls: fill or drop these rows");
    }
  }

  private void requireWithin(String what, long count, long limit) {
    if (count < 0 || count > limit) {
      throw corrupt("it claims " + count + " " + what + ", more than " + limit, null);
    }
  }

  private void requireChecksum(String what, String expected, long found) {
    if (!ArrowFormat.hex(found).equals(expected)) {
      throw corrupt(
          "the CRC32C of its "
              + what
              + " is "
              + ArrowFormat.hex(found)
              + ", recorded was "
              + expected,
          null);
    }
  }

  private void checkVersion(short version) {
    if (version != MetadataVersion.V4 && version != MetadataVersion.V5) {
      throw unsupported("Arrow metadata version " + (version + 1), "write version 4 or 5");
    }
  }

  private byte[] readBytes(long offset, long length) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(Math.toIntExact(length));
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, offset + buffer.position()) < 0) {
        throw corrupt("it ends at byte " + (offset + buffer.position()), null);
      }
    }
    return buffer.array();
  }

  private static ByteBuffer littleEndian(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private ReplayException corrupt(String problem, RuntimeException cause) {
    return new ReplayException(
        file + " is damaged: " + problem + "; restore it from its source or remove it", cause);
  }

  private ReplayException unsupported(String what, String remedy) {
    return new ReplayException(file + " has " + what + ", which replay cannot map: " + remedy);
  }
}
