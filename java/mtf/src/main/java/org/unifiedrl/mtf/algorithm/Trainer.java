package org.unifiedrl.mtf.algorithm;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineException;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.NativeReplay;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.engine.checkpoint.Tensor;
import org.unifiedrl.engine.replay.Replay;

/**
 * Trains UnifiedRL on a replay: normalises states and rewards, starts the actor at the baseline
 * policy, runs steps in chunks of one native call, and saves checkpoints (float32) from which
 * training goes on bit-exactly on back ends that compute in float32. One thread at a time; the
 * replay outlives it.
 */
public final class Trainer implements AutoCloseable {

  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

  private static final int CHUNK = Engine.METRIC_ROWS;

  /** Shrinks the actor's first last layer, so that it starts near its bias. */
  private static final float LAST_LAYER_SCALE = 1e-2f;

  private final UnifiedRl algorithm;
  private final Normaliser normaliser;
  private final long rows;
  private final NativeReplay replay;
  private final Engine engine;
  private final CheckpointStore store;
  private final List<String> metricNames;
  private final FloatBuffer metrics;

  /**
   * Prepares training from the start.
   *
   * @param data the log
   * @param options back end and threads; its seed is replaced by the configuration's
   * @param checkpoints where {@link #save} writes
   * @throws EngineException for example when the memory does not do; the message has the remedy
   */
  public Trainer(
      UnifiedRlConfig config, Replay data, EngineOptions options, CheckpointStore checkpoints) {
    this(config, data, options, checkpoints, null);
    for (NetworkRef network : List.of(algorithm.actor(), algorithm.critics())) {
      engine.initialise(network, config.seed() + network.id());
    }
    copyToTargets();
  }

  private Trainer(
      UnifiedRlConfig config,
      Replay data,
      EngineOptions options,
      CheckpointStore checkpoints,
      Normaliser known) {
    algorithm = new UnifiedRl(config, data.schema());
    store = checkpoints;
    normaliser =
        known != null ? known : Normaliser.of(data, config.gamma(), config.normaliseRewards());
    metricNames = algorithm.program().metrics();
    metrics = Engine.directFloats((long) CHUNK * metricNames.size());
    rows = data.rows();
    replay = NativeReplay.of(data);
    try {
      engine = Engine.create(algorithm.program(), replay, options.withSeed(config.seed()));
    } catch (EngineException e) {
      replay.close();
      throw e.status() == EngineException.Status.OUT_OF_MEMORY
          ? e.withRemedy("lower batch, critics_per_group or the hidden sizes")
          : e;
    } catch (RuntimeException | Error e) {
      replay.close();
      throw e;
    }
    engine.writeTensor(algorithm.stateShift(), normaliser.shift());
    engine.writeTensor(algorithm.stateScale(), normaliser.scale());
    engine.writeTensor(algorithm.rewardScale(), normaliser.rewardScale());
    float[] weights = new float[config.rewardGroups()];
    for (int g = 0; g < weights.length; g++) {
      weights[g] = config.groupWeights().get(g).floatValue();
    }
    engine.writeTensor(algorithm.groupWeights(), weights);
  }

  /**
   * Continues from a checkpoint, bit-exactly when the data, the back end and its options are the
   * same and the back end computes in float32.
   *
   * @param checkpoint made by {@link #save}; it has the configuration
   */
  public static Trainer resume(
      Checkpoint checkpoint, Replay data, EngineOptions options, CheckpointStore checkpoints) {
    UnifiedRlConfig config = config(checkpoint);
    long rows = state(checkpoint).path("rows").asLong(-1);
    if (rows != data.rows()) {
      throw new CheckpointException(
          "checkpoint %s was trained on a replay of %d rows, but this one has %d: use the same data"
              .formatted(checkpoint.folder(), rows, data.rows()));
    }
    Normaliser known =
        new Normaliser(
            checkpoint.tensor("state_shift").toFloats(),
            checkpoint.tensor("state_scale").toFloats(),
            checkpoint.tensor("reward_scale").toFloats());
    Trainer trainer = new Trainer(config, data, options, checkpoints, known);
    try {
      trainer.forEachSection(
          (name, network, section) ->
              trainer.write(network, section, checkpoint.tensor(name).toFloats()));
      trainer.engine.setStep(checkpoint.step());
      return trainer;
    } catch (RuntimeException | Error e) {
      trainer.close();
      throw e;
    }
  }

