package org.unifiedrl.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unifiedrl.engine.Program.AdamHypers;
import org.unifiedrl.engine.Program.Forward;
import org.unifiedrl.engine.Program.SquaredError;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplayException;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;

class EngineTest {

  private static final List<String> BACKENDS = TestBackends.names();

  static List<String> backends() {
    return BACKENDS;
  }

  /** Regression of y on x by an ensemble of two networks. */
  private static final class Regression {
    final Program program = new Program();
    final NetworkRef network;
    final HyperRef rate;

    Regression(int batch) {
      TensorRef rows = program.sample("rows", batch, 0);
      TensorRef x = program.gather("x", rows, 0, 3, false, null, null);
      TensorRef y = program.gather("y", rows, 1, 1, false, null, null);
      TensorRef zero = program.constant("done", 1, batch, 1);
      network = program.network("net", 2, Activation.LINEAR, 3, 16, 1);
      Forward forward = program.mlpForward("prediction", network, x, Tape.FULL);
      HyperRef gamma = program.hyper("gamma", 0);
      TensorRef target = program.tdTarget("target", y, zero, null, forward.y(), 2, gamma);
      SquaredError error = program.squaredError("loss", forward.y(), target);
      program.mlpBackward("backward", forward, error.gradient());
      rate = program.hyper("rate", 1e-2);
      program.adam(
          "adam",
          network,
          new AdamHypers(
              rate,
              program.hyper("beta1", 0.9),
              program.hyper("beta2", 0.999),
              program.hyper("epsilon", 1e-8),
              program.hyper("decay", 0),
              program.hyper("clip", 0)));
      program.metric("loss", error.loss());
    }
  }

  private static NativeReplay data(int rows, float poison) {
    ByteBuffer x = ByteBuffer.allocateDirect(rows * 12).order(ByteOrder.nativeOrder());
    ByteBuffer y = ByteBuffer.allocateDirect(rows * 4).order(ByteOrder.nativeOrder());
    ByteBuffer last = ByteBuffer.allocateDirect(rows);
    Random random = new Random(5);
    for (int r = 0; r < rows; r++) {
      float sum = 0;
      for (int i = 0; i < 3; i++) {
        float value = (float) random.nextGaussian();
        x.putFloat((r * 3 + i) * 4, value);
        sum += value;
      }
      y.putFloat(r * 4, poison == 0 ? sum : poison);
      last.put(r, (byte) 1);
    }
    return NativeReplay.ofMemory(new int[] {3, 1}, List.of(x, y), last);
  }

  private static EngineOptions options(String backend) {
    return EngineOptions.DEFAULT.withBackend(backend).withThreads(1);
  }

  @ParameterizedTest
  @MethodSource("backends")
  void learnsAndReportsItsMetrics(String backend) {
    Regression r = new Regression(32);
    try (NativeReplay replay = data(500, 0);
        Engine engine = Engine.create(r.program, replay, options(backend))) {
      engine.initialise(r.network, 7);
      engine.run(400);
      assertThat(engine.step()).isEqualTo(400);
      assertThat(engine.backend()).isEqualTo(backend);
      FloatBuffer metrics = Engine.directFloats(Engine.METRIC_ROWS);
      assertThat(engine.drainMetrics(metrics)).isEqualTo(400);
      assertThat(engine.drainMetrics(metrics)).isZero();
      assertThat(metrics.get(399)).isLessThan(metrics.get(0) / 10);
    }
  }

  @ParameterizedTest
  @MethodSource("backends")
  void sameSeedSameHashAndOtherSeedAnother(String backend) {
    assertThat(hash(backend, 1))
        .isEqualTo(hash(backend, 1))
        .isNotEqualTo(hash(backend, 2))
        .hasSize(64);
  }

  private static String hash(String backend, long seed) {
    Regression r = new Regression(32);
    try (NativeReplay replay = data(500, 0);
        Engine engine = Engine.create(r.program, replay, options(backend).withSeed(seed))) {
      engine.initialise(r.network, seed);
      engine.run(20);
      return engine.parameterHash();
    }
  }

