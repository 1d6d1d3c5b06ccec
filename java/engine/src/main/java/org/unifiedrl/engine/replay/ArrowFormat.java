package org.unifiedrl.engine.replay;

import com.google.flatbuffers.FlatBufferBuilder;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.zip.CRC32C;
import org.apache.arrow.flatbuf.Endianness;
import org.apache.arrow.flatbuf.Field;
import org.apache.arrow.flatbuf.FixedSizeList;
import org.apache.arrow.flatbuf.FloatingPoint;
import org.apache.arrow.flatbuf.Int;
import org.apache.arrow.flatbuf.KeyValue;
import org.apache.arrow.flatbuf.Precision;
import org.apache.arrow.flatbuf.Schema;
import org.apache.arrow.flatbuf.Type;

/**
 * What writer and reader of a shard share: the layout of an Arrow IPC file (Arrow columnar format
 * 1.5, "IPC File Format") and this project's checksums in its footer.
 *
 * <pre>
 * "ARROW1\0\0" | schema message | record batches: message, body | end mark | footer | length | "ARROW1"
 * </pre>
 *
 * <p>The footer's own metadata (not the schema's, which other tools copy into files of other
 * content) holds CRC32C values in hexadecimal: one for everything before the first batch and one
 * per batch, message and body together; and one of the footer itself, computed while its own eight
 * digits are zeros. A file without either key is read unchecked.
 */
final class ArrowFormat {

  static final byte[] MAGIC = "ARROW1".getBytes(StandardCharsets.US_ASCII);

  /** Length of the magic at the start of a file, padded. */
  static final int HEADER_LENGTH = 8;

  /** Bytes after the footer: its length, then the magic. */
  static final int TRAILER_LENGTH = 4 + MAGIC.length;

  static final int CONTINUATION = 0xFFFFFFFF;

  /** Alignment of every buffer in the file, and so in mapped memory: a cache line. */
  static final int ALIGNMENT = 64;

  static final String BATCH_CHECKSUMS_KEY = "unifiedrl.crc32c.batches";
  static final String FOOTER_CHECKSUM_KEY = "unifiedrl.crc32c.footer";
  static final String FOOTER_CHECKSUM_PLACEHOLDER = "00000000";

  private ArrowFormat() {}

  static long align(long position) {
    return (position + ALIGNMENT - 1) & -ALIGNMENT;
  }

  static String hex(long crc) {
    return String.format("%08x", crc);
  }

  /** CRC32C of a footer whose own checksum digits are replaced by the placeholder. */
  static long footerChecksum(byte[] footer, int digitsAt) {
    byte[] copy = footer.clone();
    byte[] zeros = FOOTER_CHECKSUM_PLACEHOLDER.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(zeros, 0, copy, digitsAt, zeros.length);
    CRC32C crc = new CRC32C();
    crc.update(copy);
    return crc.getValue();
  }

  static int createSchema(FlatBufferBuilder builder, ReplaySchema schema) {
    int[] fields = new int[ReplaySchema.FIXED.size() + schema.columns().size()];
    int next = 0;
    for (String name : ReplaySchema.FIXED) {
      boolean flag = name.equals(ReplaySchema.LAST);
      int type = Int.createInt(builder, flag ? 8 : 64, !flag);
      fields[next++] = createField(builder, name, Type.Int, type);
    }
    for (ReplaySchema.Column column : schema.columns()) {
      int item =
          createField(
              builder,
              "item",
              Type.FloatingPoint,
              FloatingPoint.createFloatingPoint(builder, Precision.SINGLE));
      int type = FixedSizeList.createFixedSizeList(builder, column.width());
      fields[next++] = createField(builder, column.name(), Type.FixedSizeList, type, item);
    }
    int fieldVector = Schema.createFieldsVector(builder, fields);
    int[] pairs = createKeyValues(builder, schema.metadata());
    int metadata = Schema.createCustomMetadataVector(builder, pairs);
    return Schema.createSchema(builder, Endianness.Little, fieldVector, metadata, 0);
  }

  private static int createField(
      FlatBufferBuilder builder, String name, byte typeType, int type, int... children) {
    int nameOffset = builder.createString(name);
    int childVector = Field.createChildrenVector(builder, children);
    return Field.createField(builder, nameOffset, false, typeType, type, 0, childVector, 0);
  }

  static int[] createKeyValues(FlatBufferBuilder builder, Map<String, String> map) {
    int[] pairs = new int[map.size()];
    int next = 0;
    for (Map.Entry<String, String> entry : map.entrySet()) {
      int key = builder.createString(entry.getKey());
      int value = builder.createString(entry.getValue());
      pairs[next++] = KeyValue.createKeyValue(builder, key, value);
    }
    return pairs;
  }

  static ByteBuffer littleEndian(int capacity) {
    return ByteBuffer.allocate(capacity).order(ByteOrder.LITTLE_ENDIAN);
  }
}
