package org.unifiedrl.bench;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
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

/**
 * One UnifiedRL training step: draw, 2 x m critics, actor, both Adam updates, targets. One operation
 * is one step; a call runs ten. {@code bytes} counts what the calling thread allocated inside all
 * measured calls. Promise: 0.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class StepBenchmark {

  private static final int STEPS = 10;

  /** A step's size. */
  public enum Shape {
    /** 16 features, two actions, hidden 32-32, 2 x 2 critics: overhead counts. */
    SMALL(16, 2, 32, 2),
    /** The specification's: 128 features, 10 actions, hidden 256-256, 2 x 24 critics. */
    PAPER(128, 10, 256, 24);

    final int states;
    final int actions;
    final int hidden;
    final int critics;

    Shape(int states, int actions, int hidden, int critics) {
      this.states = states;
      this.actions = actions;
      this.hidden = hidden;
      this.critics = critics;
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
    replay = new RandomReplay(shape.states, shape.actions, TrainingStep.GROUPS, 100_000);
    TrainingStep step = new TrainingStep(replay, shape, batch);
    engine =
        Engine.create(step.program(), replay.view(), EngineOptions.DEFAULT.withThreads(threads));
    step.initialise(engine);
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
