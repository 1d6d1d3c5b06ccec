package org.unifiedrl.mtf.experiment;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import java.util.zip.CRC32C;
import org.unifiedrl.engine.Backends;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NativeReplay;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.engine.Precision;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.engine.checkpoint.Tensor;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.algorithm.LogStatistics;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.algorithm.UnifiedRl;
import org.unifiedrl.mtf.algorithm.UnifiedRlConfig;
import org.unifiedrl.mtf.policy.Policy;

/** UnifiedRL's training: engine, normalisation, metrics and checkpoints around its program. */
public final class UnifiedRlLearner implements Learner {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<Section> STATE =
      List.of(Section.PARAMETERS, Section.MOMENT1, Section.MOMENT2);

  private static final String PRECISION = "precision";

  private final UnifiedRl algorithm;
  private final NativeReplay log;
  private final Engine engine;
  private final CheckpointStore store;
  private final ObjectNode settings;
  private final float[] stateShift;
  private final float[] stateScale;
  private final FloatBuffer metrics;

  private UnifiedRlLearner(
      ExperimentConfig config, Replay replay, float[] start, Path checkpoints, boolean resume) {
    UnifiedRlConfig coefficients = coefficients(config.training());
    algorithm = new UnifiedRl(coefficients, replay.schema());
    store = new CheckpointStore(checkpoints, config.training().keep());
    settings = JSON.createObjectNode();
    settings.put("algorithm", "unifiedrl");
    settings.put("seed", config.seed());
    settings.put("rows", replay.rows());
    settings.set("coefficients", JSON.valueToTree(coefficients));
    settings.set("start", JSON.valueToTree(start));
    settings.put(PRECISION, name(config.engine().precision()));
    settings.put("version", version());
    settings.put("abi_version", Backends.abiVersion());
    Checkpoint checkpoint = resume ? resumable(checkpoints) : null;
    LogStatistics statistics =
        LogStatistics.of(replay, coefficients.discount(), coefficients.groupWeights());
    stateShift = statistics.stateShift();
    stateScale = statistics.stateScale();
    double scale = 1;
    if (coefficients.normaliseReturns() && statistics.returnDeviation() > 0) {
      scale = 1 / statistics.returnDeviation();
    }
    settings.put("reward_scale", scale);
    settings.put("log_fingerprint", fingerprint(replay));
    log = NativeReplay.of(replay);
    Engine created = null;
    try {
      created = Engine.create(algorithm.program, log, config.engineOptions());
      settings.put("backend", created.backend());
      settings.put("engine", created.description());
      if (checkpoint != null) {
        requireSameRun(checkpoint);
      }
      algorithm.initialise(created, config.seed(), start);
      created.writeTensor(algorithm.stateShift, stateShift);
      created.writeTensor(algorithm.stateScale, stateScale);
      float[] rewardScale = new float[coefficients.groups()];
      Arrays.fill(rewardScale, (float) scale);
      created.writeTensor(algorithm.rewardScale, rewardScale);
      if (checkpoint != null) {
        restore(created, checkpoint);
      }
    } catch (RuntimeException | Error e) {
      if (created != null) {
        created.close();
      }
      log.close();
      throw e;
    }
    engine = created;
    metrics = Engine.directFloats((long) Engine.METRIC_ROWS * algorithm.program.metrics().size());
  }

  /** Makes learners of UnifiedRL. */
  public static Factory factory() {
    return new Factory() {
      @Override
      public Learner open(
          ExperimentConfig config, Replay replay, float[] start, Path checkpoints, boolean resume) {
        return new UnifiedRlLearner(config, replay, start, checkpoints, resume);
      }

      @Override
      public Supplier<Policy> policy(Path checkpoints) {
        return savedPolicy(checkpoints);
      }
    };
  }

  /** The coefficients among an experiment's settings. */
  public static UnifiedRlConfig coefficients(ExperimentConfig.Training t) {
    return new UnifiedRlConfig(
        t.batch(),
        t.hidden(),
        t.criticsPerGroup(),
        t.eta(),
        t.omega(),
        t.penaltyForm() == ExperimentConfig.PenaltyForm.EXACT,
        t.lambda(),
        t.beta(),
        t.theta(),
        t.discount(),
        t.groupWeights(),
        t.targetRate(),
        t.targetPeriod(),
        t.actorRate(),
        t.criticRate(),
        t.gradientClip(),
        t.normaliseReturns());
  }

  @Override
  public String backend() {
    return engine.backend();
  }

  @Override
  public String description() {
    return engine.description();
  }

  @Override
  public long step() {
    return engine.step();
  }

