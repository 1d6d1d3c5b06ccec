package org.unifiedrl.bench;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.algorithm.UnifiedRl;
import org.unifiedrl.mtf.algorithm.UnifiedRlConfig;

/**
 * One UnifiedRL training step: draw, 2 x m critics, actor, both Adam updates, targets. One
 * operation is one step; a call runs ten. {@code bytes} counts what the calling thread allocated
 * inside all measured calls. Promise: 0.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class StepBenchmark {

  private static final int STEPS = 10;
  private static final int LOG_ROWS = 100_000;

  /** A step's size. */
  public enum Shape {
    /** 16 features, two actions, hidden 32-32, 2 x 2 critics: overhead counts. */
    SMALL(16, 2, 32, 2),
    /** The specification's: 128 features, 10 actions, hidden 256-256, 2 x 24 critics. */
    PAPER(128, 10, 256, 24);

    final int states;
    final int actions;
    final int hidden;
    final int criticsPerGroup;

    Shape(int states, int actions, int hidden, int criticsPerGroup) {
      this.states = states;
      this.actions = actions;
      this.hidden = hidden;
      this.criticsPerGroup = criticsPerGroup;
    }
  }

  /** Bytes allocated inside the calls, as the virtual machine counts them for this thread. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.EVENTS)
  public static class Allocated {
    /** Sum over the measured calls. */
    public long bytes;
  }

  /** Networks and number of critics. */
  @Param({"SMALL", "PAPER"})
  public Shape shape;

  /** Rows of the batch. */
  @Param({"256"})
  public int batch;

  /** Threads of the engine. */
  @Param({"1"})
  public int threads;

  private final ThreadMXBean thread = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private RandomReplay replay;
  private Engine engine;

  /** Writes a log and creates the engine. */
  @Setup
  public void create() {
    UnifiedRlConfig defaults = UnifiedRlConfig.defaults();
    UnifiedRlConfig config =
        new UnifiedRlConfig(
            batch,
            List.of(shape.hidden, shape.hidden),
            shape.criticsPerGroup,
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
    replay = new RandomReplay(shape.states, shape.actions, config.groups(), LOG_ROWS);
    UnifiedRl step = new UnifiedRl(config, new Transitions(replay.schema()));
    engine =
        Engine.create(step.program(), replay.view(), EngineOptions.DEFAULT.withThreads(threads));
    step.initialise(engine, 1, new float[shape.actions]);
    engine.writeTensor(step.batch().stateScale(), ones(shape.states));
    engine.writeTensor(step.batch().rewardScale(), ones(config.groups()));
  }

  private static float[] ones(int count) {
    float[] ones = new float[count];
    Arrays.fill(ones, 1);
    return ones;
  }

  /** Ten steps in one call. */
  @Benchmark
  @OperationsPerInvocation(STEPS)
  public void step(Allocated allocated) {
    long before = thread.getCurrentThreadAllocatedBytes();
    engine.run(STEPS);
    allocated.bytes += thread.getCurrentThreadAllocatedBytes() - before;
  }

  /** Frees everything. */
  @TearDown
  public void close() {
    engine.close();
    replay.close();
  }
}
