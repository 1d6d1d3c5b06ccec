package org.unifiedrl.bench;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.unifiedrl.mtf.baseline.EqualWeights;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Simulator;
import org.unifiedrl.mtf.session.SimulatorRollout;

/**
 * Requests served by the simulator's default world (40 candidates, pages of 8) in one thread, with
 * a policy that costs nothing. One operation is one request. Promise: 200,000 requests a second,
 * which is 5,000 nanoseconds each.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class SimulatorBenchmark {

  private static final int LANES = 64;
  private static final int DAYS = 30;

  private final Simulator world = new Simulator();
  private final Policy policy = EqualWeights.of(world);
  private final float[] actions = new float[LANES * world.actionSize()];
  private SimulatorRollout rollout;

  /** Starts on all users that may be learned from: more than a run of some minutes can serve. */
  @Setup
  public void start() {
    rollout = world.rollout(1, world.trainUsers(), DAYS, LANES);
  }

  /** One tick: every lane is served one request and moves on. */
  @Benchmark
  @OperationsPerInvocation(LANES)
  public float[] tick() {
    if (rollout.active() < LANES) {
      throw new IllegalStateException(
          rollout.active()
              + " lanes are active, expected "
              + LANES
              + ": use fewer or shorter iterations");
    }
    policy.act(rollout.states(), LANES, actions);
    rollout.serve(actions);
    rollout.advance();
    return rollout.rewards();
  }
}