  @Test
  void runsWithoutAllocating() {
    Regression r = new Regression(32);
    FloatBuffer metrics = Engine.directFloats(Engine.METRIC_ROWS);
    try (NativeReplay replay = data(500, 0);
        Engine engine = Engine.create(r.program, replay, options("cpu"))) {
      engine.initialise(r.network, 1);
      ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
      for (int i = 0; i < 20_000; i++) { // past the compilers' thresholds
        engine.run(0);
        engine.drainMetrics(metrics);
      }
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 1_000; i++) {
        engine.run(1);
        engine.drainMetrics(metrics);
      }
      long allocated = threads.getCurrentThreadAllocatedBytes() - before;
      // The counter itself may be charged a few objects; one byte a call would be 1,000.
      assertThat(allocated).isLessThan(1_000);
    }
  }

  @Test
  void refusesUseAfterClose() {
    Regression r = new Regression(8);
    try (NativeReplay replay = data(20, 0)) {
      Engine engine = Engine.create(r.program, replay, options("reference"));
      assertThatThrownBy(replay::close)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("close them first");
      engine.close();
      engine.close();
      assertThat(engine.isClosed()).isTrue();
      assertThatThrownBy(() -> engine.run(1))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("engine is closed");
    }
  }

  /** A call is half a second long, so that half of it is no matter of scheduling. */
  @Test
  void closeFromAnotherThreadWaitsForTheRun() throws InterruptedException {
    Regression r = new Regression(256);
    long ended = 0;
    for (int tries = 0; ended == 0; tries++) {
      assertThat(tries).as("the closing thread was always first").isLessThan(20);
      try (NativeReplay replay = data(1000, 0)) {
        Engine engine = Engine.create(r.program, replay, options("cpu"));
        engine.initialise(r.network, 1);
        engine.run(1000); // the first are slower
        long before = System.nanoTime();
        engine.run(1000);
        long steps = 1000 * 500_000_000L / (System.nanoTime() - before) + 1;
        CountDownLatch begins = new CountDownLatch(1);
        AtomicLong length = new AtomicLong();
        AtomicLong end = new AtomicLong();
        CompletableFuture<String> running =
            CompletableFuture.supplyAsync(
                () -> {
                  try {
                    while (true) {
                      long start = System.nanoTime();
                      begins.countDown();
                      engine.run(steps);
                      end.set(System.nanoTime());
                      length.set(end.get() - start);
                    }
                  } catch (IllegalStateException e) {
                    return e.getMessage();
                  }
                });
        begins.await();
        Thread.sleep(20);
        engine.close();
        long closed = System.nanoTime();
        assertThat(running.join()).contains("engine is closed");
        ended = end.get();
        assertThat(ended).isLessThan(closed + length.get() / 2);
      }
    }
  }

  @Test
  void collectionDuringACallDoesNoHarm() throws InterruptedException {
    Regression r = new Regression(256);
    NativeReplay replay = data(1000, 0);
    // Nothing refers to the engine once its run has begun, and nobody closes it.
    CompletableFuture<Void> running =
        CompletableFuture.runAsync(() -> Engine.create(r.program, replay, options("cpu")).run(300));
    while (!running.isDone()) {
      System.gc();
    }
    running.join();
    // The Cleaner closes it in the end, and then the replay view can go.
    for (int i = 0; !replay.isClosed(); i++) {
      System.gc();
      Thread.sleep(10);
      try {
        replay.close();
      } catch (IllegalStateException e) {
        assertThat(i).as("engine was not freed within 10 s").isLessThan(1000);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("backends")
  void stopsWhenAGradientIsNotFinite(String backend) {
    Regression r = new Regression(8);
    try (NativeReplay replay = data(20, Float.POSITIVE_INFINITY);
        Engine engine = Engine.create(r.program, replay, options(backend))) {
      engine.initialise(r.network, 1);
      String before = engine.parameterHash();
      assertThatThrownBy(() -> engine.run(3))
          .isInstanceOf(NotFiniteException.class)
          .hasMessageContaining("adam")
          .hasMessageContaining("step 1");
      assertThat(engine.parameterHash()).isEqualTo(before);
      assertThat(engine.step()).isZero();
    }
  }

  @Test
  void namesWhatIsWrong() {
    Regression r = new Regression(8);
    try (NativeReplay replay = data(20, 0)) {
      assertThatThrownBy(() -> Engine.create(r.program, replay, options("gpu9")))
          .isInstanceOf(EngineException.class)
          .hasMessageContaining("gpu9");
      assertThatThrownBy(() -> Engine.create(r.program, null, options("reference")))
          .isInstanceOf(EngineException.class)
          .hasMessageContaining("INVALID_ARGUMENT")
          .hasMessageContaining("replay");
    }
    Program p = new Program();
    NetworkRef net = p.network("net", 1, Activation.TANH, 4, 2);
    TensorRef x = p.constant("x", 1, 5, 3);
    assertThatThrownBy(() -> p.mlpForward("f", net, x, Tape.NONE))
        .hasMessageContaining("op 'f': x must be [1, 5, 4], found 'x' [1, 5, 3]");
    assertThatThrownBy(() -> p.constant("bad", 1, 0, 3)).hasMessageContaining("rows of tensor");
    assertThatThrownBy(() -> new Program().memberSum("sum", x))
        .hasMessageContaining("belongs to another program");
  }

  @Test
  void aReplayFileThatWasCutEndsTheRunWithAnException(@TempDir Path folder) throws Exception {
    ReplaySchema schema =
        new ReplaySchema(
            List.of(new ReplaySchema.Column("x", 3), new ReplaySchema.Column("y", 1)), Map.of());
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      for (int i = 0; i < 20_000; i++) {
        writer.append(i, i, i, true, new float[] {i % 7, i % 5, i % 3, 1});
      }
    }
    Regression r = new Regression(64);
    try (Replay rows = Replay.open(folder);
        NativeReplay view = NativeReplay.of(rows);
        Engine engine = Engine.create(r.program, view, options("cpu"))) {
      engine.initialise(r.network, 1);
      engine.run(10);
      Path file = rows.segmentFile(0);
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.truncate(4096);
      }
      Thread.sleep(110); // past the tenth of a second within which the files are not looked at
      assertThatThrownBy(() -> engine.run(10))
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining(file + " had ")
          .hasMessageContaining("4096 now");
      assertThatThrownBy(() -> Backends.measureGather(view, 0, 100, 1, 1))
          .isInstanceOf(ReplayException.class);
      assertThat(engine.step()).isEqualTo(10);
    }
  }

  @Test
  void changesHyperParametersAndStep() {
    Regression r = new Regression(8);
    try (NativeReplay replay = data(20, 0);
        Engine engine = Engine.create(r.program, replay, options("reference"))) {
      engine.initialise(r.network, 1);
      engine.setHyper(r.rate, 0);
      engine.setStep(41);
      String before = engine.parameterHash();
      engine.run(1);
      assertThat(engine.step()).isEqualTo(42);
      assertThat(engine.parameterHash()).isEqualTo(before);
      assertThatThrownBy(() -> engine.setHyper(r.rate, -1)).isInstanceOf(EngineException.class);
    }
  }

  @Test
  void inferenceEqualsTheFormulaAndAllocatesNothing() {
    float[] parameters = {0.5f, -1, 2, 0.25f, 0.1f, -0.2f, 1, -1, 0.3f};
    float[] shift = {1, 2};
    float[] scale = {2, 0.5f};
    try (InferencePolicy policy =
        InferencePolicy.create(new int[] {2, 2, 1}, Activation.TANH, parameters, shift, scale)) {
      FloatBuffer x = Engine.directFloats(2).put(new float[] {3, 1}).flip();
      FloatBuffer y = Engine.directFloats(1);
      policy.run(x, 1, y);
      double a = (3 - 1) * 2;
      double b = (1 - 2) * 0.5;
      double h0 = Math.max(0, a * 0.5 + b * 2 + 0.1);
      double h1 = Math.max(0, -a + b * 0.25 - 0.2);
      // One float32 rounding an operation on values below 3, of which there are six.
      assertThat((double) y.get(0)).isCloseTo(Math.tanh(h0 - h1 + 0.3), within(1e-6));
      ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
      for (int i = 0; i < 20_000; i++) {
        policy.run(x, 1, y);
      }
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 1_000; i++) {
        policy.run(x, 1, y);
      }
      assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(1_000);
    }
  }

  @Test
  void buffersAreUsedFromTheirPositionAndReadOnlyOnesAreNotWritten() {
    Regression r = new Regression(8);
    try (NativeReplay replay = data(20, 0);
        Engine engine = Engine.create(r.program, replay, options("reference"))) {
      engine.initialise(r.network, 1);
      int size = (int) r.network.size();
      FloatBuffer whole = Engine.directFloats(size);
      engine.readNetwork(r.network, Section.PARAMETERS, whole);
      FloatBuffer shifted = Engine.directFloats(size + 5).position(5);
      engine.readNetwork(r.network, Section.PARAMETERS, shifted);
      assertThat(shifted.position()).isEqualTo(5);
      assertThat(shifted).isEqualTo(whole);
      assertThat(shifted.get(4)).isZero();
      engine.writeNetwork(r.network, Section.PARAMETERS, shifted.asReadOnlyBuffer());
      engine.readNetwork(r.network, Section.PARAMETERS, whole);
      assertThat(whole).isEqualTo(shifted);
      FloatBuffer readOnly = whole.asReadOnlyBuffer();
      assertThatThrownBy(() -> engine.readNetwork(r.network, Section.PARAMETERS, readOnly))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("destination is read-only");
      assertThatThrownBy(() -> engine.drainMetrics(readOnly))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("destination is read-only");
    }
  }

  /**
   * What another trainer does: its batch in, loss and gradients out. The network is a line, so that
   * L = mean_b (x_b w + c - t_b)^2 has its gradients in closed form.
   */
  @ParameterizedTest
  @MethodSource("backends")
  void aBatchInBuffersOfTheCallerGivesLossAndGradients(String backend) {
    int batch = 4;
    Program program = new Program();
    TensorRef x = program.constant("x", 1, batch, 2);
    TensorRef target = program.constant("target", 1, batch, 1);
    NetworkRef line = program.network("line", 1, Activation.LINEAR, 2, 1);
    Forward forward = program.mlpForward("y", line, x, Tape.FULL);
    SquaredError error = program.squaredError("loss", forward.y(), target);
    program.mlpBackward("backward", forward, error.gradient());
    TensorRef dx = program.mlpBackwardInput("dx", forward, error.gradient(), 0, 2);
    program.metric("loss", error.loss());
    float[] w = {0.5f, -2, 0.25f};
    float[] xs = {1, 2, -1, 0.5f, 3, -2, 0.25f, 4};
    float[] ts = {1, -1, 2, 0};
    // What lies before and after the batch in the callers' buffers is not looked at.
    FloatBuffer input = Engine.directFloats(10).put(9).put(xs).put(9).position(1);
    FloatBuffer targets = Engine.directFloats(4).put(ts).flip();
    try (Engine engine = Engine.create(program, null, options(backend).withMaterialise(true))) {
      engine.writeNetwork(
          line, Section.PARAMETERS, Engine.directFloats(3).put(w).flip().asReadOnlyBuffer());
      engine.writeTensor(x, input.asReadOnlyBuffer());
      engine.writeTensor(target, targets);
      input.put(1, Float.NaN); // the caller's again
      engine.run(1);
      double loss = 0;
      double[] gradient = new double[3];
      double[] inputGradient = new double[8];
      for (int b = 0; b < batch; b++) {
        double residual = xs[2 * b] * w[0] + xs[2 * b + 1] * w[1] + w[2] - ts[b];
        loss += residual * residual / batch;
        for (int i = 0; i < 2; i++) {
          gradient[i] += 2 * residual * xs[2 * b + i] / batch;
          inputGradient[2 * b + i] = 2 * residual * w[i] / batch;
        }
        gradient[2] += 2 * residual / batch;
      }
      FloatBuffer out = Engine.directFloats(10);
      assertThat(engine.drainMetrics(out)).isEqualTo(1);
      assertThat((double) out.get(0)).isCloseTo(loss, within(1e-5 * loss));
      engine.readNetwork(line, Section.GRADIENTS, out);
      for (int i = 0; i < 3; i++) {
        assertThat((double) out.get(i)).isCloseTo(gradient[i], within(1e-5));
      }
      engine.readTensor(dx, out.put(0, 7).position(1));
      assertThat(out.position()).isOne();
      assertThat(out.get(0)).isEqualTo(7);
      for (int i = 0; i < 8; i++) {
        assertThat((double) out.get(1 + i)).isCloseTo(inputGradient[i], within(1e-5));
      }
      assertThat(engine.readTensor(dx)[7]).isCloseTo(out.get(8), within(1e-6));
    }
  }

  @Test
  void buffersThatDoNotFitATensorAreRefused() {
    Program program = new Program();
    TensorRef x = program.constant("x", 1, 3, 2);
    TensorRef twice = program.add("twice", x, x);
    try (Engine engine = Engine.create(program, null, options("reference"))) {
      assertThatThrownBy(() -> engine.writeTensor(x, Engine.directFloats(5)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("source has room for 5 values, but 6 are needed");
      assertThatThrownBy(() -> engine.writeTensor(x, FloatBuffer.allocate(6)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("source must be a direct buffer");
      ByteBuffer swapped = ByteBuffer.allocateDirect(24).order(ByteOrder.BIG_ENDIAN);
      assertThatThrownBy(() -> engine.writeTensor(x, swapped.asFloatBuffer()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("native byte order");
      assertThatThrownBy(() -> engine.writeTensor(twice, Engine.directFloats(6)))
          .isInstanceOf(EngineException.class)
          .hasMessageContaining("twice");
      FloatBuffer readOnly = Engine.directFloats(6).asReadOnlyBuffer();
      assertThatThrownBy(() -> engine.readTensor(x, readOnly))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("destination is read-only");
      TensorRef foreign = new Program().constant("foreign", 1, 3, 2);
      assertThatThrownBy(() -> engine.readTensor(foreign, Engine.directFloats(6)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("another program");
    }
  }

  @Test
  void refusesUseOfClosedViewsAndPolicies() {
    NativeReplay replay = data(20, 0);
    replay.close();
    replay.close();
    Regression r = new Regression(8);
    assertThatThrownBy(() -> Engine.create(r.program, replay, options("reference")))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("replay view is closed");
    assertThatThrownBy(() -> Backends.measureGather(replay, 0, 1, 1, 1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("replay view is closed");
    InferencePolicy policy =
        InferencePolicy.create(new int[] {1, 1}, Activation.LINEAR, new float[2], null, null);
    FloatBuffer one = Engine.directFloats(1);
    assertThatThrownBy(() -> policy.run(one, 1, one.asReadOnlyBuffer()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("y is read-only");
    policy.close();
    policy.close();
    assertThatThrownBy(() -> policy.run(one, 1, one))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("inference policy is closed");
  }

  @Test
  void refusesRowsInMemoryThatAreNotAsDescribed() {
    ByteBuffer column = ByteBuffer.allocateDirect(8).order(ByteOrder.nativeOrder());
    ByteBuffer last = ByteBuffer.allocateDirect(2).put(1, (byte) 1);
    int[] widths = {1};
    NativeReplay.ofMemory(widths, List.of(column), last).close();
    ByteBuffer foreign = ByteBuffer.allocateDirect(8).order(ByteOrder.BIG_ENDIAN);
    for (ByteBuffer bad : List.of(foreign, ByteBuffer.allocateDirect(4), ByteBuffer.allocate(8))) {
      assertThatThrownBy(() -> NativeReplay.ofMemory(widths, List.of(bad), last))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("column 0 must be a direct buffer in native byte order of 8 bytes");
    }
    last.put(0, (byte) 2);
    assertThatThrownBy(() -> NativeReplay.ofMemory(widths, List.of(column), last))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("last flag 0 is 2: expected 0 or 1");
    last.put(0, (byte) 0).put(1, (byte) 0);
    assertThatThrownBy(() -> NativeReplay.ofMemory(widths, List.of(column), last))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("last flag 1 is 0");
  }

  @Test
  void impossiblePolicySizesAreRefused() {
    for (int[] sizes : new int[][] {{}, {3}, {3, 0}, {-1, 2}}) {
      assertThatThrownBy(
              () -> InferencePolicy.create(sizes, Activation.LINEAR, new float[0], null, null))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("sizes");
    }
    assertThatThrownBy(
            () ->
                InferencePolicy.create(
                    new int[] {1, 1}, Activation.LINEAR, new float[3], null, null))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("parameters has 3 values, but 2 are needed");
  }

  @Test
  void collectionDuringAnInferenceDoesNoHarm() {
    int[] sizes = {64, 256, 256, 8};
    float[] parameters = new float[65 * 256 + 257 * 256 + 257 * 8];
    FloatBuffer x = Engine.directFloats(20_000L * 64);
    FloatBuffer y = Engine.directFloats(20_000L * 8);
    CompletableFuture<Void> running =
        CompletableFuture.runAsync(
            () -> {
              for (int i = 0; i < 3; i++) {
                InferencePolicy.create(sizes, Activation.TANH, parameters, null, null)
                    .run(x, 20_000, y);
              }
            });
    while (!running.isDone()) {
      System.gc();
    }
    running.join();
  }

  @Test
  void moreMemoryThanThereIsHasItsOwnStatus() {
    Program program = new Program();
    program.network("vast", 1 << 12, Activation.LINEAR, 1 << 14, 1 << 14);
    assertThatThrownBy(() -> Engine.create(program, null, options("cpu")))
        .isInstanceOf(EngineException.class)
        .hasMessageContaining("OUT_OF_MEMORY")
        .extracting(e -> ((EngineException) e).status())
        .isEqualTo(EngineException.Status.OUT_OF_MEMORY);
  }

  @ParameterizedTest
  @MethodSource("backends")
  void twoBackEndsCheckEachOther(String backend) {
    Regression r = new Regression(32);
    String pair = "check:reference32," + backend;
    try (NativeReplay replay = data(500, 0);
        Engine engine = Engine.create(r.program, replay, options(pair))) {
      engine.initialise(r.network, 7);
      engine.run(20);
      assertThat(engine.step()).isEqualTo(20);
      assertThat(engine.backend()).isEqualTo(pair);
      assertThat(engine.description()).contains(" | ");
    }
  }

  @Test
  void listsBackEnds() {
    List<Device> devices = Backends.list();
    assertThat(devices)
        .extracting(Device::name)
        .contains("cpu", "reference", "cuda")
        .doesNotHaveDuplicates()
        .containsAll(BACKENDS);
    assertThat(devices).allSatisfy(d -> assertThat(d.description()).isNotBlank());
    assertThat(devices).extracting(Device::score).isSortedAccordingTo(Comparator.reverseOrder());
    assertThat(Backends.exists("cuda")).isTrue();
    assertThat(Backends.exists("cudda")).isFalse();
  }
}