  /** Continues from the newest checkpoint in the store, if there is one. */
  public static Optional<Trainer> resumeLatest(
      Replay data, EngineOptions options, CheckpointStore checkpoints) {
    return checkpoints.latest().map(c -> resume(c, data, options, checkpoints));
  }

  /** The configuration that a checkpoint was trained with. */
  public static UnifiedRlConfig config(Checkpoint checkpoint) {
    try {
      return JSON.treeToValue(state(checkpoint).path("config"), UnifiedRlConfig.class);
    } catch (JsonProcessingException e) {
      throw new CheckpointException(
          "the configuration in " + checkpoint.folder() + " cannot be read: " + e.getMessage(), e);
    }
  }

  private static JsonNode state(Checkpoint checkpoint) {
    try {
      return JSON.readTree(checkpoint.stateJson());
    } catch (JsonProcessingException e) {
      throw new CheckpointException(
          "the state in " + checkpoint.folder() + " is no JSON: " + e.getMessage(), e);
    }
  }

  /**
   * Starts the actor at a constant action: the last layer is shrunk towards 0 and its bias becomes
   * atanh of the action.
   *
   * @param action A values; those at +-1 are drawn in to +-0.999, since tanh does not reach them
   */
  public void startAt(float[] action) {
    NetworkRef actor = algorithm.actor();
    if (action.length != actor.outputs()) {
      throw new IllegalArgumentException(
          "the baseline action has %d values, but the policy has %d"
              .formatted(action.length, actor.outputs()));
    }
    float[] parameters = read(actor, Section.PARAMETERS);
    int biases = parameters.length - action.length;
    int lastWeights = actor.sizes().get(actor.sizes().size() - 2) * action.length;
    for (int i = biases - lastWeights; i < biases; i++) {
      parameters[i] *= LAST_LAYER_SCALE;
    }
    for (int k = 0; k < action.length; k++) {
      if (!(Math.abs(action[k]) <= 1)) {
        throw new IllegalArgumentException(
            "baseline action " + k + " is " + action[k] + "; it must be in [-1, 1]");
      }
      double inner = Math.max(-0.999, Math.min(0.999, action[k]));
      parameters[biases + k] = (float) (0.5 * Math.log((1 + inner) / (1 - inner)));
    }
    write(actor, Section.PARAMETERS, parameters);
    copyToTargets();
  }

  /**
   * Starts the actor as a clone of another policy; the first layer takes in the difference between
   * the two state normalisations.
   */
  public void startAt(MlpPolicy policy) {
    NetworkRef actor = algorithm.actor();
    if (!policy.sizes().equals(actor.sizes())) {
      throw new IllegalArgumentException(
          "the baseline policy has layer sizes %s, but this actor has %s: make them equal"
              .formatted(policy.sizes(), actor.sizes()));
    }
    write(actor, Section.PARAMETERS, policy.parametersFor(normaliser.shift(), normaliser.scale()));
    copyToTargets();
  }

  private void copyToTargets() {
    engine.copyParameters(algorithm.actor(), algorithm.targetActor());
    engine.copyParameters(algorithm.critics(), algorithm.targetCritics());
  }

  /**
   * Trains.
   *
   * @param steps steps to run, at least 1
   * @return metrics by name, averaged over these steps
   * @throws NotFiniteException naming the op and the step; saved checkpoints stay as they are
   */
  public Map<String, Double> run(long steps) {
    if (steps < 1) {
      throw new IllegalArgumentException("steps is " + steps + "; 1 is the least");
    }
    double[] sums = new double[metricNames.size()];
    for (long done = 0; done < steps; ) {
      long chunk = Math.min(CHUNK, steps - done);
      engine.run(chunk);
      int rows = engine.drainMetrics(metrics);
      for (int i = 0; i < rows * sums.length; i++) {
        sums[i % sums.length] += metrics.get(i);
      }
      done += chunk;
    }
    Map<String, Double> means = new LinkedHashMap<>();
    for (int i = 0; i < sums.length; i++) {
      means.put(metricNames.get(i), sums[i] / steps);
    }
    return means;
  }

