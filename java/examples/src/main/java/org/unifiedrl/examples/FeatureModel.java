package org.unifiedrl.examples;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * An ONNX model of one layer, features = tanh(inputs W + b), written by hand: a model file is a
 * protocol buffer, and this much of one is a page. A real pipeline has its model from elsewhere.
 * Field numbers are those of onnx.proto.
 */
final class FeatureModel {

  private static final int FLOAT = 1;

  private FeatureModel() {}

  /**
   * The bytes of a model file.
   *
   * @param weight [inputs, features], row-major
   * @param bias one value a feature
   */
  static byte[] of(float[] weight, float[] bias) {
    int inputs = weight.length / bias.length;
    Message graph =
        new Message()
            .put(1, node("MatMul", "product", "inputs", "weight"))
            .put(1, node("Add", "sum", "product", "bias"))
            .put(1, node("Tanh", "features", "sum"))
            .put(2, "features")
            .put(5, tensor("weight", weight, inputs, bias.length))
            .put(5, tensor("bias", bias, bias.length))
            .put(11, value("inputs", inputs))
            .put(12, value("features", bias.length));
    int operatorSet = 13;
    return new Message()
        .put(1, 8) // ir_version
        .put(7, graph)
        .put(8, new Message().put(2, operatorSet))
        .bytes();
  }

  private static Message node(String operator, String output, String... inputs) {
    Message node = new Message();
    for (String input : inputs) {
      node.put(1, input);
    }
    return node.put(2, output).put(4, operator);
  }

  private static Message tensor(String name, float[] values, int... shape) {
    Message tensor = new Message();
    for (int size : shape) {
      tensor.put(1, size);
    }
    ByteBuffer raw =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    raw.asFloatBuffer().put(values);
    return tensor.put(2, FLOAT).put(8, name).put(9, raw.array());
  }

  /** A float matrix [batch, columns]. */
  private static Message value(String name, int columns) {
    Message shape =
        new Message().put(1, new Message().put(2, "batch")).put(1, new Message().put(1, columns));
    Message type = new Message().put(1, new Message().put(1, FLOAT).put(2, shape));
    return new Message().put(1, name).put(2, type);
  }

  /** Appends fields: varints and byte strings are all that is needed. */
  private static final class Message {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Message put(int field, long value) {
      varint((long) field << 3);
      varint(value);
      return this;
    }

    Message put(int field, byte[] value) {
      varint(((long) field << 3) | 2);
      varint(value.length);
      out.writeBytes(value);
      return this;
    }

    Message put(int field, String value) {
      return put(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Message put(int field, Message value) {
      return put(field, value.bytes());
    }

    byte[] bytes() {
      return out.toByteArray();
    }

    private void varint(long value) {
      long rest = value;
      while (rest > 127) {
        out.write((int) ((rest & 127) | 128));
        rest >>>= 7;
      }
      out.write((int) rest);
    }
  }
}
