package org.unifiedrl.bench;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.exploration.Box;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.serving.FusionPolicy;
import org.unifiedrl.mtf.serving.PolicyModel;

/**
 * A ranking service's request in plain Java: S=128, hidden 256-256, 5 scores, A=10. Promise at the
 * 99th percentile on one core: below 50 microseconds for the action, below 100 for the page of
 * 1,000 candidates; 0 bytes.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class ServingBenchmark {

  private static final int STATES = 128;
  private static final int SCORES = 5;
  private static final int[] SIZES = {STATES, 256, 256, 2 * SCORES};
  private static final int CANDIDATES = 1000;
  private static final int PAGE = 10;

  /** Requests that take turns. */
  private static final int REQUESTS = 64;

  private final float[][] features = new float[REQUESTS][];
  private float[] scores;
  private FusionPolicy.Request request;
  private long id;

  /** Draws a network and requests. */
  @Setup
  public void create() {
    Random random = new Random(1);
    int parameters = 0;
    for (int layer = 1; layer < SIZES.length; layer++) {
      parameters += (SIZES[layer - 1] + 1) * SIZES[layer];
    }
    float[] shift = new float[STATES];
    float[] scale = new float[STATES];
    Arrays.fill(shift, 0.1f);
    Arrays.fill(scale, 2);
    MlpPolicy.Weights actor =
        new MlpPolicy.Weights(SIZES, uniform(random, parameters, 1 / 16f), shift, scale);
    request =
        FusionPolicy.of(
                PolicyModel.of(
                    ServedPolicy.ACTOR,
                    name -> actor,
                    names("feature", STATES),
                    names("score", SCORES),
                    new ActionMap(filled(0), filled(2), filled(1e-3), filled(1)),
                    Optional.of(Box.symmetric(2 * SCORES, 0.15f)),
                    "benchmark",
                    Map.of()))
            .request();
    for (int i = 0; i < REQUESTS; i++) {
      features[i] = uniform(random, STATES, 1);
    }
    scores = new float[SCORES * CANDIDATES];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = random.nextFloat();
    }
  }

  private static List<String> names(String of, int count) {
    return IntStream.range(0, count).mapToObj(i -> of + i).toList();
  }

  private static double[] filled(double value) {
    double[] values = new double[SCORES];
    Arrays.fill(values, value);
    return values;
  }

  private static float[] uniform(Random random, int count, float bound) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = bound * (2 * random.nextFloat() - 1);
    }
    return values;
  }

  private FusionPolicy.Request begin() {
    id++;
    return request.begin(id).features(features[(int) (id % REQUESTS)]);
  }

  /** Features to powers and biases. */
  @Benchmark
  public float[] act() {
    return begin().act().powers();
  }

  /** The same with exploration. */
  @Benchmark
  public float[] explore() {
    return begin().explore(1).powers();
  }

  /** Features to the best 10 of 1,000 candidates. */
  @Benchmark
  public int rank() {
    return begin().rank(scores, CANDIDATES, PAGE);
  }
}