  /**
   * Trains up to a step, reporting after each chunk and saving at multiples of {@code saveEvery}
   * and at the end.
   *
   * @param untilStep step to reach
   * @param chunk steps between reports, at least 1
   * @param saveEvery steps between checkpoints, at least 1
   */
  public void train(long untilStep, long chunk, long saveEvery, TrainingListener listener) {
    if (chunk < 1 || saveEvery < 1) {
      throw new IllegalArgumentException(
          "chunk is " + chunk + " and saveEvery is " + saveEvery + "; 1 is the least of both");
    }
    for (long step = step(); step < untilStep; step = step()) {
      long next = Math.min(untilStep, (step / saveEvery + 1) * saveEvery);
      listener.progress(Math.min(next, step + chunk), run(Math.min(chunk, next - step)));
      if (step() == next) {
        save();
      }
    }
  }

  /** Writes a checkpoint of the present state and drops old ones. */
  public Path save() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    forEachSection(
        (name, network, section) -> {
          float[] values = read(network, section);
          tensors.put(name, Tensor.of(values, values.length));
        });
    try (MlpPolicy policy = policy()) {
      tensors.putAll(policy.tensors());
    }
    float[] rewardScale = normaliser.rewardScale();
    tensors.put("reward_scale", Tensor.of(rewardScale, rewardScale.length));
    ObjectNode state = JSON.createObjectNode();
    state.put("algorithm", "UnifiedRl");
    state.put("backend", engine.backend());
    state.put("rows", rows);
    state.put("parameter_hash", engine.parameterHash());
    state.set("config", JSON.valueToTree(algorithm.config()));
    return store.save(step(), tensors, state.toString());
  }

  /** Steps completed, those before a resume included. */
  public long step() {
    return engine.step();
  }

  /** Name of the back end that runs the steps. */
  public String backend() {
    return engine.backend();
  }

  /** Bytes that the engine holds. */
  public long bytes() {
    return engine.bytes();
  }

  /** SHA-256 of all parameters, in hexadecimal. */
  public String parameterHash() {
    return engine.parameterHash();
  }

  /** The present policy, independent of this trainer; the caller closes it. */
  public MlpPolicy policy() {
    NetworkRef actor = algorithm.actor();
    int[] sizes = actor.sizes().stream().mapToInt(Integer::intValue).toArray();
    return new MlpPolicy(
        sizes, read(actor, Section.PARAMETERS), normaliser.shift(), normaliser.scale());
  }

  /** The algorithm and its program. */
  public UnifiedRl algorithm() {
    return algorithm;
  }

  private interface SectionVisitor {
    void visit(String name, NetworkRef network, Section section);
  }

  /** All of the state that training changes. */
  private void forEachSection(SectionVisitor visitor) {
    List<NetworkRef> trained = List.of(algorithm.actor(), algorithm.critics());
    for (NetworkRef network : algorithm.program().networks()) {
      visitor.visit(network.name(), network, Section.PARAMETERS);
      if (trained.contains(network)) {
        visitor.visit(network.name() + ".moment1", network, Section.MOMENT1);
        visitor.visit(network.name() + ".moment2", network, Section.MOMENT2);
      }
    }
  }

  private float[] read(NetworkRef network, Section section) {
    float[] values = new float[Math.toIntExact(network.size())];
    FloatBuffer buffer = Engine.directFloats(values.length);
    engine.readNetwork(network, section, buffer);
    buffer.get(values);
    return values;
  }

  private void write(NetworkRef network, Section section, float[] values) {
    if (values.length != network.size()) {
      throw new CheckpointException(
          "%s of %s has %d values, but this configuration and data need %d: they do not belong together"
              .formatted(section, network.name(), values.length, network.size()));
    }
    FloatBuffer buffer = Engine.directFloats(values.length).put(values).flip();
    engine.writeNetwork(network, section, buffer);
  }

  @Override
  public void close() {
    engine.close();
    replay.close();
  }
}