  @Override
  public Map<String, Double> run(long steps) {
    List<String> names = algorithm.program.metrics();
    double[] sums = new double[names.size()];
    for (long left = steps; left > 0; ) {
      long now = Math.min(left, Engine.METRIC_ROWS);
      engine.run(now);
      int rows = engine.drainMetrics(metrics);
      addMetrics(names, metrics, rows, engine.step() - rows + 1, sums);
      left -= now;
    }
    Map<String, Double> means = new LinkedHashMap<>();
    for (int i = 0; i < sums.length; i++) {
      means.put(names.get(i), sums[i] / steps);
    }
    return means;
  }

  /**
   * Adds rows of metrics to their sums. A float32 loss may overflow while all gradients are still
   * finite: that ends the run here, before a checkpoint of such a state is written.
   */
  static void addMetrics(
      List<String> names, FloatBuffer rows, int count, long firstStep, double[] sums) {
    for (int i = 0; i < count * sums.length; i++) {
      int metric = i % sums.length;
      float value = rows.get(i);
      if (!Float.isFinite(value)) {
        throw new NotFiniteException(
            ("NOT_FINITE: metric '%s' is %s at step %d: restore the last checkpoint and lower the"
                    + " learning rates")
                .formatted(names.get(metric), value, firstStep + i / sums.length));
      }
      sums[metric] += value;
    }
  }

