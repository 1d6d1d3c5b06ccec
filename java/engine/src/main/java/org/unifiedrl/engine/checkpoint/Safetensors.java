package org.unifiedrl.engine.checkpoint;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The safetensors format: an unsigned 64-bit header length, a JSON header that gives each tensor's
 * type, shape and place, then the tensors' bytes without holes.
 *
 * <p>Files are readable by Python's {@code safetensors}, and its files by this class. A file is not
 * trusted: the header is bounded, sizes are multiplied with overflow checks, tensors may neither
 * overlap nor leave holes, and together they are the rest of the file to the byte.
 */
public final class Safetensors {

  /**
   * A file's content.
   *
   * @param tensors by name, in the order of their bytes
   * @param metadata free text
   */
  public record Contents(Map<String, Tensor> tensors, Map<String, String> metadata) {}

  /** Longest header that is read or written, in bytes. */
  public static final int MAX_HEADER = 16 << 20;

  private static final String METADATA = "__metadata__";

  /** The header is padded so that tensors start at a multiple of this in the file. */
  private static final int ALIGNMENT = 64;

  private static final int MAX_TRANSFER = 1 << 20;

  static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private record Entry(String name, Tensor.Type type, long[] shape, long begin, long end) {}

  private Safetensors() {}

  /**
   * Writes a file and forces it to the device. An existing file is overwritten; {@link
   * CheckpointStore} is for files that must be whole or absent after a crash.
   *
   * @throws CheckpointException if the file cannot be written; what was written of it stays
   */
  public static void write(Path file, Map<String, Tensor> tensors, Map<String, String> metadata) {
    List<Map.Entry<String, Tensor>> ordered = new ArrayList<>(tensors.entrySet());
    // Wide elements first, so that each tensor is aligned to its element size.
    ordered.sort(Comparator.comparingInt(e -> -e.getValue().type().bytes()));
    byte[] header = createHeader(ordered, metadata);
    try (FileChannel channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      writeFully(channel, longBuffer().putLong(header.length).flip());
      writeFully(channel, ByteBuffer.wrap(header));
      for (Map.Entry<String, Tensor> entry : ordered) {
        writeFully(channel, entry.getValue().data());
      }
      channel.force(true);
    } catch (IOException e) {
      throw new CheckpointException(
          "cannot write tensors to " + file + ": " + e + "; check the disk's space and rights", e);
    }
  }

  private static byte[] createHeader(
      List<Map.Entry<String, Tensor>> tensors, Map<String, String> metadata) {
    ObjectNode root = JSON.createObjectNode();
    if (!metadata.isEmpty()) {
      ObjectNode node = root.putObject(METADATA);
      new TreeMap<>(metadata).forEach(node::put);
    }
    long begin = 0;
    for (Map.Entry<String, Tensor> entry : tensors) {
      if (entry.getKey().equals(METADATA)) {
        throw new CheckpointException("a tensor cannot be named " + METADATA);
      }
      Tensor tensor = entry.getValue();
      ObjectNode node = root.putObject(entry.getKey());
      node.put("dtype", tensor.type().name());
      ArrayNode shape = node.putArray("shape");
      for (long extent : tensor.shape()) {
        shape.add(extent);
      }
      long end = begin + tensor.data().remaining();
      node.putArray("data_offsets").add(begin).add(end);
      begin = end;
    }
    byte[] json;
    try {
      json = JSON.writeValueAsBytes(root);
    } catch (JsonProcessingException e) {
      throw new CheckpointException("tensor names or metadata cannot be written as JSON", e);
    }
    int start = Long.BYTES + json.length;
    int padded = (start + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - Long.BYTES;
    if (padded > MAX_HEADER) {
      throw new CheckpointException(
          "the header of " + tensors.size() + " tensors is longer than " + MAX_HEADER + " bytes");
    }
    byte[] header = Arrays.copyOf(json, padded);
    Arrays.fill(header, json.length, padded, (byte) ' ');
    return header;
  }

  /**
   * Reads a whole file; each tensor gets a direct buffer of its own.
   *
   * @throws CheckpointException if the file cannot be read or is not sound
   */
  public static Contents read(Path file) {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long size = channel.size();
      if (size < Long.BYTES) {
        throw damaged(file, "it has only " + size + " bytes", null);
      }
      long headerLength = readFully(file, channel, longBuffer()).getLong();
      if (headerLength < 2 || headerLength > MAX_HEADER || headerLength > size - Long.BYTES) {
        throw damaged(
            file,
            "its header is said to have "
                + headerLength
                + " bytes: expected 2 to "
                + Math.min(MAX_HEADER, size - Long.BYTES),
            null);
      }
      byte[] header =
          readFully(file, channel, ByteBuffer.allocate(Math.toIntExact(headerLength))).array();
      Map<String, String> metadata = new LinkedHashMap<>();
      List<Entry> entries = parseHeader(file, header, size - Long.BYTES - headerLength, metadata);
      Map<String, Tensor> tensors = new LinkedHashMap<>();
      for (Entry entry : entries) {
        // At most the file's length in total: the entries were checked against it.
        ByteBuffer data = ByteBuffer.allocateDirect((int) (entry.end - entry.begin));
        tensors.put(
            entry.name, new Tensor(entry.type, entry.shape, readFully(file, channel, data)));
      }
      return new Contents(tensors, metadata);
    } catch (IOException e) {
      throw new CheckpointException("cannot read tensors from " + file + ": " + e, e);
    } catch (OutOfMemoryError e) {
      throw new CheckpointException(
          file + " does not fit into off-heap memory: raise -XX:MaxDirectMemorySize", e);
    }
  }

