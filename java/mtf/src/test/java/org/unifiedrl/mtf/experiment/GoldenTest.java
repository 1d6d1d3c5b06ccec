package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.NativeReplay;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.ReplayPlacement;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.checkpoint.Safetensors;
import org.unifiedrl.engine.checkpoint.Tensor;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.algorithm.Algorithm;
import org.unifiedrl.mtf.algorithm.Transitions;

/**
 * Whole steps of every algorithm against the float64 PyTorch implementations of {@code
 * bench/peers/golden.py}: the very program that trains, draws and gathers included. The rows that
 * each step will draw are known beforehand, since draws depend on seed, step and number of rows
 * only; the golden batch is written there before the step.
 */
class GoldenTest {

  private static final int ROWS = 50_000;
  private static final int STEPS = 100;
  private static final String TENSOR = "step1.tensor.";

  static Stream<Path> cases() throws IOException {
    Path folder =
        Path.of(System.getProperty("unifiedrl.root"), "java/mtf/src/test/resources/golden");
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(f -> f.toString().endsWith(".safetensors")).sorted().toList().stream();
    }
  }

  @Test
  void everyAlgorithmHasFiles() throws IOException {
    Set<String> found =
        cases().map(f -> f.getFileName().toString().split("-", 2)[0]).collect(Collectors.toSet());
    assertThat(found)
        .containsExactlyInAnyOrderElementsOf(
            Arrays.stream(ExperimentConfig.AlgorithmKind.values())
                .map(kind -> kind.name().toLowerCase(Locale.ROOT))
                .toList());
  }

  /** In double, only the order of sums differs: 1e-9 relative leaves 6 digits for 100 steps. */
  @ParameterizedTest
  @MethodSource("cases")
  void referenceFollowsInDouble(Path file) {
    try (Run run = new Run(file, "reference")) {
      for (int step = 1; step <= STEPS; step++) {
        run.step(step);
        if (step == 1) {
          run.compareFirstStep(1e-9);
        }
        if (step == 10) {
          run.compareSection("after10.first_moment.", Section.MOMENT1, 1e-9);
          run.compareSection("after10.second_moment.", Section.MOMENT2, 1e-9);
        }
        if (step == 1 || step == 10 || step == 100) {
          run.compareSection("after" + step + ".", Section.PARAMETERS, 1e-9);
        }
      }
    }
  }

  /**
   * In float32, terms of the first step are sums of fewer than 50 products of values below 10, so
   * 2e-5 relative to the largest element holds them. Adam divides a gradient by its own size, so an
   * element whose gradient is rounding noise moves by up to its learning rate either way: what
   * counts is that the whole movement since the start agrees, to 0.5 % in norm after one step and 2
   * % after 100.
   */
  @ParameterizedTest
  @MethodSource("cases")
  void cpuFollowsInFloat(Path file) {
    followsInFloat(file, "cpu");
  }

  /** The same on the CUDA back end, on the emulated device unless another library is named. */
  @ParameterizedTest
  @MethodSource("cases")
  void cudaFollowsInFloat(Path file) {
    Path library = Path.of(System.getProperty("unifiedrl.cuda.library"));
    assumeTrue(Files.exists(library), () -> library + " is not there: verify the engine first");
    followsInFloat(file, "cuda");
  }

  private static void followsInFloat(Path file, String backend) {
    try (Run run = new Run(file, backend)) {
      for (int step = 1; step <= STEPS; step++) {
        run.step(step);
        if (step == 1) {
          run.compareFirstStep(2e-5);
        }
        if (step == 1 || step == 10 || step == 100) {
          run.compareMovement("after" + step + ".", step == 100 ? 2e-2 : 5e-3);
        }
      }
    }
  }

  /** One golden file on one back end. */
  private static final class Run implements AutoCloseable {
    private final Map<String, Tensor> golden;
    private final int batch;
    private final int batches;
    private final Algorithm algorithm;
    private final List<ReplaySchema.Column> layout = new ArrayList<>();
    private final ByteBuffer[] columns;
    private final ByteBuffer last = ByteBuffer.allocateDirect(ROWS);
    private final NativeReplay replay;
    private final Engine engine;
    private final int[][] draws;

    Run(Path file, String backend) {
      Safetensors.Contents contents = Safetensors.read(file);
      Map<String, String> metadata = contents.metadata();
      golden = contents.tensors();
      batches = Integer.parseInt(metadata.get("batches"));
      for (JsonNode column : Settings.json(metadata.get("columns"))) {
        layout.add(new ReplaySchema.Column(column.get(0).asText(), column.get(1).asInt()));
      }
      ExperimentConfig config = Settings.ofJson(metadata.get("config"));
      batch = config.training().batch();
      Transitions transitions = new Transitions(new ReplaySchema(layout, Map.of()));
      algorithm = Algorithms.of(config).create().apply(transitions);
      int[] widths = layout.stream().mapToInt(ReplaySchema.Column::width).toArray();
      columns = new ByteBuffer[widths.length];
      for (int c = 0; c < widths.length; c++) {
        columns[c] = direct(widths[c]);
      }
      last.put(ROWS - 1, (byte) 1);
      long seed = Long.parseLong(metadata.get("seed"));
      draws = draws(seed, batch);
      requireDisjoint(draws);
      replay = NativeReplay.ofMemory(widths, List.of(columns), last);
      engine =
          Engine.create(
              algorithm.program(),
              replay,
              EngineOptions.DEFAULT
                  .withBackend(backend)
                  .withThreads(1)
                  .withMaterialise(true)
                  .withReplay(ReplayPlacement.STREAMED) // rows change between steps
                  .withSeed(seed));
      algorithm.initialise(engine, 1, new float[transitions.actions()]);
      engine.writeTensor(algorithm.batch().stateShift(), floats("state_mean"));
      engine.writeTensor(algorithm.batch().stateScale(), floats("state_inv_std"));
      engine.writeTensor(algorithm.batch().rewardScale(), floats("reward_scale"));
      for (NetworkRef network : algorithm.networks()) {
        engine.writeNetwork64(network, Section.PARAMETERS, network("init.", network));
      }
      JsonNode hypers = Settings.json(metadata.get("hypers"));
      for (HyperRef slot : algorithm.program().hypers()) {
        if (hypers.has(slot.name())) {
          engine.setHyper(slot, hypers.get(slot.name()).asDouble());
        }
      }
    }

    /** Rows that each step draws: a program that reads its own row numbers tells. */
    private static int[][] draws(long seed, int batch) {
      ByteBuffer numbers = direct(1);
      ByteBuffer ends = ByteBuffer.allocateDirect(ROWS);
      for (int r = 0; r < ROWS; r++) {
        numbers.putFloat(r * Float.BYTES, r); // exact: below 2^24
      }
      ends.put(ROWS - 1, (byte) 1);
      Program program = new Program();
      TensorRef rows = program.sample("rows", batch, 0);
      TensorRef number = program.gather("number", rows, 0, 1, false, null, null);
      int[][] draws = new int[STEPS][batch];
      EngineOptions options =
          EngineOptions.DEFAULT.withBackend("reference").withMaterialise(true).withSeed(seed);
      try (NativeReplay replay = NativeReplay.ofMemory(new int[] {1}, List.of(numbers), ends);
          Engine engine = Engine.create(program, replay, options)) {
        for (int[] draw : draws) {
          engine.run(1);
          double[] values = engine.readTensor(number);
          for (int b = 0; b < batch; b++) {
            draw[b] = (int) values[b];
          }
        }
      }
      return draws;
    }

    /** No two samples of a step share a row or a following row: the file's seed was chosen so. */
    private static void requireDisjoint(int[][] draws) {
      for (int[] draw : draws) {
        Set<Integer> used = new HashSet<>();
        for (int row : draw) {
          assertThat(row + 1 < ROWS && used.add(row) && used.add(row + 1)).isTrue();
        }
      }
    }

    void step(int step) {
      String prefix = "batch" + (step - 1) % batches + ".";
      float[] done = floats(prefix + "done");
      for (int b = 0; b < batch; b++) {
        int row = draws[step - 1][b];
        for (int c = 0; c < columns.length; c++) {
          String name = layout.get(c).name();
          put(columns[c], row, floats(prefix + name), b);
          if (golden.containsKey(prefix + "next_" + name)) {
            put(columns[c], row + 1, floats(prefix + "next_" + name), b);
          }
        }
        last.put(row, (byte) done[b]);
      }
      engine.run(1);
    }

    private void put(ByteBuffer column, int row, float[] values, int b) {
      int width = values.length / batch;
      for (int i = 0; i < width; i++) {
        column.putFloat((row * width + i) * Float.BYTES, values[b * width + i]);
      }
    }

    void compareFirstStep(double tolerance) {
      for (String key : golden.keySet()) {
        if (key.startsWith(TENSOR)) {
          TensorRef tensor = algorithm.program().tensor(key.substring(TENSOR.length()));
          close(key, engine.readTensor(tensor), doubles(key), tolerance);
        }
      }
      compareSection("step1.gradient.", Section.GRADIENTS, tolerance);
    }

    /** Compares a section of all networks that the file has it of. */
    void compareSection(String prefix, Section section, double tolerance) {
      int compared = 0;
      for (NetworkRef network : algorithm.networks()) {
        if (golden.containsKey(prefix + network.name() + ".layer0.weight")) {
          close(
              prefix + network.name(),
              engine.readNetwork64(network, section),
              network(prefix, network),
              tolerance);
          compared++;
        }
      }
      boolean all = section == Section.PARAMETERS;
      assertThat(compared)
          .as(prefix)
          .isEqualTo((all ? algorithm.networks() : algorithm.trained()).size());
    }

    void compareMovement(String prefix, double tolerance) {
      for (NetworkRef network : algorithm.networks()) {
        double[] found = engine.readNetwork64(network, Section.PARAMETERS);
        double[] expected = network(prefix, network);
        double[] start = network("init.", network);
        double error = 0;
        double movement = 0;
        for (int i = 0; i < found.length; i++) {
          error += Math.pow(found[i] - expected[i], 2);
          movement += Math.pow(expected[i] - start[i], 2);
        }
        // A target network that has not moved yet must not move.
        assertThat(Math.sqrt(error))
            .as(prefix + network.name())
            .isLessThanOrEqualTo(tolerance * Math.sqrt(movement));
      }
    }

    private double[] network(String prefix, NetworkRef network) {
      double[] flat = new double[Math.toIntExact(network.size())];
      int at = 0;
      for (int l = 0; l + 1 < network.sizes().size(); l++) {
        for (String kind : List.of(".weight", ".bias")) {
          double[] part = doubles(prefix + network.name() + ".layer" + l + kind);
          System.arraycopy(part, 0, flat, at, part.length);
          at += part.length;
        }
      }
      assertThat(at).isEqualTo(flat.length);
      return flat;
    }

    private double[] doubles(String name) {
      assertThat(golden).containsKey(name);
      return golden.get(name).toDoubles();
    }

    private float[] floats(String name) {
      double[] values = doubles(name);
      float[] result = new float[values.length];
      for (int i = 0; i < values.length; i++) {
        result[i] = (float) values[i];
      }
      return result;
    }

    private static ByteBuffer direct(int width) {
      return ByteBuffer.allocateDirect(ROWS * width * Float.BYTES).order(ByteOrder.nativeOrder());
    }

    /** Every element within {@code tolerance} of the largest expected one. */
    private static void close(String what, double[] found, double[] expected, double tolerance) {
      assertThat(found).as(what).hasSameSizeAs(expected);
      double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
      for (int i = 0; i < found.length; i++) {
        assertThat(Math.abs(found[i] - expected[i]))
            .as("%s[%d]: %s, expected %s", what, i, found[i], expected[i])
            .isLessThanOrEqualTo(tolerance * largest);
      }
    }

    @Override
    public void close() {
      engine.close();
      replay.close();
    }
  }
}
