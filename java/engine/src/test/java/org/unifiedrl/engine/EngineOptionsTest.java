package org.unifiedrl.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;

class EngineOptionsTest {

  @Test
  void refusesWhatIsOutOfRangeAndSaysWhatIsNot() {
    EngineOptions d = EngineOptions.DEFAULT;
    assertThatThrownBy(() -> d.withDevice(-1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("device is -1; 0 (the first) or more is needed");
    assertThatThrownBy(() -> d.withPrecision(null))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("FP32, TF32 or BF16");
    assertThatThrownBy(() -> d.withReplay(null))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("AUTO, RESIDENT or STREAMED");
    assertThatThrownBy(() -> d.withThreads(-1)).hasMessageContaining("threads is -1");
    assertThatThrownBy(() -> d.withBackend(" ")).hasMessageContaining("auto, cuda, cpu");
  }

  @Test
  void everyChangeLeavesTheRest() {
    EngineOptions all =
        EngineOptions.DEFAULT
            .withBackend("cuda")
            .withThreads(3)
            .withMaterialise(true)
            .withDevice(2)
            .withPrecision(Precision.BF16)
            .withReplay(ReplayPlacement.STREAMED)
            .withSeed(7);
    assertThat(all)
        .isEqualTo(
            new EngineOptions(
                "cuda", 3, 0, true, 0, 2, Precision.BF16, ReplayPlacement.STREAMED, 7));
    assertThat(all.withSeed(1).withDevice(0).withThreads(0).withMaterialise(false))
        .isEqualTo(
            EngineOptions.DEFAULT
                .withReplay(ReplayPlacement.STREAMED)
                .withPrecision(Precision.BF16)
                .withBackend("cuda"));
  }

  /** The order of the struct's members in unifiedrl.h. */
  @Test
  void theStructIsThatOfTheHeader() {
    ByteBuffer struct =
        new EngineOptions(
                "cpu", 3, 32, true, 2, 5, Precision.TF32, ReplayPlacement.STREAMED, 1L << 40)
            .toStruct();
    int[] members = new int[8];
    struct.asIntBuffer().get(members);
    assertThat(members).containsExactly(3, 32, 1, 2, 5, 1, 2, 40);
    assertThat(struct.getLong(32)).isEqualTo(1L << 40);
    assertThat(struct.remaining()).isEqualTo(40);
  }

  /** If a member lay elsewhere than the library thinks, it would complain of another one. */
  @Test
  void theEngineReadsThemAsTheyWereMeant() {
    Program program = new Program();
    TensorRef one = program.constant("one", 1, 1, 1);
    program.add("two", one, one);
    EngineOptions cpu = EngineOptions.DEFAULT.withBackend("cpu").withThreads(1);
    Engine.create(program, null, cpu.withReplay(ReplayPlacement.RESIDENT)).close();
    assertThatThrownBy(() -> Engine.create(program, null, cpu.withPrecision(Precision.BF16)))
        .isInstanceOf(EngineException.class)
        .hasMessageContaining("UNAVAILABLE")
        .hasMessageContaining("bf16")
        .hasMessageContaining("'cpu' has only fp32");
    assertThatThrownBy(() -> Engine.create(program, null, cpu.withPrecision(Precision.TF32)))
        .hasMessageContaining("tf32");
    assertThatThrownBy(() -> Engine.create(program, null, cpu.withDevice(3)))
        .isInstanceOf(EngineException.class)
        .hasMessageContaining("UNAVAILABLE")
        .hasMessageContaining("device is 3");
  }
}
