package org.unifiedrl.report;

import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * A TensorBoard event file: TFRecords, each an {@code Event} of TensorFlow's {@code event.proto}. A
 * record is its length (8 bytes, little-endian), the masked CRC32C of these, the data, and the
 * masked CRC32C of the data. Only the messages that scalars need are written, field by field: the
 * classes of all of TensorFlow's messages would be many times this program's size.
 */
final class EventFile implements AutoCloseable {

  // Field numbers of event.proto and summary.proto.
  private static final int EVENT_WALL_TIME = 1;
  private static final int EVENT_STEP = 2;
  private static final int EVENT_FILE_VERSION = 3;
  private static final int EVENT_SUMMARY = 5;
  private static final int EVENT_SESSION_LOG = 7;
  private static final int SUMMARY_VALUE = 1;
  private static final int VALUE_TAG = 1;
  private static final int VALUE_SIMPLE = 2;
  private static final int SESSION_STATUS = 1;
  private static final int SESSION_START = 1;

  private static final int MASK = 0xa282ead8;

  private final FileChannel channel;

  /** A message's fields. */
  private interface Fields {
    void write(CodedOutputStream out) throws IOException;
  }

  /** Creates the file, which must not exist, and writes its version. */
  EventFile(Path file) throws IOException {
    channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    event(0, out -> out.writeString(EVENT_FILE_VERSION, "brain.Event:2"));
  }

  /** Readers drop what earlier files of the folder say of this step and later ones. */
  void restart(long step) throws IOException {
    byte[] start = message(out -> out.writeEnum(SESSION_STATUS, SESSION_START));
    event(step, out -> out.writeByteArray(EVENT_SESSION_LOG, start));
  }

  /** Writes scalars by their tags, in one event. */
  void scalars(long step, Map<String, Double> values) throws IOException {
    byte[] summary =
        message(
            out -> {
              for (Map.Entry<String, Double> value : values.entrySet()) {
                out.writeByteArray(
                    SUMMARY_VALUE,
                    message(
                        inner -> {
                          inner.writeString(VALUE_TAG, value.getKey());
                          inner.writeFloat(VALUE_SIMPLE, value.getValue().floatValue());
                        }));
              }
            });
    event(step, out -> out.writeByteArray(EVENT_SUMMARY, summary));
  }

  private void event(long step, Fields what) throws IOException {
    double now = System.currentTimeMillis() / 1000.0;
    record(
        message(
            out -> {
              out.writeDouble(EVENT_WALL_TIME, now);
              out.writeInt64(EVENT_STEP, step);
              what.write(out);
            }));
  }

  private static byte[] message(Fields fields) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    fields.write(out);
    out.flush();
    return bytes.toByteArray();
  }

  private void record(byte[] data) throws IOException {
    ByteBuffer record =
        ByteBuffer.allocate(Long.BYTES + Integer.BYTES + data.length + Integer.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    record.putLong(data.length);
    record.putInt(maskedCrc(record.array(), Long.BYTES));
    record.put(data);
    record.putInt(maskedCrc(data, data.length));
    record.flip();
    while (record.hasRemaining()) {
      channel.write(record);
    }
  }

  private static int maskedCrc(byte[] bytes, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, length);
    return Integer.rotateRight((int) crc.getValue(), 15) + MASK;
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
