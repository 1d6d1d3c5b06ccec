package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.RunListener;
import org.unifiedrl.mtf.pendulum.PendulumBenchmark;
import org.unifiedrl.mtf.pendulum.PendulumData;
import org.unifiedrl.mtf.study.SeedSummary;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "pendulum",
    description = {
      "Trains the algorithms offline on logged transitions of Pendulum-v1 and scores their policies"
          + " on its dynamics, from 0 for random actions to 100 for a trained policy, so that they"
          + " can be compared with their reference implementations.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl bench pendulum --data pendulum-medium.npz",
      "  unifiedrl bench pendulum --data pendulum-medium.npz --algorithms td3_bc,iql --seeds 10"
    })
final class BenchPendulumCommand implements Callable<Integer> {

  @Mixin RunOptions common;
  @Mixin ConfigOptions options;

  @Option(
      names = "--data",
      paramLabel = "FILE",
      required = true,
      description = "Transitions, as numpy.savez writes them.")
  Path data;

  @Option(
      names = "--algorithms",
      paramLabel = "NAME",
      split = ",",
      description = "Only these (default: all).")
  List<String> algorithms;

  @Option(
      names = "--seeds",
      paramLabel = "N",
      defaultValue = "5",
      description = "Trainings of each, from --seed on (default: 5).")
  int seeds;

  /**
   * Settings over the defaults.
   *
   * @param settings of all algorithms
   * @param algorithms then of each
   */
  record Definition(
      Map<String, JsonNode> settings, Map<String, Map<String, JsonNode>> algorithms) {}

  /** An algorithm's trainings. */
  private record Row(
      String algorithm, SeedSummary score, SeedSummary returns, SeedSummary seconds) {}

  @Override
  public Integer call() {
    common.checkJson();
    if (seeds < 1) {
      throw new UsageException("--seeds is " + seeds + ": expected at least 1");
    }
    if (!Files.isRegularFile(data)) {
      throw new UsageException("--data " + data + " is no file");
    }
    Definition definition = definition();
    List<String> names =
        algorithms == null ? List.copyOf(definition.algorithms().keySet()) : algorithms;
    Map<String, List<ExperimentConfig>> configs = new LinkedHashMap<>();
    for (String name : names) {
      configs.put(name, configs(definition, name));
    }
    ExperimentConfig first = configs.get(names.get(0)).get(0);
    EngineAccess.requireEngine(first.engineOptions());
    RunFolder folder = RunFolder.plan(common.out, "pendulum");
    folder.writeConfig(first);
    List<Row> rows = new ArrayList<>();
    try {
      PendulumData.write(data, folder.train());
      try (Replay replay = Replay.open(folder.train());
          RunListener.Stage stage =
              common.listener().begin("pendulum", "training", (long) configs.size() * seeds)) {
        for (String name : configs.keySet()) {
          int before = rows.size() * seeds;
          rows.add(row(name, configs.get(name), replay, folder.path(), stage, before));
        }
      }
    } catch (IOException e) {
      throw new UsageException("--data " + FileErrors.reason(e), e);
    }
    PrintWriter text = common.text();
    text.print(markdown(rows));
    text.flush();
    ObjectNode result = json(rows);
    Json.write(folder.result(), result);
    common.writeJson(result);
    return 0;
  }

  private Row row(
      String name,
      List<ExperimentConfig> configs,
      Replay replay,
      Path folder,
      RunListener.Stage stage,
      int before) {
    double[] scores = new double[seeds];
    double[] returns = new double[seeds];
    double[] seconds = new double[seeds];
    for (int s = 0; s < seeds; s++) {
      stage.at(before + s, name);
      PendulumBenchmark.Result found =
          PendulumBenchmark.run(
              configs.get(s),
              EngineAccess.learners(),
              replay,
              folder.resolve("checkpoints").resolve(name + "-" + configs.get(s).seed()));
      scores[s] = found.score();
      returns[s] = found.meanReturn();
      seconds[s] = found.seconds();
    }
    return new Row(name, SeedSummary.of(scores), SeedSummary.of(returns), SeedSummary.of(seconds));
  }

  /** One configuration a seed. */
  private List<ExperimentConfig> configs(Definition definition, String name) {
    Map<String, JsonNode> own = definition.algorithms().get(name);
    if (own == null) {
      throw new UsageException(
          "--algorithms "
              + name
              + ": expected some of "
              + String.join(", ", definition.algorithms().keySet()));
    }
    Configuration configuration = Configuration.of(ExperimentConfig.defaults());
    configuration.set(definition.settings(), "pendulum.yaml");
    configuration.put("training", "algorithm", name);
    configuration.set(own, "pendulum.yaml");
    options.apply(configuration);
    if (common.seed != null) {
      configuration.put("seed", common.seed);
    }
    ExperimentConfig first = configuration.get();
    ConfigOptions.check(first);
    List<ExperimentConfig> configs = new ArrayList<>();
    for (int s = 0; s < seeds; s++) {
      configuration.put("seed", first.seed() + s);
      configs.add(configuration.get());
    }
    return configs;
  }

  private static Definition definition() {
    try (InputStream stream = BenchPendulumCommand.class.getResourceAsStream("pendulum.yaml")) {
      return Configuration.YAML
          .readerFor(Definition.class)
          .with(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .readValue(stream);
    } catch (IOException e) {
      throw new UncheckedIOException("pendulum.yaml cannot be read", e);
    }
  }

  private static String markdown(List<Row> rows) {
    StringBuilder text = new StringBuilder();
    text.append("| algorithm | seeds | score, mean ± sd | 95 % interval | return | seconds |\n");
    text.append("| --- | --- | --- | --- | --- | --- |\n");
    for (Row row : rows) {
      SeedSummary score = row.score();
      text.append(
          String.format(
              Locale.ROOT,
              "| %s | %d | %.1f ± %.1f | [%.1f, %.1f] | %.1f | %.1f |%n",
              row.algorithm(),
              score.seeds(),
              score.mean(),
              score.deviation(),
              score.low(),
              score.high(),
              row.returns().mean(),
              row.seconds().mean()));
    }
    return text.toString();
  }

  private static ObjectNode json(List<Row> rows) {
    ObjectNode result = Json.object();
    result.put("episodes", PendulumBenchmark.EPISODES);
    ArrayNode array = result.putArray("algorithms");
    for (Row row : rows) {
      ObjectNode node = array.addObject();
      node.put("algorithm", row.algorithm());
      node.put("seeds", row.score().seeds());
      Json.put(node, "score", row.score().mean());
      Json.put(node, "deviation", row.score().deviation());
      Json.put(node, "low", row.score().low());
      Json.put(node, "high", row.score().high());
      Json.put(node, "return", row.returns().mean());
      Json.put(node, "seconds", row.seconds().mean());
    }
    return result;
  }
}
