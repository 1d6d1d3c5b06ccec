package org.unifiedrl.export;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * An ONNX model under construction: inputs, constants and nodes in the order of their calls, then
 * outputs. It is written as the protocol buffers of ONNX's {@code onnx.proto}, whose field numbers
 * stand here: a dozen messages are written and none is read, so that classes generated from that
 * file (and the compiler that makes them) would be more code, not less.
 *
 * <p>Operator set {@value #OPSET} and IR version {@value #IR_VERSION} are those of ONNX 1.12
 * (2022): every runtime since then takes them, and the graphs need nothing newer.
 */
final class OnnxGraph {

  /** Version of the operators. */
  static final int OPSET = 17;

  /** Version of the file format. */
  static final int IR_VERSION = 8;

  private static final String PRODUCER = "unifiedrl";

  /** Element types, with their numbers in {@code TensorProto.DataType}. */
  enum Element {
    FLOAT(1),
    INT64(7);

    private final int number;

    Element(int number) {
      this.number = number;
    }
  }

  /** A tensor of the graph, by name. */
  record Value(String name) {}

  /**
   * An input or output.
   *
   * @param extents numbers, or names of extents that callers choose
   */
  record Signature(String name, Element element, List<String> extents) {}

  /** A node's attribute: a whole number, or a list of them. */
  record Attribute(String name, long... values) {}

  private final String name;
  private final String description;
  private final List<Message> nodes = new ArrayList<>();
  private final List<Message> constants = new ArrayList<>();
  private final List<Signature> inputs = new ArrayList<>();
  private final List<Signature> outputs = new ArrayList<>();
  private final Set<String> names = new HashSet<>();

  /**
   * An empty graph.
   *
   * @param name of the graph, in messages too
   * @param description what it computes, for whoever opens the file
   */
  OnnxGraph(String name, String description) {
    this.name = name;
    this.description = description;
  }

  String name() {
    return name;
  }

  List<Signature> inputs() {
    return List.copyOf(inputs);
  }

  List<Signature> outputs() {
    return List.copyOf(outputs);
  }

  /** Adds an input. */
  Value input(String input, Element element, String... extents) {
    inputs.add(new Signature(input, element, List.of(extents)));
    return named(input);
  }

  /**
   * Adds a float32 constant.
   *
   * @throws IllegalArgumentException if the values are not as many as the shape says
   */
  Value constant(String constant, float[] values, long... shape) {
    byte[] data = new byte[values.length * Float.BYTES];
    littleEndian(data).asFloatBuffer().put(values);
    return constant(constant, Element.FLOAT, data, values.length, shape);
  }

  /** Adds a one-dimensional int64 constant. */
  Value integers(String constant, long... values) {
    byte[] data = new byte[values.length * Long.BYTES];
    littleEndian(data).asLongBuffer().put(values);
    return constant(constant, Element.INT64, data, values.length, values.length);
  }

  private Value constant(String constant, Element element, byte[] data, int values, long... shape) {
    if (Arrays.stream(shape).reduce(1, Math::multiplyExact) != values) {
      throw new IllegalArgumentException(
          "%s: constant '%s' has %d values: expected those of shape %s"
              .formatted(name, constant, values, Arrays.toString(shape)));
    }
    Message tensor = new Message();
    for (long extent : shape) {
      tensor.number(1, extent);
    }
    constants.add(tensor.number(2, element.number).text(8, constant).bytes(9, data));
    return named(constant);
  }

  private static ByteBuffer littleEndian(byte[] data) {
    return ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Adds a node with one output and no attributes. */
  Value node(String operator, String output, Value... arguments) {
    return node(operator, output, List.of(), arguments);
  }

  /** Adds a node with one output. */
  Value node(String operator, String output, List<Attribute> attributes, Value... arguments) {
    return nodes(operator, List.of(output), attributes, arguments).get(0);
  }

  /** Adds a node with several outputs. */
  List<Value> nodes(
      String operator, List<String> results, List<Attribute> attributes, Value... arguments) {
    Message node = new Message();
    for (Value argument : arguments) {
      if (!names.contains(argument.name())) {
        throw new IllegalArgumentException(
            "%s: node '%s' takes '%s', which is not there yet"
                .formatted(name, results.get(0), argument.name()));
      }
      node.text(1, argument.name());
    }
    results.forEach(result -> node.text(2, result));
    node.text(3, results.get(0)).text(4, operator);
    attributes.forEach(attribute -> node.message(5, message(attribute)));
    nodes.add(node);
    return results.stream().map(this::named).toList();
  }

  private static Message message(Attribute attribute) {
    Message message = new Message().text(1, attribute.name());
    if (attribute.values().length == 1) {
      return message.number(3, attribute.values()[0]).number(20, 2); // AttributeType INT
    }
    for (long value : attribute.values()) {
      message.number(8, value);
    }
    return message.number(20, 7); // AttributeType INTS
  }

  private Value named(String value) {
    if (!names.add(value)) {
      throw new IllegalArgumentException(name + ": two values are named '" + value + "'");
    }
    return new Value(value);
  }

  /** Makes a value an output under its own name. */
  void output(Value value, Element element, String... extents) {
    outputs.add(new Signature(value.name(), element, List.of(extents)));
  }

  /**
   * The model as a file's content.
   *
   * @param metadata free text for whoever opens it
   */
  byte[] toBytes(Map<String, String> metadata) {
    Message graph = new Message();
    nodes.forEach(node -> graph.message(1, node));
    graph.text(2, name);
    constants.forEach(constant -> graph.message(5, constant));
    graph.text(10, description);
    inputs.forEach(input -> graph.message(11, message(input)));
    outputs.forEach(output -> graph.message(12, message(output)));
    Message model =
        new Message()
            .number(1, IR_VERSION)
            .text(2, PRODUCER)
            .text(6, description)
            .message(7, graph)
            .message(8, new Message().text(1, "").number(2, OPSET)); // "" are ONNX's own operators
    new TreeMap<>(metadata)
        .forEach((key, value) -> model.message(14, new Message().text(1, key).text(2, value)));
    return model.toBytes();
  }

  /** ValueInfoProto: a name and a tensor's type. */
  private static Message message(Signature signature) {
    Message shape = new Message();
    for (String extent : signature.extents()) {
      boolean fixed = extent.chars().allMatch(Character::isDigit);
      shape.message(
          1,
          fixed ? new Message().number(1, Long.parseLong(extent)) : new Message().text(2, extent));
    }
    Message tensor = new Message().number(1, signature.element().number).message(2, shape);
    return new Message().text(1, signature.name()).message(2, new Message().message(1, tensor));
  }
}