  private static List<Entry> parseHeader(
      Path file, byte[] header, long dataLength, Map<String, String> metadata) {
    JsonNode root;
    try {
      root = JSON.readTree(header);
    } catch (IOException e) {
      throw damaged(file, "its header is not JSON (" + firstLine(e) + ")", e);
    }
    if (header[0] != '{' || root == null || !root.isObject()) {
      throw damaged(file, "its header is not a JSON object", null);
    }
    List<Entry> entries = new ArrayList<>();
    for (Map.Entry<String, JsonNode> field : root.properties()) {
      if (field.getKey().equals(METADATA)) {
        for (Map.Entry<String, JsonNode> pair : field.getValue().properties()) {
          metadata.put(pair.getKey(), pair.getValue().asText());
        }
      } else {
        entries.add(parseEntry(file, field.getKey(), field.getValue()));
      }
    }
    entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    long next = 0;
    for (Entry entry : entries) {
      if (entry.begin != next) {
        throw damaged(
            file,
            "tensor '" + entry.name + "' starts at " + entry.begin + ": expected " + next,
            null);
      }
      next = entry.end;
    }
    if (next != dataLength) {
      throw damaged(file, "its tensors have " + next + " bytes: expected " + dataLength, null);
    }
    return entries;
  }

  private static Entry parseEntry(Path file, String name, JsonNode node) {
    String where = "tensor '" + name + "'";
    JsonNode offsets = node.path("data_offsets");
    JsonNode extents = node.path("shape");
    if (node.size() != 3
        || !node.path("dtype").isTextual()
        || !extents.isArray()
        || !offsets.isArray()
        || offsets.size() != 2) {
      throw damaged(file, where + " lacks dtype, shape and data_offsets", null);
    }
    Tensor.Type type;
    try {
      type = Tensor.Type.valueOf(node.path("dtype").textValue());
    } catch (IllegalArgumentException e) {
      throw damaged(file, where + " has the unknown type " + node.path("dtype"), e);
    }
    long[] shape = new long[extents.size()];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = size(file, where, extents.get(i));
    }
    long begin = size(file, where, offsets.get(0));
    long end = size(file, where, offsets.get(1));
    long length;
    try {
      length = Tensor.byteLength(type, shape);
    } catch (CheckpointException e) {
      throw damaged(file, where + ": " + e.getMessage(), e);
    }
    if (begin > end || end - begin != length) {
      throw damaged(
          file, where + " at " + begin + " to " + end + " should have " + length + " bytes", null);
    }
    if (length > Integer.MAX_VALUE) {
      throw new CheckpointException(
          file + ", " + where + " is larger than 2 GiB: split it into several tensors");
    }
    return new Entry(name, type, shape, begin, end);
  }

  private static long size(Path file, String where, JsonNode node) {
    if (!node.isIntegralNumber() || !node.canConvertToLong() || node.longValue() < 0) {
      throw damaged(file, where + " has a shape or offset " + node, null);
    }
    return node.longValue();
  }

  static CheckpointException damaged(Path file, String problem, Exception cause) {
    return new CheckpointException(
        file + " is damaged or not what it should be: " + problem + "; use another checkpoint",
        cause);
  }

  static String firstLine(Exception e) {
    return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
  }

  private static ByteBuffer longBuffer() {
    return ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    int end = bytes.limit();
    while (bytes.position() < end) {
      // The JDK copies a heap buffer through a direct one as large as the write, and keeps that.
      bytes.limit(Math.min(end, bytes.position() + MAX_TRANSFER));
      if (channel.write(bytes) <= 0) {
        throw new IOException("the file system accepted no more bytes");
      }
    }
  }

  private static ByteBuffer readFully(Path file, FileChannel channel, ByteBuffer target)
      throws IOException {
    while (target.hasRemaining()) {
      if (channel.read(target) < 0) {
        throw damaged(file, "it ends early", null);
      }
    }
    return target.flip();
  }
}
