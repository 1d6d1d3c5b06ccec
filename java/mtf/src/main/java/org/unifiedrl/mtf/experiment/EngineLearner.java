package org.unifiedrl.mtf.experiment;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
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
import org.unifiedrl.mtf.algorithm.Algorithm;
import org.unifiedrl.mtf.algorithm.Cloning;
import org.unifiedrl.mtf.algorithm.CommonConfig;
import org.unifiedrl.mtf.algorithm.LogStatistics;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.policy.Policy;

/** Training of any algorithm: engine, normalisation, metrics and checkpoints around its program. */
public final class EngineLearner implements Learner {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<Section> STATE =
      List.of(Section.PARAMETERS, Section.MOMENT1, Section.MOMENT2);

  private static final String PRECISION = "precision";

  private final Algorithm algorithm;
  private final NativeReplay log;
  private final Engine engine;
  private final CheckpointStore store;
  private final ObjectNode settings;
  private final float[] stateShift;
  private final float[] stateScale;
  private final FloatBuffer metrics;

  private EngineLearner(
      ExperimentConfig config, Replay replay, Start start, Path checkpoints, boolean resume) {
    Algorithms.Chosen chosen = Algorithms.of(config);
    CommonConfig common = chosen.common();
    Transitions transitions = new Transitions(replay.schema());
    requireGranularity(chosen, transitions);
    try {
      algorithm = chosen.create().apply(transitions);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "training.algorithm " + chosen.name() + " and this log do not fit: " + e.getMessage(), e);
    }
    store = new CheckpointStore(checkpoints, config.training().keep());
    Optional<Checkpoint> warm = start.warm().map(CheckpointStore::newest);
    settings = JSON.createObjectNode();
    settings.put("algorithm", chosen.name());
    settings.put("seed", config.seed());
    settings.put("rows", replay.rows());
    settings.set("coefficients", JSON.valueToTree(chosen.coefficients()));
    settings.set("start", JSON.valueToTree(start.action()));
    int cloningSteps = start.cloned().isEmpty() ? 0 : config.training().cloningSteps();
    if (cloningSteps > 0) {
      settings.put("cloning_steps", cloningSteps);
    }
    warm.ifPresent(w -> settings.set("warm_start", state(w).path("parameter_hash")));
    settings.put(PRECISION, name(config.engine().precision()));
    settings.put("policy", algorithm.policy().name().toLowerCase(Locale.ROOT));
    settings.put("version", version());
    settings.put("abi_version", Backends.abiVersion());
    Checkpoint checkpoint = resume ? resumable(checkpoints) : null;
    double scale = 1;
    if (warm.isPresent()) {
      stateShift = warm.get().tensor("state.shift").toFloats();
      stateScale = warm.get().tensor("state.scale").toFloats();
      scale = state(warm.get()).path("reward_scale").asDouble();
    } else {
      LogStatistics statistics = LogStatistics.of(replay, common.discount(), common.groupWeights());
      stateShift = statistics.stateShift();
      stateScale = statistics.stateScale();
      if (common.normaliseReturns() && statistics.returnDeviation() > 0) {
        scale = 1 / statistics.returnDeviation();
      }
    }
    settings.put("reward_scale", scale);
    settings.put("log_fingerprint", fingerprint(replay));
    log = NativeReplay.of(replay);
    Engine created = null;
    try {
      created = Engine.create(algorithm.program(), log, config.engineOptions());
      settings.put("backend", created.backend());
      settings.put("engine", created.description());
      if (checkpoint != null) {
        requireSameRun(checkpoint);
      }
      algorithm.initialise(created, config.seed(), start.action());
      int pairs = transitions.pairs();
      created.writeTensor(algorithm.batch().stateShift(), repeated(stateShift, pairs));
      created.writeTensor(algorithm.batch().stateScale(), repeated(stateScale, pairs));
      float[] rewardScale = new float[common.groups()];
      Arrays.fill(rewardScale, (float) scale);
      created.writeTensor(algorithm.batch().rewardScale(), rewardScale);
      if (checkpoint != null) {
        restore(created, checkpoint);
      } else if (warm.isPresent()) {
        warmStart(created, warm.get());
      } else if (cloningSteps > 0) {
        try (Replay served = Replay.open(start.cloned(), Replay.Options.DEFAULT);
            NativeReplay rows = NativeReplay.of(served)) {
          Cloning.run(
              algorithm,
              transitions,
              created,
              rows,
              config.engineOptions(),
              repeated(stateShift, pairs),
              repeated(stateScale, pairs),
              cloningSteps);
        }
      }
    } catch (RuntimeException | Error e) {
      if (created != null) {
        created.close();
      }
      log.close();
      throw e;
    }
    engine = created;
    metrics = Engine.directFloats((long) Engine.METRIC_ROWS * algorithm.metrics().size());
  }

  /** A list's pairs are one row to an algorithm of pairs, and nothing to any other. */
  private static void requireGranularity(Algorithms.Chosen chosen, Transitions transitions) {
    if (chosen.pairwise() != transitions.pairwise()) {
      throw new IllegalArgumentException(
          "training.algorithm %s learns from a log of exploration.granularity %s, not from one of %s"
              .formatted(
                  chosen.name(),
                  chosen.pairwise() ? "pair" : "user",
                  transitions.pairwise() ? "pair" : "user"));
    }
  }

  /** The same values for every pair of a row. */
  private static float[] repeated(float[] values, int times) {
    float[] all = new float[times * values.length];
    for (int at = 0; at < all.length; at += values.length) {
      System.arraycopy(values, 0, all, at, values.length);
    }
    return all;
  }

  /** Makes learners of the algorithm that the configuration names. */
  public static Factory factory() {
    return new Factory() {
      @Override
      public Learner open(
          ExperimentConfig config, Replay replay, Start start, Path checkpoints, boolean resume) {
        return new EngineLearner(config, replay, start, checkpoints, resume);
      }

      @Override
      public Supplier<Policy> policy(Path checkpoints) {
        return saved(checkpoints).policy();
      }
    };
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
    List<String> names = algorithm.metrics();
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
        tensors.putAll(read(network, section));
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
    // Only the networks that act: a policy is asked for at every report, and critics are many.
    return algorithm
        .policy()
        .of(name -> weights(read(network(name), Section.PARAMETERS), name, stateShift, stateScale));
  }

  private NetworkRef network(String name) {
    return algorithm.networks().stream()
        .filter(network -> network.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalStateException("the algorithm has no network " + name));
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
    requireSame(
        checkpoint,
        List.of(
            "algorithm", "seed", "rows", "coefficients", "start", "cloning_steps", "warm_start"));
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
    String version = EngineLearner.class.getPackage().getImplementationVersion();
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

  /** Takes over the networks that a checkpoint has in the same shape. */
  private void warmStart(Engine target, Checkpoint checkpoint) {
    boolean any = false;
    for (NetworkRef network : algorithm.networks()) {
      ByteBuffer bytes = bytes(network.size());
      Map<String, Tensor> parts = split(network, Section.PARAMETERS, bytes);
      boolean fits =
          parts.entrySet().stream()
              .allMatch(
                  part -> {
                    Tensor saved = checkpoint.tensors().get(part.getKey());
                    return saved != null && Arrays.equals(saved.shape(), part.getValue().shape());
                  });
      if (fits) {
        parts.forEach((name, tensor) -> tensor.data().put(checkpoint.tensor(name).data()));
        target.writeNetwork(network, Section.PARAMETERS, bytes.asFloatBuffer());
        any = true;
      }
    }
    if (!any) {
      throw new CheckpointException(
          checkpoint.folder()
              + " has no network of a shape that "
              + settings.path("algorithm").asText()
              + " trains here: start from a checkpoint of the same algorithm and sizes, or cold");
    }
  }

  private List<Section> sections(NetworkRef network) {
    return algorithm.trained().contains(network) ? STATE : List.of(Section.PARAMETERS);
  }

  private Map<String, Tensor> read(NetworkRef network, Section section) {
    ByteBuffer bytes = bytes(network.size());
    engine.readNetwork(network, section, bytes.asFloatBuffer());
    return split(network, section, bytes);
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

  /**
   * What a checkpoint holds of a policy.
   *
   * @param served how its networks act
   * @param networks parameters of a network's first member by its name; an unknown name is a {@link
   *     CheckpointException}
   * @param checkpoint where it was read
   * @param state its counters and settings
   */
  record Saved(
      ServedPolicy served,
      Function<String, MlpPolicy.Weights> networks,
      Checkpoint checkpoint,
      JsonNode state) {

    Supplier<Policy> policy() {
      return served.of(networks);
    }
  }

  /** Reads the newest policy in a folder of checkpoints. */
  static Saved saved(Path folder) {
    Checkpoint checkpoint = CheckpointStore.newest(folder);
    JsonNode state = state(checkpoint);
    // Checkpoints from before there were several kinds do not name it.
    String kind = state.path("policy").asText("actor").toUpperCase(Locale.ROOT);
    ServedPolicy served =
        Arrays.stream(ServedPolicy.values())
            .filter(known -> known.name().equals(kind))
            .findFirst()
            .orElseThrow(
                () ->
                    new CheckpointException(
                        checkpoint.folder()
                            + " holds a policy of kind "
                            + kind
                            + ", which this version does not know: use the one that wrote it"));
    float[] shift = checkpoint.tensor("state.shift").toFloats();
    float[] scale = checkpoint.tensor("state.scale").toFloats();
    Function<String, MlpPolicy.Weights> networks =
        name -> {
          if (!checkpoint.tensors().containsKey(name + ".layer0.weight")) {
            throw new CheckpointException(
                checkpoint.folder() + " holds no " + name + ": it is not a policy");
          }
          return weights(checkpoint.tensors(), name, shift, scale);
        };
    return new Saved(served, networks, checkpoint, state);
  }

  /** The first member of a network. */
  private static MlpPolicy.Weights weights(
      Map<String, Tensor> tensors, String network, float[] shift, float[] scale) {
    List<Integer> sizes = new ArrayList<>();
    float[] parameters = new float[0];
    for (int l = 0; tensors.containsKey(network + ".layer" + l + ".weight"); l++) {
      Tensor weight = tensors.get(network + ".layer" + l + ".weight");
      int in = (int) weight.shape()[1];
      int out = (int) weight.shape()[2];
      if (l == 0) {
        sizes.add(in);
      }
      sizes.add(out);
      parameters = append(parameters, weight.toFloats(), in * out);
      parameters =
          append(parameters, tensors.get(network + ".layer" + l + ".bias").toFloats(), out);
    }
    int[] units = sizes.stream().mapToInt(Integer::intValue).toArray();
    return new MlpPolicy.Weights(units, parameters, shift, scale);
  }

  private static float[] append(float[] a, float[] b, int length) {
    float[] joined = Arrays.copyOf(a, a.length + length);
    System.arraycopy(b, 0, joined, a.length, length);
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
