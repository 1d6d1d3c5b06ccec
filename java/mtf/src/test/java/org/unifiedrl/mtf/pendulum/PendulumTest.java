package org.unifiedrl.mtf.pendulum;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.algorithm.Transitions;

/** The pendulum beside its equations of motion, and files beside what NumPy's format says. */
class PendulumTest {

  @TempDir Path folder;

  @Test
  void itHangsStillAndFallsFromTheSide() {
    var down = new Pendulum(Math.PI, 0);
    assertThat(down.step(0)).isCloseTo(-Math.PI * Math.PI, within(1e-9));
    float[] state = new float[3];
    down.state(state, 0);
    assertThat(state[0]).isCloseTo(-1, within(1e-6f));
    assertThat(state[2]).isCloseTo(0, within(1e-6f));

    // From the side: 15 rad/s^2 by weight, 3 rad/s^2 for each N m, for 0.05 s.
    var side = new Pendulum(Math.PI / 2, 0.5);
    assertThat(side.step(-5)).isCloseTo(-(Math.PI * Math.PI / 4 + 0.025 + 0.004), within(1e-9));
    side.state(state, 0);
    assertThat(state[2]).isCloseTo(0.95f, within(1e-6f)); // torque was cut to 2
    assertThat(state[0]).isCloseTo((float) Math.cos(Math.PI / 2 + 0.0475), within(1e-6f));

    var fast = new Pendulum(3 * Math.PI, 7.9);
    assertThat(fast.step(2)).isCloseTo(-(Math.PI * Math.PI + 6.241 + 0.004), within(1e-9));
    fast.state(state, 0);
    assertThat(state[2]).isEqualTo(8);
  }

  @Test
  void scoresRunFromRandomActionsToATrainedPolicy() {
    assertThat(Pendulum.score(-1187.1)).isZero();
    assertThat(Pendulum.score(-151.7)).isCloseTo(100, within(1e-9));
  }

  @Test
  void transitionsComeFromTheFileWithTheirTrueNextStates() throws IOException {
    Path file = archive(false);
    assertThat(PendulumData.write(file, folder.resolve("shards"))).isEqualTo(3);
    try (Replay replay = Replay.open(folder.resolve("shards"))) {
      assertThat(replay.isLast(0)).isFalse();
      assertThat(replay.isLast(1)).isTrue();
      assertThat(column(replay, ReplaySchema.STATE, 1, 3)).containsExactly(3, 4, 5);
      assertThat(column(replay, Transitions.NEXT_STATE, 1, 3)).containsExactly(13, 14, 15);
      assertThat(column(replay, ReplaySchema.ACTION, 0, 1)).containsExactly(0.25f);
      assertThat(column(replay, "next_action", 0, 1)).containsExactly(-1);
      assertThat(column(replay, "next_action", 1, 1)).containsExactly(-1); // the episode ends
      assertThat(column(replay, ReplaySchema.REWARD, 2, 1)).containsExactly(-3);
      assertThat(column(replay, Transitions.DONE, 1, 1)).containsExactly(0); // only ran out of time
      assertThat(column(replay, Transitions.DONE, 2, 1)).containsExactly(1);
    }
  }

  @Test
  void otherFilesAreRefusedByTheirArrays() throws IOException {
    Path shards = folder.resolve("shards");
    Path doubles = archive(true);
    assertThatThrownBy(() -> PendulumData.write(doubles, shards))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("array 'rewards' has <f8: expected <f4 or |b1");
    Path text = Files.writeString(folder.resolve("text.npz"), "no archive");
    assertThatThrownBy(() -> PendulumData.write(text, shards))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("is no .npz file");
    Path empty = folder.resolve("empty.npz");
    try (var zip = new ZipOutputStream(Files.newOutputStream(empty))) {
      zip.putNextEntry(new ZipEntry("else.npy"));
    }
    assertThatThrownBy(() -> PendulumData.write(empty, shards))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("has no array 'observations'");
  }

  private static float[] column(Replay replay, String name, long row, int width) {
    float[] values = new float[width];
    replay.get(row, replay.schema().columnIndex(name), values, 0);
    return values;
  }

  /** Three transitions: two until time ran out, one that ended. */
  private Path archive(boolean doubleRewards) throws IOException {
    Path file = folder.resolve(doubleRewards ? "doubles.npz" : "floats.npz");
    try (var zip = new ZipOutputStream(Files.newOutputStream(file))) {
      put(zip, "observations", "<f4", "3, 3", floats(0, 1, 2, 3, 4, 5, 6, 7, 8));
      put(zip, "actions", "<f4", "3, 1", floats(0.5f, -2, 1));
      byte[] rewards = floats(-1, -2, -3);
      put(zip, "rewards", doubleRewards ? "<f8" : "<f4", "3,", rewards);
      put(zip, "next_observations", "<f4", "3, 3", floats(10, 11, 12, 13, 14, 15, 16, 17, 18));
      put(zip, "terminals", "|b1", "3,", new byte[] {0, 0, 1});
      put(zip, "timeouts", "|b1", "3,", new byte[] {0, 1, 0});
    }
    return file;
  }

  private static void put(ZipOutputStream zip, String name, String type, String shape, byte[] data)
      throws IOException {
    String header =
        "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n".formatted(type, shape);
    var bytes = new ByteArrayOutputStream();
    bytes.write(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
    bytes.write(header.length());
    bytes.write(0);
    bytes.write(header.getBytes(StandardCharsets.ISO_8859_1));
    bytes.write(data);
    zip.putNextEntry(new ZipEntry(name + ".npy"));
    zip.write(bytes.toByteArray());
  }

  private static byte[] floats(float... values) {
    ByteBuffer buffer =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    buffer.asFloatBuffer().put(values);
    return buffer.array();
  }
}
