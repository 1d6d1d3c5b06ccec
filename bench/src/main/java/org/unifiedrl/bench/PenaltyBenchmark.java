package org.unifiedrl.bench;

import java.util.Random;
import java.util.concurrent.TimeUnit;
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
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.TensorRef;

/**
 * The two operations that UnifiedRL adds to an actor-critic step, on a batch of actions of which
 * some lie outside their box. One operation is one batch; each call runs ten, so that the call
 * itself does not count.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class PenaltyBenchmark {

  private static final int ACTION = 10;
  private static final int STEPS = 10;

  /** Rows of the batch. */
  @Param({"256", "4096"})
  public int batch;

  private Engine penalty;
  private Engine attenuation;

  /** Creates an engine for each operation. */
  @Setup
  public void create() {
    penalty = engine(true);
    attenuation = engine(false);
  }

  private Engine engine(boolean boxPenalty) {
    Program program = new Program();
    TensorRef action = program.constant("action", 1, batch, ACTION);
    TensorRef low = program.constant("low", 1, batch, ACTION);
    TensorRef high = program.constant("high", 1, batch, ACTION);
    if (boxPenalty) {
      program.boxPenalty(
          "penalty",
          action,
          low,
          high,
          false,
          program.hyper("eta", 1.2),
          program.hyper("omega", 1 / 0.3));
    } else {
      program.attenuation(
          "attenuation",
          action,
          low,
          high,
          program.hyper("beta", 0.8),
          program.hyper("theta", 1 / 0.3));
    }
    Engine engine = Engine.create(program, null, EngineOptions.DEFAULT.withThreads(1));
    Random random = new Random(1);
    float[] actions = new float[batch * ACTION];
    float[] lows = new float[actions.length];
    float[] highs = new float[actions.length];
    for (int i = 0; i < actions.length; i++) {
      lows[i] = random.nextFloat() - 0.6f;
      highs[i] = lows[i] + 0.2f;
      actions[i] = lows[i] + 0.1f + 0.1f * (float) random.nextGaussian();
    }
    engine.writeTensor(action, actions);
    engine.writeTensor(low, lows);
    engine.writeTensor(high, highs);
    return engine;
  }

  /** Box penalty of the actor, continuous form, with its gradient. */
  @Benchmark
  @OperationsPerInvocation(STEPS)
  public void boxPenalty() {
    penalty.run(STEPS);
  }

  /** Attenuation of the target outside the box. */
  @Benchmark
  @OperationsPerInvocation(STEPS)
  public void attenuation() {
    attenuation.run(STEPS);
  }

  /** Frees the engines. */
  @TearDown
  public void close() {
    penalty.close();
    attenuation.close();
  }
}