  @Override
  public void save() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (NetworkRef network : algorithm.networks()) {
      for (Section section : sections(network)) {
        ByteBuffer bytes = bytes(network.size());
        engine.readNetwork(network, section, bytes.asFloatBuffer());
        split(network, section, bytes).forEach(tensors::put);
      }
    }
    tensors.put("state.shift", Tensor.of(stateShift, stateShift.length));
    tensors.put("state.scale", Tensor.of(stateScale, stateScale.length));
    ObjectNode state = settings.deepCopy();
    state.put("step", engine.step());
    state.put("parameter_hash", engine.parameterHash());
    store.save(engine.step(), tensors, state.toString());
  }

  @Override
  public String parameterHash() {
    return engine.parameterHash();
  }

  @Override
  public Supplier<Policy> policy() {
    FloatBuffer flat = Engine.directFloats(algorithm.actor.size());
    engine.readNetwork(algorithm.actor, Section.PARAMETERS, flat);
    float[] parameters = new float[flat.capacity()];
    flat.get(0, parameters);
    int[] sizes = algorithm.actor.sizes().stream().mapToInt(Integer::intValue).toArray();
    MlpPolicy.Weights weights = new MlpPolicy.Weights(sizes, parameters, stateShift, stateScale);
    return () -> new MlpPolicy(weights);
  }

  @Override
  public void close() {
    try {
      engine.close();
    } finally {
      log.close();
    }
  }

  private Checkpoint resumable(Path checkpoints) {
    Checkpoint checkpoint =
        store
            .latest()
            .orElseThrow(
                () -> new CheckpointException("no checkpoint in " + checkpoints + " to resume"));
    requireSame(checkpoint, List.of("algorithm", "seed", "rows", "coefficients", "start"));
    requireSamePrecision(checkpoint);
    return checkpoint;
  }

  /** Back end and device may change between two parts of a run; what they compute may not. */
  private void requireSamePrecision(Checkpoint checkpoint) {
    // Checkpoints from before there was a choice do not name it.
    String saved = state(checkpoint).path(PRECISION).asText(name(Precision.FP32));
    String now = settings.path(PRECISION).asText();
    if (!saved.equals(now)) {
      throw new CheckpointException(
          checkpoint.folder()
              + " was trained in precision "
              + saved
              + ", and "
              + now
              + " is asked for; resume in "
              + saved
              + ", or begin a new run");
    }
  }

  private static String name(Precision precision) {
    return precision.name().toLowerCase(Locale.ROOT);
  }

  /** What is known only once the log was read. */
  private void requireSameRun(Checkpoint checkpoint) {
    requireSame(checkpoint, List.of("reward_scale", "log_fingerprint"));
    requireSameBits(checkpoint, "state.shift", stateShift);
    requireSameBits(checkpoint, "state.scale", stateScale);
  }

  private static void requireSameBits(Checkpoint checkpoint, String name, float[] now) {
    // Compared by bits: a sum in another order is another normalisation, and so another run.
    if (!Arrays.equals(checkpoint.tensor(name).toFloats(), now)) {
      throw new CheckpointException(
          checkpoint.folder()
              + " was trained on other data: its "
              + name
              + " is not what this log gives; resume with the run's own configuration and data");
    }
  }

  private void requireSame(Checkpoint checkpoint, List<String> keys) {
    JsonNode saved = state(checkpoint);
    for (String key : keys) {
      // Compared as text: numbers that were read are not always of the type that was written.
      if (!String.valueOf(saved.get(key)).equals(String.valueOf(settings.get(key)))) {
        throw new CheckpointException(
            checkpoint.folder()
                + " was trained with other settings: "
                + key
                + " was "
                + saved.get(key)
                + " and is now "
                + settings.get(key)
                + "; resume with the run's own configuration and data");
      }
    }
  }

  /** CRC32C of all float columns and last flags in row order, however they lie in shards. */
  private static String fingerprint(Replay replay) {
    CRC32C crc = new CRC32C();
    ByteBuffer row =
        ByteBuffer.allocate(replay.schema().rowWidth() * Float.BYTES + 1)
            .order(ByteOrder.LITTLE_ENDIAN);
    float[] values = new float[replay.schema().rowWidth()];
    int columns = replay.schema().columns().size();
    for (long r = 0; r < replay.rows(); r++) {
      row.clear();
      for (int c = 0, at = 0; c < columns; c++) {
        replay.get(r, c, values, at);
        at += replay.schema().columns().get(c).width();
      }
      row.asFloatBuffer().put(values);
      row.put(row.capacity() - 1, (byte) (replay.isLast(r) ? 1 : 0));
      crc.update(row);
    }
    return String.format("%08x", crc.getValue());
  }

  private static String version() {
    String version = UnifiedRlLearner.class.getPackage().getImplementationVersion();
    return version == null ? "unreleased" : version;
  }

  private void restore(Engine target, Checkpoint checkpoint) {
    for (NetworkRef network : algorithm.networks()) {
      for (Section section : sections(network)) {
        ByteBuffer bytes = bytes(network.size());
        split(network, section, bytes)
            .forEach(
                (name, tensor) -> {
                  Tensor saved = checkpoint.tensor(name);
                  if (!Arrays.equals(saved.shape(), tensor.shape())) {
                    throw new CheckpointException(
                        checkpoint.folder()
                            + ": tensor '"
                            + name
                            + "' is "
                            + Arrays.toString(saved.shape())
                            + ", expected "
                            + Arrays.toString(tensor.shape()));
                  }
                  tensor.data().put(saved.data());
                });
        target.writeNetwork(network, section, bytes.asFloatBuffer());
      }
    }
    target.setStep(checkpoint.step());
  }

  private List<Section> sections(NetworkRef network) {
    boolean trained = network.equals(algorithm.actor) || network.equals(algorithm.critic);
    return trained ? STATE : List.of(Section.PARAMETERS);
  }

  /** A section's weights and biases as named views of its bytes. */
  private static Map<String, Tensor> split(NetworkRef network, Section section, ByteBuffer bytes) {
    String suffix =
        section == Section.PARAMETERS ? "" : "." + section.name().toLowerCase(Locale.ROOT);
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    int at = 0;
    for (int l = 0; l + 1 < network.sizes().size(); l++) {
      long e = network.members();
      long in = network.sizes().get(l);
      long out = network.sizes().get(l + 1);
      String layer = network.name() + ".layer" + l;
      for (long[] shape : List.of(new long[] {e, in, out}, new long[] {e, out})) {
        int length = (int) (Arrays.stream(shape).reduce(1, (x, y) -> x * y) * Float.BYTES);
        String name = layer + (shape.length == 3 ? ".weight" : ".bias") + suffix;
        tensors.put(name, new Tensor(Tensor.Type.F32, shape, bytes.slice(at, length)));
        at += length;
      }
    }
    return tensors;
  }

  private static Supplier<Policy> savedPolicy(Path folder) {
    Checkpoint checkpoint =
        Files.exists(folder.resolve("manifest.json"))
            ? CheckpointStore.load(folder)
            : new CheckpointStore(folder, 1)
                .latest()
                .orElseThrow(() -> new CheckpointException("no checkpoint in " + folder));
    int layers = 0;
    while (checkpoint.tensors().containsKey("actor.layer" + layers + ".weight")) {
      layers++;
    }
    if (layers == 0) {
      throw new CheckpointException(checkpoint.folder() + " holds no actor: it is not a policy");
    }
    int[] sizes = new int[layers + 1];
    float[] parameters = new float[0];
    for (int l = 0; l < layers; l++) {
      Tensor weight = checkpoint.tensor("actor.layer" + l + ".weight");
      sizes[l] = (int) weight.shape()[1];
      sizes[l + 1] = (int) weight.shape()[2];
      parameters = append(parameters, weight.toFloats());
      parameters = append(parameters, checkpoint.tensor("actor.layer" + l + ".bias").toFloats());
    }
    MlpPolicy.Weights weights =
        new MlpPolicy.Weights(
            sizes,
            parameters,
            checkpoint.tensor("state.shift").toFloats(),
            checkpoint.tensor("state.scale").toFloats());
    return () -> new MlpPolicy(weights);
  }

  private static float[] append(float[] a, float[] b) {
    float[] joined = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, joined, a.length, b.length);
    return joined;
  }

  private static JsonNode state(Checkpoint checkpoint) {
    try {
      return JSON.readTree(checkpoint.stateJson());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ByteBuffer bytes(long floats) {
    return ByteBuffer.allocateDirect(Math.toIntExact(floats * Float.BYTES))
        .order(ByteOrder.nativeOrder());
  }
}
