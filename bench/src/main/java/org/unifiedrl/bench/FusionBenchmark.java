package org.unifiedrl.bench;

import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.fusion.Fusion;

/**
 * One request: fuse five scores of every candidate, then pick a page of ten. Promise: 1,000
 * candidates in less than 50 microseconds.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class FusionBenchmark {

  private static final int SCORES = 5;
  private static final int PAGE = 10;

  /** Requests that take turns, so that no branch predictor learns one ranking by heart. */
  private static final int REQUESTS = 64;

  /** Candidates of a request. */
  @Param({"1000"})
  public int candidates;

  private Fusion fusion;
  private float[] scores;
  private float[] actions;
  private float[] fused;
  private final int[] page = new int[PAGE];
  private int request;

  /** Draws scores that span decades, as predicted probabilities do, and one action a request. */
  @Setup
  public void draw() {
    fusion = new Fusion(actionMap());
    Random random = new Random(1);
    scores = new float[REQUESTS * SCORES * candidates];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = (float) Math.exp(-7 * random.nextDouble());
    }
    actions = new float[REQUESTS * fusion.map().actionSize()];
    for (int i = 0; i < actions.length; i++) {
      actions[i] = 2 * random.nextFloat() - 1;
    }
    fused = new float[candidates];
  }

  private static ActionMap actionMap() {
    double[] powerLow = new double[SCORES];
    double[] powerHigh = new double[SCORES];
    double[] biasLow = new double[SCORES];
    double[] biasHigh = new double[SCORES];
    for (int i = 0; i < SCORES; i++) {
      powerHigh[i] = 2;
      biasLow[i] = 1e-4;
      biasHigh[i] = 1;
    }
    return new ActionMap(powerLow, powerHigh, biasLow, biasHigh);
  }

  /** Fusion and choice of the page. */
  @Benchmark
  public int[] fuseAndTop() {
    fuseNext();
    Fusion.top(fused, candidates, PAGE, page);
    return page;
  }

  /** Fusion alone. */
  @Benchmark
  public float[] fuse() {
    fuseNext();
    return fused;
  }

  private void fuseNext() {
    request = (request + 1) % REQUESTS;
    fusion.fuse(
        scores,
        request * SCORES * candidates,
        candidates,
        candidates,
        actions,
        request * 2 * SCORES,
        fused);
  }
}
