package org.unifiedrl.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.stream.Stream;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.ProgressiveTraining;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.report.JsonLines;

/**
 * What a run leaves, and where: {@code config.yaml}, {@code baseline.json}, {@code shards/train},
 * {@code shards/held-out}, {@code checkpoints}, {@code metrics.jsonl}, {@code resources.jsonl},
 * {@code result.json}, {@code chart.png}. Progressive training leaves its logs and checkpoints in
 * {@code rounds/N}, each laid out like this folder, and {@code rounds.md}; {@code checkpoints} is
 * then a link to those of the round whose policy is served at the end.
 */
record RunFolder(Path path) {

  /** Key in results and checkpoints: whose they are. */
  static final String PARAMETER_HASH = "parameter_hash";

  private static final String REFUSED = "refused";
  private static final String LOGGED = "logged_actions";

  /**
   * A folder for a new run, which {@link #writeConfig} creates: a command that is refused leaves
   * nothing.
   *
   * @param chosen what the user asked for, or null for a new folder in ./runs
   * @throws UsageException if it holds something already, or cannot be created
   */
  static RunFolder plan(Path chosen, String command) {
    Path path =
        chosen != null
            ? chosen
            : Path.of(
                "runs",
                command
                    + "-"
                    + LocalDateTime.now(ZoneId.systemDefault())
                        .format(DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss")));
    if (Files.exists(path) && !Files.isDirectory(path)) {
      throw new UsageException("--out " + path + " is a file: give a folder");
    }
    try {
      if (Files.isDirectory(path)) {
        try (Stream<Path> entries = Files.list(path)) {
          if (entries.findAny().isPresent()) {
            throw new UsageException(
                "--out " + path + " holds something already: give a new or an empty folder");
          }
        }
      }
      FileErrors.probe(path);
    } catch (IOException e) {
      throw new UsageException("--out " + path + " cannot be used: " + FileErrors.reason(e), e);
    }
    return new RunFolder(path);
  }

  /**
   * The folder of an earlier run.
   *
   * @param option the option that names it, for messages
   * @throws UsageException if it is not there or not a run's
   */
  static RunFolder open(Path path, String option) {
    RunFolder folder = new RunFolder(path);
    if (!Files.isDirectory(path)) {
      throw new UsageException(option + " " + path + ": there is no such folder");
    }
    if (!Files.isRegularFile(folder.config())) {
      throw new UsageException(
          option
              + " "
              + path
              + " is not a run folder: it has no config.yaml; give what --out of explore, train or"
              + " demo was");
    }
    return folder;
  }

  /**
   * Returns if there is a log in it.
   *
   * @param shards {@link #train} or {@link #heldOut}
   * @throws UsageException if there is none
   */
  void requireLog(Path shards, String option) {
    if (!Files.isDirectory(shards)) {
      throw new UsageException(
          option + " " + path + " holds no log; give the folder of explore or demo");
    }
  }

  /**
   * Returns if there is a policy in it.
   *
   * @throws UsageException if there is none
   */
  void requirePolicy(String option) {
    if (!Files.isDirectory(checkpoints())) {
      throw new UsageException(
          option + " " + path + " holds no policy; give the folder of train or demo");
    }
  }

  /** Hash of the parameters that a checkpoint holds, as results say whom they are of. */
  static String parameterHash(Checkpoint checkpoint) {
    try {
      return Json.MAPPER.readTree(checkpoint.stateJson()).path(PARAMETER_HASH).asText();
    } catch (JsonProcessingException e) {
      throw new UsageException(checkpoint.folder() + ": not JSON: " + e.getMessage(), e);
    }
  }

  Path config() {
    return path.resolve("config.yaml");
  }

  Path train() {
    return path.resolve("shards/train");
  }

  Path heldOut() {
    return path.resolve("shards/held-out");
  }

  Path checkpoints() {
    return path.resolve("checkpoints");
  }

  Path result() {
    return path.resolve("result.json");
  }

  Path chart() {
    return path.resolve("chart.png");
  }

  Path metrics() {
    return path.resolve(JsonLines.METRICS);
  }

  /** Table of the rounds of progressive training. */
  Path rounds() {
    return path.resolve("rounds.md");
  }

  /** A round of progressive training; from 1. */
  RunFolder round(int number) {
    return new RunFolder(ProgressiveTraining.folder(path, number));
  }

  /**
   * Where the policy of this run was trained: of progressive training the folder of the round whose
   * policy is served at the end, with its own log, box and baseline.
   */
  RunFolder trained() {
    if (!Files.isSymbolicLink(checkpoints())) {
      return this;
    }
    try {
      return new RunFolder(checkpoints().toRealPath().getParent());
    } catch (IOException e) {
      throw new UsageException(path + ": its policy cannot be found: " + FileErrors.reason(e), e);
    }
  }

  /** Makes the policy of a round that of the run; 0 for none. */
  void serve(int round) {
    try {
      DurableFiles.deleteTree(checkpoints());
      if (round > 0) {
        Files.createSymbolicLink(checkpoints(), path.relativize(round(round).checkpoints()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot link " + checkpoints() + ": " + FileErrors.reason(e), e);
    }
  }

  private Path baseline() {
    return path.resolve("baseline.json");
  }

  void writeConfig(ExperimentConfig config) {
    Json.writeText(config(), Configuration.yaml(config));
  }

  /**
   * Keeps what the run's log was explored around.
   *
   * @param served the policy
   * @param requests environment requests that its search took
   */
  void writeBaseline(Policy served, long requests, Environment environment) {
    ObjectNode node = Json.object();
    node.put("search_requests", requests);
    if (served instanceof MlpPolicy network) {
      node.set("network", Json.MAPPER.valueToTree(network.weights()));
    } else if (served instanceof ConstantPolicy constant) {
      node.set("action", Json.MAPPER.valueToTree(constant.action()));
      node.set("scores", scores(constant.action(), environment));
    } else {
      node.put(
          REFUSED,
          "this round explored around a policy that is neither one action nor one network, as that"
              + " of training.algorithm bcq: no other command can take it as the baseline");
    }
    Json.write(baseline(), node);
  }

  /**
   * Keeps what an imported log was explored around.
   *
   * @param action normalised, if it was the same in all requests; else null
   */
  void writeBaseline(float[] action, Environment environment) {
    if (action == null) {
      Json.write(baseline(), Json.object().put(LOGGED, true));
    } else {
      writeBaseline(new ConstantPolicy(environment.stateSize(), action), 0, environment);
    }
  }

  private static ObjectNode scores(float[] action, Environment environment) {
    ObjectNode scores = Json.object();
    int count = environment.scoreNames().size();
    for (int i = 0; i < count; i++) {
      ObjectNode score = scores.putObject(environment.scoreNames().get(i));
      score.put("power", environment.actionMap().power(i, action[i]));
      score.put("bias", environment.actionMap().bias(i, action[i + count]));
    }
    return scores;
  }

  /** The baseline that the run's log was explored around. */
  Baseline readBaseline(Environment environment) {
    try {
      JsonNode node = Json.MAPPER.readTree(Files.readString(baseline()));
      if (node.has(REFUSED)) {
        throw new UsageException(path + ": " + node.path(REFUSED).asText());
      }
      if (node.path(LOGGED).asBoolean()) {
        return Baseline.logged(environment.stateSize());
      }
      long requests = node.path("search_requests").asLong();
      Baseline found =
          node.has("network")
              ? Baseline.personal(
                  Json.MAPPER.treeToValue(node.get("network"), MlpPolicy.Weights.class), requests)
              : Baseline.constant(
                  new ConstantPolicy(
                      environment.stateSize(),
                      Json.MAPPER.treeToValue(node.path("action"), float[].class)),
                  requests);
      Policy policy = found.policy().get();
      if (policy.stateSize() != environment.stateSize()
          || policy.actionSize() != environment.actionSize()) {
        throw new IllegalStateException(
            "%s: environment %s has %d state features and %d action values, found %d and %d"
                .formatted(
                    baseline(),
                    environment.name(),
                    environment.stateSize(),
                    environment.actionSize(),
                    policy.stateSize(),
                    policy.actionSize()));
      }
      return found;
    } catch (IOException e) {
      throw new UsageException(
          path
              + " has no readable baseline.json ("
              + FileErrors.reason(e)
              + "): run explore, import or demo first",
          e);
    }
  }

  /** All whole lines of metrics so far. */
  List<JsonNode> readMetrics() {
    return JsonLines.read(metrics());
  }
}
