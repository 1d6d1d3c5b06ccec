package org.unifiedrl.mtf.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
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

/**
 * Whole steps against the float64 PyTorch implementation of {@code bench/peers/golden.py}: the very
 * program that trains, draws and gathers included. The rows that each step will draw are known
 * beforehand, since draws depend on seed, step and number of rows only; the golden batch is written
 * there before the step.
 */
class UnifiedRlGoldenTest {

  private static final int ROWS = 50_000;
  private static final int STEPS = 100;

  static Stream<Path> cases() throws IOException {
    Path folder =
        Path.of(System.getProperty("unifiedrl.root"), "java/mtf/src/test/resources/golden");
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> found = files.filter(f -> f.toString().endsWith(".safetensors")).sorted().toList();
      assertThat(found).hasSizeGreaterThanOrEqualTo(7);
      return found.stream();
    }
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
    private final int groups;
    private final UnifiedRl algorithm;
    private final ByteBuffer[] columns;
    private final ByteBuffer last = ByteBuffer.allocateDirect(ROWS);
    private final NativeReplay replay;
    private final Engine engine;
    private final int[][] draws;

    Run(Path file, String backend) {
      Safetensors.Contents contents = Safetensors.read(file);
      golden = contents.tensors();
      batch = (int) hyper("batch");
      batches = (int) hyper("batches");
      groups = (int) hyper("groups");
      List<Integer> hidden =
          Arrays.stream(contents.metadata().get("hidden").split(",", -1))
              .map(Integer::valueOf)
              .toList();
      List<Double> weights = new ArrayList<>();
      for (double w : doubles("group_weights")) {
        weights.add(w);
      }
      UnifiedRlConfig config =
          new UnifiedRlConfig(
              batch,
              hidden,
              (int) hyper("members"),
              hyper("eta"),
              hyper("omega"),
              contents.metadata().get("box_form").equals("exact"),
              hyper("lambda"),
              hyper("beta"),
              hyper("theta"),
              hyper("gamma"),
              weights,
              hyper("target_rate"),
              (int) hyper("target_period"),
              hyper("actor_learning_rate"),
              hyper("critic_learning_rate"),
              0,
              false);
      ReplaySchema schema =
          ReplaySchema.standard((int) hyper("states"), (int) hyper("actions"), groups, Map.of());
      algorithm = new UnifiedRl(config, new Transitions(schema));
      int[] widths = schema.columns().stream().mapToInt(ReplaySchema.Column::width).toArray();
      columns = new ByteBuffer[widths.length];
      for (int c = 0; c < widths.length; c++) {
        columns[c] = direct(widths[c]);
      }
      last.put(ROWS - 1, (byte) 1);
      long seed = 1;
      int[][] found = draws(seed, batch);
      while (!disjoint(found)) {
        found = draws(++seed, batch);
      }
      draws = found;
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
      engine.writeTensor(algorithm.batch().stateShift(), floats("state_mean"));
      engine.writeTensor(algorithm.batch().stateScale(), floats("state_inv_std"));
      engine.writeTensor(algorithm.batch().rewardScale(), floats("reward_scale"));
      engine.writeTensor(algorithm.batch().groupWeights(), floats("group_weights"));
      for (NetworkRef network : algorithm.networks()) {
        engine.writeNetwork64(network, Section.PARAMETERS, network("init.", network));
      }
      Map<String, String> names =
          Map.of(
              "adam_beta1", "adam_beta1",
              "adam_beta2", "adam_beta2",
              "adam_epsilon", "adam_epsilon",
              "critic_clip", "critic_max_norm",
              "actor_clip", "actor_max_norm");
      for (HyperRef slot : algorithm.program().hypers()) {
        if (names.containsKey(slot.name())) {
          engine.setHyper(slot, hyper(names.get(slot.name())));
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

    /** Whether no two samples of a step share a row or a following row. */
    private static boolean disjoint(int[][] draws) {
      for (int[] draw : draws) {
        Set<Integer> used = new HashSet<>();
        for (int row : draw) {
          if (row + 1 >= ROWS || !used.add(row) || !used.add(row + 1)) {
            return false;
          }
        }
      }
      return true;
    }

    void step(int step) {
      String prefix = "batch" + (step - 1) % batches + ".";
      float[] done = floats(prefix + "done");
      List<String> names =
          List.of("state", "action", "action", "box_low", "box_high", "reward", "");
      for (int b = 0; b < batch; b++) {
        int row = draws[step - 1][b];
        for (int c = 0; c < names.size() - 1; c++) {
          put(columns[c], row, floats(prefix + names.get(c)), b);
        }
        for (int c : new int[] {0, 3, 4}) {
          put(columns[c], row + 1, floats(prefix + "next_" + names.get(c)), b);
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
      // phi and Q' of a row that ends its session do not matter, and are not the same here.
      double[] done = doubles("batch0.done");
      double[] phi = tensor("phi");
      double[] goldenPhi = doubles("step1.phi");
      double[] nextQ = tensor("next_q");
      double[] goldenNextQ = doubles("step1.target_q");
      for (int b = 0; b < batch; b++) {
        if (done[b] == 1) {
          phi[b] = goldenPhi[b];
          for (int e = 0; e < nextQ.length / batch; e++) {
            nextQ[e * batch + b] = goldenNextQ[e * batch + b];
          }
        }
      }
      close("phi", phi, goldenPhi, tolerance);
      close("next_q", nextQ, goldenNextQ, tolerance);
      close("y", tensor("y"), doubles("step1.y"), tolerance);
      close("q", tensor("q"), doubles("step1.q"), tolerance);
      close("critic loss", tensor("critic_loss"), doubles("step1.critic_loss"), tolerance);
      close("action", tensor("mu"), doubles("step1.actor_action"), tolerance);
      close("q at mu", tensor("q_mu"), doubles("step1.actor_q"), tolerance);
      double[] mean = transposed(tensor("objective.mean"));
      double[] deviation = transposed(tensor("objective.deviation"));
      double[] penalty = tensor("penalty");
      close("mean", mean, doubles("step1.actor_q_mean"), tolerance);
      close("deviation", deviation, doubles("step1.actor_q_deviation"), tolerance);
      // exp(8) of a clamped excess makes the largest; below it errors of x grow by exp'(x) =
      // exp(x).
      close("penalty", penalty, doubles("step1.box_penalty"), tolerance);
      double value = -weighted(mean);
      double spread = hyper("lambda") * weighted(deviation);
      double box = hyper("eta") * average(penalty);
      close("value term", new double[] {value}, doubles("step1.value_term"), tolerance);
      close("deviation term", new double[] {spread}, doubles("step1.deviation_term"), tolerance);
      close("penalty term", new double[] {box}, doubles("step1.penalty_term"), tolerance);
      double[] loss = {value + spread + box};
      close("actor loss", loss, doubles("step1.actor_loss"), tolerance);
      double[] inside = {average(tensor("penalty.inside"))};
      close("inside", inside, doubles("step1.in_box_share"), tolerance);
      double[] criticNorm = tensor("critic_adam");
      close("critic norm", criticNorm, doubles("step1.critic_gradient_norm"), tolerance);
      double[] actorNorm = tensor("actor_adam");
      close("actor norm", actorNorm, doubles("step1.actor_gradient_norm"), tolerance);
      compareSection("step1.gradient.", Section.GRADIENTS, tolerance);
    }

    /** Compares a section of all networks that the file has it of. */
    void compareSection(String prefix, Section section, double tolerance) {
      for (NetworkRef network : algorithm.networks()) {
        if (golden.containsKey(prefix + network.name() + ".layer0.weight")) {
          close(
              prefix + network.name(),
              engine.readNetwork64(network, section),
              network(prefix, network),
              tolerance);
        }
      }
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

    private double[] tensor(String name) {
      return engine.readTensor(algorithm.program().tensor(name));
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

    /** [B, G] as [G, B]. */
    private double[] transposed(double[] values) {
      double[] result = new double[values.length];
      for (int b = 0; b < batch; b++) {
        for (int g = 0; g < groups; g++) {
          result[g * batch + b] = values[b * groups + g];
        }
      }
      return result;
    }

    private double weighted(double[] byGroup) {
      double[] weights = doubles("group_weights");
      double sum = 0;
      for (int i = 0; i < byGroup.length; i++) {
        sum += weights[i / batch] * byGroup[i];
      }
      return sum / batch;
    }

    private static double average(double[] values) {
      return Arrays.stream(values).average().orElseThrow();
    }

    private double hyper(String name) {
      return doubles("hyper." + name)[0];
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
