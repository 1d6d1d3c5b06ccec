package org.unifiedrl.export;

import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;

/** A message of the protocol buffers, field by field in the order of the calls. */
final class Message {

  /** What writes a field. */
  private interface Field {
    void write(CodedOutputStream out) throws IOException;
  }

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final CodedOutputStream out = CodedOutputStream.newInstance(bytes);

  Message number(int field, long value) {
    return add(o -> o.writeInt64(field, value));
  }

  Message text(int field, String value) {
    return add(o -> o.writeString(field, value));
  }

  Message bytes(int field, byte[] value) {
    return add(o -> o.writeByteArray(field, value));
  }

  Message message(int field, Message value) {
    return bytes(field, value.toBytes());
  }

  private Message add(Field field) {
    try {
      field.write(out);
    } catch (IOException e) {
      throw new UncheckedIOException("memory takes every byte", e);
    }
    return this;
  }

  byte[] toBytes() {
    add(CodedOutputStream::flush);
    return bytes.toByteArray();
  }
}
