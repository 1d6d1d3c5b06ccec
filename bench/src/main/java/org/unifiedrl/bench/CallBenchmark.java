package org.unifiedrl.bench;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.Program;

/** A round trip from Java into the engine and back: what a call costs besides its work. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class CallBenchmark {

  private Engine engine;

  /** Creates an engine whose step is one addition. */
  @Setup
  public void create() {
    Program program = new Program();
    var x = program.constant("x", 1, 1, 1);
    program.add("sum", x, x);
    engine = Engine.create(program, null, EngineOptions.DEFAULT.withThreads(1));
  }

  /** Reads the step counter: lock, transition, handle check. */
  @Benchmark
  public long readStep() {
    return engine.step();
  }

  /** A run of no steps: the same and the bookkeeping around a run. */
  @Benchmark
  public void runNothing() {
    engine.run(0);
  }

  /** A run of one step of one addition. */
  @Benchmark
  public void runOneAddition() {
    engine.run(1);
  }

  /** Frees the engine. */
  @TearDown
  public void close() {
    engine.close();
  }
}
