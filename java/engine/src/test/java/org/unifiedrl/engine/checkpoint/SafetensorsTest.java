package org.unifiedrl.engine.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.unifiedrl.engine.PythonScript;

class SafetensorsTest {

  private static final List<Tensor.Type> TYPES = List.of(Tensor.Type.values());

  @TempDir Path folder;

  private static Map<String, Tensor> sample() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("bytes", Tensor.of(ByteBuffer.wrap(new byte[] {1, 2, 3})));
    tensors.put("actor.0.weight", Tensor.of(new float[] {1, -2.5f, 3, 4, 5, 6}, 2, 3));
    tensors.put("steps", Tensor.of(new long[] {Long.MAX_VALUE, -1}, 2));
    tensors.put("scalar", Tensor.of(new double[] {Math.PI}));
    tensors.put("empty", Tensor.of(new float[0], 0, 7));
    return tensors;
  }

  @Test
  void givesBackWhatWasWritten() {
    Path file = folder.resolve("a.safetensors");
    Safetensors.write(file, sample(), Map.of("format", "test \"quoted\" ü"));
    Safetensors.Contents contents = Safetensors.read(file);
    assertThat(contents.tensors()).isEqualTo(sample());
    assertThat(contents.metadata()).containsExactly(Map.entry("format", "test \"quoted\" ü"));
    assertThat(contents.tensors().get("actor.0.weight").toFloats())
        .containsExactly(1, -2.5f, 3, 4, 5, 6);
    assertThat(contents.tensors().get("steps").toLongs()).containsExactly(Long.MAX_VALUE, -1);
    assertThat(contents.tensors().get("scalar").toDoubles()).containsExactly(Math.PI);
  }

  @Property(tries = 100)
  void anyTensorsComeBack(
      @ForAll @Size(max = 8) List<@IntRange(max = 40) Integer> lengths, @ForAll long seed)
      throws IOException {
    SplittableRandom random = new SplittableRandom(seed);
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (int i = 0; i < lengths.size(); i++) {
      Tensor.Type type = TYPES.get(random.nextInt(TYPES.size()));
      byte[] bytes = new byte[lengths.get(i) * 3 * type.bytes()];
      random.nextBytes(bytes);
      ByteBuffer data = ByteBuffer.allocateDirect(bytes.length).put(bytes).flip();
      tensors.put("t/" + i, new Tensor(type, new long[] {lengths.get(i), 3}, data));
    }
    Path file = Files.createTempFile("property", ".safetensors");
    try {
      Safetensors.write(file, tensors, Map.of());
      assertThat(Safetensors.read(file).tensors()).isEqualTo(tensors);
    } finally {
      Files.delete(file);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}} | should have 8 bytes",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}} | starts at 4: expected 0",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} | have 4 bytes: expected 8",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
            + "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}} | starts at 4",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}} | have 12 bytes",
        "{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}} | unknown type",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}} | shape or offset -2",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,8]}} | shape or offset 2.5",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}"
            + " | overflows",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}} | should have 8",
        "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}} | lacks dtype",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
            + "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} | Duplicate field",
        "[1,2] | not a JSON object",
        "{\"a\": | not JSON",
      })
  void unsoundHeadersAreRefused(String header, String message) throws IOException {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes = ByteBuffer.allocate(8 + json.length + 8).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(json.length).put(json);
    Path file = folder.resolve("bad.safetensors");
    Files.write(file, bytes.array());
    assertThatThrownBy(() -> Safetensors.read(file))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("bad.safetensors")
        .hasMessageContaining(message);
  }

  @Test
  void damageIsRefusedOrReadNeverAnotherException() throws IOException {
    Path file = folder.resolve("a.safetensors");
    Safetensors.write(file, sample(), Map.of());
    byte[] good = Files.readAllBytes(file);
    SplittableRandom random = new SplittableRandom(3);
    int refused = 0;
    for (int trial = 0; trial < 3000; trial++) {
      byte[] bad = Arrays.copyOf(good, good.length - (trial % 3 == 0 ? random.nextInt(200) : 0));
      bad[random.nextInt(trial % 2 == 0 ? 8 : bad.length)] = (byte) random.nextInt(256);
      overwrite(file, bad);
      try {
        assertThat(Safetensors.read(file).tensors()).isNotNull();
      } catch (CheckpointException e) {
        assertThat(e).hasMessageContaining("a.safetensors");
        refused++;
      }
    }
    assertThat(refused).isGreaterThan(1500);
  }

  /**
   * Overwrites in place: to truncate first makes some file systems flush, a hundred times slower.
   */
  private static void overwrite(Path file, byte[] bytes) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(bytes), 0);
      channel.truncate(bytes.length);
    }
  }

  @Test
  void shapeAndBytesMustAgree() {
    assertThatThrownBy(() -> Tensor.of(new float[5], 2, 3))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("shape [2, 3] has 24 bytes, found 20");
  }

  @Test
  void pythonReadsOurFilesAndWeReadItsFiles() throws InterruptedException {
    Path file = folder.resolve("a.safetensors");
    Path back = folder.resolve("b.safetensors");
    Safetensors.write(file, sample(), Map.of("format", "np"));
    PythonScript.run(
        "from safetensors.numpy import load_file, save_file",
        """
        tensors = load_file(sys.argv[1])
        assert tensors["actor.0.weight"].tolist() == [[1, -2.5, 3], [4, 5, 6]]
        assert tensors["steps"].tolist() == [2**63 - 1, -1]
        assert tensors["empty"].shape == (0, 7)
        save_file(tensors, sys.argv[2])
        """,
        file,
        back);
    assertThat(Safetensors.read(back).tensors()).isEqualTo(sample());
  }
}
