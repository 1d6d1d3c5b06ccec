package org.unifiedrl.bench;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.FloatBuffer;
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
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.export.PolicyExport;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.serving.FusionPolicy;
import org.unifiedrl.mtf.serving.PolicyModel;

/**
 * The policy's answers by ourselves and by its exported graphs in onnxruntime, which has one
 * thread, inputs that are made once over direct buffers, and no copy of its outputs: the least that
 * a caller pays there.
 */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class OnnxBenchmark {

  private static final int STATES = 128;
  private static final int SCORES = 5;
  private static final int CANDIDATES = 1000;
  private static final int SHOWN = 10;

  /** An actor of the specification's shape: 128-256-256-10. */
  private static MlpPolicy.Weights weights() {
    int[] sizes = {STATES, 256, 256, 2 * SCORES};
    int parameters = 0;
    for (int layer = 1; layer < sizes.length; layer++) {
      parameters += (sizes[layer - 1] + 1) * sizes[layer];
    }
    float[] scale = uniform(new Random(2), STATES, 0, 2);
    float[] shift = uniform(new Random(3), STATES, -1, 1);
    return new MlpPolicy.Weights(
        sizes, uniform(new Random(1), parameters, -1 / 16f, 1 / 16f), shift, scale);
  }

  private static PolicyModel model() {
    double[] low = new double[SCORES];
    double[] high = new double[SCORES];
    double[] biasLow = new double[SCORES];
    double[] biasHigh = new double[SCORES];
    for (int i = 0; i < SCORES; i++) {
      high[i] = 2;
      biasLow[i] = 1e-4;
      biasHigh[i] = 1;
    }
    return PolicyModel.of(
        ServedPolicy.ACTOR,
        name -> weights(),
        names("feature", STATES),
        names("score", SCORES),
        new ActionMap(low, high, biasLow, biasHigh),
        Optional.empty(),
        "drawn",
        Map.of());
  }

  private static List<String> names(String of, int count) {
    return IntStream.range(0, count).mapToObj(i -> of + "_" + i).toList();
  }

  private static float[] uniform(Random random, int count, float low, float high) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = low + (high - low) * random.nextFloat();
    }
    return values;
  }

  /** A graph in onnxruntime. */
  private static OrtSession session(byte[] graph) throws OrtException {
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1);
      options.setInterOpNumThreads(1);
      return OrtEnvironment.getEnvironment().createSession(graph, options);
    }
  }

  private static OnnxTensor tensor(float[] values, long... shape) throws OrtException {
    FloatBuffer direct = Engine.directFloats(values.length).put(values).flip();
    return OnnxTensor.createTensor(OrtEnvironment.getEnvironment(), direct, shape);
  }

  /** The actor and a batch of states. */
  @State(Scope.Thread)
  public static class Actor {

    /** Requests at once. */
    @Param({"1", "64"})
    public int batch;

    private final MlpPolicy policy = new MlpPolicy(weights());
    private float[] states;
    private float[] actions;
    private OrtSession session;
    private Map<String, OnnxTensor> inputs;

    /** Makes the policies and draws the states. */
    @Setup
    public void create() throws OrtException {
      states = uniform(new Random(4), batch * STATES, -1, 1);
      actions = new float[batch * 2 * SCORES];
      session = session(PolicyExport.actor(model()));
      inputs = Map.of("state", tensor(states, batch, STATES));
    }

    /** Frees what is native. */
    @TearDown
    public void close() throws OrtException {
      inputs.values().forEach(OnnxTensor::close);
      session.close();
      policy.close();
    }
  }

  /** The ranker and one request. */
  @State(Scope.Thread)
  public static class Ranker {

    private final FusionPolicy.Request request = FusionPolicy.of(model()).request();
    private final float[] state = uniform(new Random(4), STATES, -1, 1);
    private final float[] scores = uniform(new Random(5), SCORES * CANDIDATES, 0, 1);
    private long id;
    private OrtSession session;
    private Map<String, OnnxTensor> inputs;

    /** Makes the graph's session. */
    @Setup
    public void create() throws OrtException {
      session = session(PolicyExport.ranker(model()));
      inputs =
          Map.of(
              "state",
              tensor(state, 1, STATES),
              "scores",
              tensor(scores, 1, SCORES, CANDIDATES),
              "count",
              OnnxTensor.createTensor(OrtEnvironment.getEnvironment(), new long[] {SHOWN}));
    }

    /** Frees what is native. */
    @TearDown
    public void close() throws OrtException {
      inputs.values().forEach(OnnxTensor::close);
      session.close();
    }
  }

  /** Actions by the native engine. */
  @Benchmark
  public float[] actorHere(Actor actor) {
    actor.policy.act(actor.states, actor.batch, actor.actions);
    return actor.actions;
  }

  /** Actions, powers and biases by onnxruntime. */
  @Benchmark
  public long actorOnnxruntime(Actor actor) throws OrtException {
    try (OrtSession.Result result = actor.session.run(actor.inputs)) {
      return result.size();
    }
  }

  /** From a state and scores to a page, in plain Java. */
  @Benchmark
  public int[] rankHere(Ranker ranker) {
    ranker.request.begin(ranker.id++).features(ranker.state).rank(ranker.scores, CANDIDATES, SHOWN);
    return ranker.request.page();
  }

  /** The same by onnxruntime. */
  @Benchmark
  public long rankOnnxruntime(Ranker ranker) throws OrtException {
    try (OrtSession.Result result = ranker.session.run(ranker.inputs)) {
      return result.size();
    }
  }
}
