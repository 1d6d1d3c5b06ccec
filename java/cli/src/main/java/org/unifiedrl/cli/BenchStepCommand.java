package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.unifiedrl.engine.Backends;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.NativeReplay;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.algorithm.UnifiedRl;
import org.unifiedrl.mtf.algorithm.UnifiedRlConfig;
import org.unifiedrl.mtf.experiment.Algorithms;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "step",
    description = {
      "Times the full UnifiedRL step on random data, on a processor beside its own matrix-product"
          + " limit measured in the same run. Work counts matrix products only, without input gradients"
          + " that nobody needs.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl bench step",
      "  unifiedrl bench step --batch 4096 --threads 2 --json -",
      "  unifiedrl bench step --hidden 64,64 --repeats 9",
      "  unifiedrl bench step --backend cuda --batch 4096 --precision bf16"
    })
final class BenchStepCommand implements Callable<Integer> {

  private static final int ROWS = 50_000;
  private static final int SESSION = 10;
  private static final int LIMIT_SIZE = 1024;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      defaultValue = "auto",
      description = "auto, cuda, cpu or reference (default: ${DEFAULT-VALUE}).")
  String backend;

  @Option(
      names = "--batch",
      paramLabel = "B",
      defaultValue = "256",
      description = "Requests per step (default: ${DEFAULT-VALUE}).")
  int batch;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "1",
      description = "Threads (default: ${DEFAULT-VALUE}).")
  int threads;

  @Option(
      names = "--state",
      paramLabel = "S",
      defaultValue = "128",
      description = "State features (default: ${DEFAULT-VALUE}).")
  int state;

  @Option(
      names = "--action",
      paramLabel = "A",
      defaultValue = "10",
      description = "Action dimensions (default: ${DEFAULT-VALUE}).")
  int action;

  @Option(
      names = "--hidden",
      paramLabel = "H",
      split = ",",
      defaultValue = "256,256",
      description = "Hidden units per layer (default: ${DEFAULT-VALUE}).")
  List<Integer> hidden;

  @Option(
      names = "--critics",
      paramLabel = "M",
      defaultValue = "24",
      description = "Critics in each of the two groups (default: ${DEFAULT-VALUE}).")
  int critics;

  @Option(
      names = "--seconds",
      paramLabel = "T",
      defaultValue = "2",
      description = "Length of one measurement (default: ${DEFAULT-VALUE}).")
  double seconds;

  @Option(
      names = "--repeats",
      paramLabel = "R",
      defaultValue = "5",
      description = "Measurements, whose median counts (default: ${DEFAULT-VALUE}).")
  int repeats;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "Key of the random data and weights (default: ${DEFAULT-VALUE}).")
  long seed;

  @Mixin DeviceOptions device;
  @Mixin ReportOptions common;

  @Override
  public Integer call() {
    common.check();
    if (batch < 1
        || threads < 1
        || state < 1
        || action < 1
        || critics < 1
        || repeats < 1
        || !(seconds > 0)
        || hidden.stream().anyMatch(units -> units < 1)) {
      throw new UsageException(
          "batch, threads, state, action, hidden, critics, seconds and repeats must be positive");
    }
    EngineOptions options = options();
    EngineAccess.requireEngine(options);
    ObjectNode result = measure(options);
    common.text().println(text(result));
    common.write(result);
    return 0;
  }

  private EngineOptions options() {
    EngineOptions options =
        EngineOptions.DEFAULT.withBackend(backend).withThreads(threads).withSeed(seed);
    if (device.precision != null) {
      options = options.withPrecision(device.precision);
    }
    if (device.replay != null) {
      options = options.withReplay(device.replay);
    }
    try {
      return device.device == null ? options : options.withDevice(device.device);
    } catch (IllegalArgumentException e) {
      throw new UsageException("--device: " + e.getMessage(), e);
    }
  }

  private String text(ObjectNode result) {
    String limit =
        result.get("limit_gflops").isNull()
            ? ""
            : String.format(
                Locale.ROOT,
                ", %.2f of the limit %.1f",
                result.get("fraction_of_limit").asDouble(),
                result.get("limit_gflops").asDouble());
    return String.format(
        Locale.ROOT,
        "%s, %s, batch %d, %d thread(s): %.3f steps/s = %.1f GFLOP/s%s;"
            + " %.0f Java bytes a step, peak memory %.0f MiB",
        result.get("backend").asText(),
        result.get("precision").asText(),
        batch,
        threads,
        result.get("steps_per_s").asDouble(),
        result.get("gflops").asDouble(),
        limit,
        result.get("java_bytes_per_step").asDouble(),
        result.get("peak_rss_mib").asDouble());
  }

  private ObjectNode measure(EngineOptions options) {
    Path folder = temporaryFolder();
    try {
      writeReplay(folder);
      UnifiedRlConfig config = config();
      try (Replay replay = Replay.open(folder);
          NativeReplay log = NativeReplay.of(replay)) {
        UnifiedRl algorithm = new UnifiedRl(config, new Transitions(replay.schema()));
        try (Engine engine = Engine.create(algorithm.program(), log, options)) {
          algorithm.initialise(engine, seed, new float[action]);
          engine.writeTensor(algorithm.batch().stateScale(), ones(state));
          engine.writeTensor(algorithm.batch().rewardScale(), ones(config.groups()));
          ObjectNode result = measure(engine, algorithm.multiplyAdds());
          result.put("device", options.device());
          result.put("precision", options.precision().name().toLowerCase(Locale.ROOT));
          result.put("replay", options.replay().name().toLowerCase(Locale.ROOT));
          return result;
        }
      }
    } finally {
      delete(folder);
    }
  }

  private ObjectNode measure(Engine engine, long multiplyAdds) {
    engine.run(2); // pages, caches and clocks
    long start = System.nanoTime();
    engine.run(2);
    double perStep = (System.nanoTime() - start) / 2e9;
    long steps = Math.max(1, Math.round(seconds / perStep));
    double[] rates = new double[repeats];
    // The limit is the processor's: a device of its own is not to be measured against it.
    boolean host = !engine.backend().equals(Backends.CUDA);
    double[] limits = new double[host ? repeats : 0];
    long bytes = 0;
    for (int r = 0; r < repeats; r++) {
      // Limit and step in turn: what slows the machine for a while slows both.
      if (host) {
        limits[r] = Backends.measureSgemm(LIMIT_SIZE, threads, 5);
      }
      long allocated = Machine.allocatedBytes();
      start = System.nanoTime();
      engine.run(steps);
      rates[r] = steps / ((System.nanoTime() - start) / 1e9);
      bytes += Machine.allocatedBytes() - allocated;
    }
    Arrays.sort(rates);
    double rate = rates[repeats / 2];
    double limit = Arrays.stream(limits).max().orElse(Double.NaN);
    double gflops = rate * 2 * multiplyAdds * batch / 1e9;
    ObjectNode result = Json.object();
    result.put("backend", engine.backend());
    result.put("engine", engine.description());
    result.put("batch", batch);
    result.put("threads", threads);
    Json.put(result, "steps_per_s", rate);
    Json.put(result, "gflops", gflops);
    Json.put(result, "limit_gflops", limit);
    Json.put(result, "fraction_of_limit", gflops / limit);
    Json.put(result, "java_bytes_per_step", (double) bytes / (steps * repeats));
    Json.put(result, "peak_rss_mib", Machine.peakResidentMebibytes());
    Json.put(result, "steps_per_s_least", rates[0]);
    Json.put(result, "steps_per_s_most", rates[repeats - 1]);
    result.put("multiply_adds_per_sample", multiplyAdds);
    result.put("engine_bytes", engine.bytes());
    result.put("processor", Machine.processor());
    return result;
  }

  private UnifiedRlConfig config() {
    ExperimentConfig.Training t = ExperimentConfig.defaults().training();
    return Algorithms.unifiedRl(
        new ExperimentConfig.Training(
            t.algorithm(),
            t.steps(),
            batch,
            hidden,
            critics,
            t.eta(),
            t.omega(),
            t.penaltyForm(),
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
            t.normaliseReturns(),
            t.cloningSteps(),
            t.report(),
            t.checkpoint(),
            t.keep()));
  }

  /** Random requests: the time of a step does not depend on what they hold. */
  private void writeReplay(Path folder) {
    ReplaySchema schema = ReplaySchema.standard(state, action, 2, Map.of());
    SplittableRandom random = new SplittableRandom(seed);
    float[] row = new float[schema.rowWidth()];
    int at = state;
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < state; k++) {
          row[k] = (float) (random.nextDouble() * 2 - 1);
        }
        for (int k = 0; k < action; k++) {
          float centre = (float) (random.nextDouble() - 0.5);
          row[at + k] = centre + (float) (random.nextDouble() - 0.5) * 0.2f;
          row[at + action + k] = centre;
          row[at + 2 * action + k] = centre - 0.15f;
          row[at + 3 * action + k] = centre + 0.15f;
        }
        row[at + 4 * action] = (float) random.nextDouble();
        row[at + 4 * action + 1] = (float) random.nextDouble();
        row[at + 4 * action + 2] = 0;
        writer.append(i / SESSION, i / SESSION, i, i % SESSION == SESSION - 1, row);
      }
    }
  }

  private static float[] ones(int size) {
    float[] values = new float[size];
    Arrays.fill(values, 1);
    return values;
  }

  private static Path temporaryFolder() {
    try {
      return Files.createTempDirectory("unifiedrl-bench");
    } catch (IOException e) {
      throw new UncheckedIOException("no temporary folder: " + e.getMessage(), e);
    }
  }

  private static void delete(Path folder) {
    try (Stream<Path> tree = Files.walk(folder)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot remove " + folder + ": " + e.getMessage(), e);
    }
  }
}
