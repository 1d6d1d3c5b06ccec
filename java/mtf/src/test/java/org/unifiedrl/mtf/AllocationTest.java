package org.unifiedrl.mtf;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.InferencePolicy;
import org.unifiedrl.engine.NativeReplay;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.algorithm.UnifiedRl;
import org.unifiedrl.mtf.algorithm.UnifiedRlConfig;
import org.unifiedrl.mtf.baseline.EqualWeights;
import org.unifiedrl.mtf.exploration.Explorer;
import org.unifiedrl.mtf.exploration.Gaussian;
import org.unifiedrl.mtf.exploration.OrnsteinUhlenbeck;
import org.unifiedrl.mtf.exploration.SobolBox;
import org.unifiedrl.mtf.exploration.TruncatedGaussian;
import org.unifiedrl.mtf.exploration.UniformBox;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.Simulator;

/** Hot paths allocate nothing: exactly 0 bytes, as the virtual machine counts them per thread. */
class AllocationTest {

  private static final int CALLS = 200;
  private static final long PATIENCE = 20_000_000_000L; // ns

  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /**
   * The first rounds link classes and call sites, and on a busy machine compiled code comes late;
   * what stays after that is the code's own.
   */
  private long leastBytes(Runnable call) {
    long least = Long.MAX_VALUE;
    long start = System.nanoTime();
    while (least > 0 && System.nanoTime() - start < PATIENCE) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < CALLS; i++) {
        call.run();
      }
      least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
    }
    return least;
  }

  @Test
  void trainingStep(@TempDir Path folder) {
    UnifiedRlConfig defaults = UnifiedRlConfig.defaults();
    UnifiedRlConfig config =
        new UnifiedRlConfig(
            16,
            List.of(16, 16),
            2,
            defaults.eta(),
            defaults.omega(),
            defaults.exactPenalty(),
            defaults.lambda(),
            defaults.beta(),
            defaults.theta(),
            defaults.discount(),
            defaults.groupWeights(),
            defaults.targetRate(),
            defaults.targetPeriod(),
            defaults.actorRate(),
            defaults.criticRate(),
            defaults.gradientClip(),
            defaults.normaliseReturns());
    writeLog(folder, ReplaySchema.standard(6, 4, config.groups(), Map.of()));
    try (Replay replay = Replay.open(folder);
        NativeReplay view = NativeReplay.of(replay)) {
      UnifiedRl step = new UnifiedRl(config, new Transitions(replay.schema()));
      EngineOptions options = EngineOptions.DEFAULT.withThreads(1);
      try (Engine engine = Engine.create(step.program(), view, options)) {
        step.initialise(engine, 1, new float[4]);
        FloatBuffer metrics =
            Engine.directFloats((long) Engine.METRIC_ROWS * step.program().metrics().size());
        assertThat(
                leastBytes(
                    () -> {
                      engine.run(3);
                      engine.drainMetrics(metrics);
                    }))
            .isZero();
      }
    }
  }

  private static void writeLog(Path folder, ReplaySchema schema) {
    int low = schema.rowOffset(schema.columnIndex(ReplaySchema.BOX_LOW));
    int high = schema.rowOffset(schema.columnIndex(ReplaySchema.BOX_HIGH));
    int action = schema.rowOffset(schema.columnIndex(ReplaySchema.ACTION));
    int actions = high - low;
    Random random = new Random(1);
    float[] row = new float[schema.rowWidth()];
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      for (int r = 0; r < 200; r++) {
        for (int i = 0; i < row.length; i++) {
          row[i] = random.nextFloat();
        }
        Arrays.fill(row, low, low + actions, -0.5f);
        Arrays.fill(row, high, high + actions, 0.5f);
        Arrays.fill(row, action, action + actions, 0.1f);
        writer.append(r / 10, r / 10, r, r % 10 == 9, row);
      }
    }
  }

  @Test
  void inferenceOfOneRequest() {
    int[] sizes = {20, 16, 10};
    float[] parameters = new float[21 * 16 + 17 * 10];
    FloatBuffer state = Engine.directFloats(20);
    FloatBuffer action = Engine.directFloats(10);
    try (InferencePolicy policy =
        InferencePolicy.create(sizes, Activation.TANH, parameters, null, null)) {
      assertThat(leastBytes(() -> policy.run(state, 1, action))).isZero();
    }
  }

  @Test
  void fusionAndPage() {
    Simulator world = new Simulator();
    Fusion fusion = new Fusion(world.actionMap());
    int candidates = 1000;
    float[] scores = new float[fusion.map().scores() * candidates];
    Arrays.fill(scores, 0.25f);
    float[] actions = new float[fusion.map().actionSize()];
    float[] fused = new float[candidates];
    int[] page = new int[10];
    assertThat(
            leastBytes(
                () -> {
                  fusion.fuse(scores, 0, candidates, candidates, actions, 0, fused);
                  Fusion.top(fused, candidates, page.length, page);
                }))
        .isZero();
  }

  @Test
  void explorationOfATick() {
    int rows = 16;
    int size = 10;
    int[] users = new int[rows];
    long[] sessions = new long[rows];
    Arrays.setAll(users, i -> i);
    Arrays.setAll(sessions, i -> i);
    float[] baseline = new float[rows * size];
    float[] actions = new float[rows * size];
    float[] low = new float[rows * size];
    float[] high = new float[rows * size];
    float[] density = new float[rows];
    long[] requests = new long[rows];
    for (Explorer explorer :
        List.of(
            UniformBox.symmetric(size, 0.15f),
            Gaussian.isotropic(size, 0.2f),
            TruncatedGaussian.isotropic(size, 0.15f, 0.2f),
            SobolBox.symmetric(size, 0.15f),
            OrnsteinUhlenbeck.isotropic(size, 0.2f, 0.8))) {
      Explorer own = explorer.forRollout();
      assertThat(
              leastBytes(
                  () -> {
                    requests[0]++;
                    sessions[0]++;
                    own.explore(
                        1, users, sessions, requests, rows, baseline, actions, low, high, density);
                  }))
          .as(explorer.getClass().getSimpleName())
          .isZero();
    }
  }

  @Test
  void simulatorTick() {
    Simulator world = new Simulator();
    Policy policy = EqualWeights.of(world);
    Rollout rollout = world.rollout(1, world.trainUsers(), 30, 16);
    float[] actions = new float[16 * world.actionSize()];
    assertThat(
            leastBytes(
                () -> {
                  policy.act(rollout.states(), rollout.active(), actions);
                  rollout.serve(actions);
                  rollout.advance();
                }))
        .isZero();
    assertThat(rollout.active()).as("lanes still served").isPositive();
  }
}
