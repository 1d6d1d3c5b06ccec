package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.baseline.SearchBudgetException;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.evaluation.Headroom;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.Learner;
import org.unifiedrl.mtf.experiment.OfflineEvaluation;
import org.unifiedrl.mtf.experiment.Pipeline;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;

/**
 * The stages of an experiment with what surrounds them on the command line: files in the run
 * folder, text for the reader, entries of the result.
 */
final class Session {

  private final ExperimentConfig config;
  private final Environment environment;
  private final RunFolder folder;
  private final RunOptions common;
  private final Pipeline pipeline;
  private final ExperimentConfig.Population population;
  private final PrintWriter out;
  private final ObjectNode result = Json.object();
  private Baseline trainedFrom; // while a learner opens

  Session(ExperimentConfig config, Environment environment, RunFolder folder, RunOptions common) {
    this.config = config;
    this.environment = environment;
    this.folder = folder;
    this.common = common;
    this.out = common.text();
    this.population = config.evaluation().population();
    this.pipeline = pipeline();
    result.put("environment", environment.name());
    ConfigOptions.folder(config.environment())
        .ifPresent(data -> result.put("environment_folder", data.toString()));
    result.put("seed", config.seed());
  }

  private Pipeline pipeline() {
    Learner.Factory learners = EngineAccess.learners();
    Learner.Factory announcing =
        new Learner.Factory() {
          @Override
          public Learner open(
              ExperimentConfig config,
              Replay replay,
              Learner.Start start,
              Path checkpoints,
              boolean resume) {
            Learner learner = learners.open(config, replay, start, checkpoints, resume);
            try {
              opened(learner);
            } catch (RuntimeException | Error e) {
              learner.close();
              throw e;
            }
            return learner;
          }

          @Override
          public Supplier<Policy> policy(Path checkpoints) {
            return learners.policy(checkpoints);
          }
        };
    try {
      return new Pipeline(config, environment, announcing, common.listener());
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage(), e);
    }
  }

  /** Everything that training needs is there: only now does the run folder change. */
  private void opened(Learner learner) {
    if (learner.step() > config.training().steps()) {
      throw new UsageException(
          "training.steps is "
              + config.training().steps()
              + ", and the newest checkpoint in "
              + folder.checkpoints()
              + " is of step "
              + learner.step()
              + " already: give as many steps or more");
    }
    folder.writeConfig(config);
    folder.writeBaseline(trainedFrom, environment);
    folder.keepMetrics(learner.step());
  }

  /** Finds the baseline and logs exploration around it. */
  Baseline explore() {
    Baseline baseline = baseline();
    try {
      pipeline.checkExploration(baseline.policy());
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage(), e);
    }
    folder.writeConfig(config);
    folder.writeBaseline(baseline, environment);
    Pipeline.Logged logged = pipeline.explore(baseline.policy(), folder.train(), folder.heldOut());
    out.printf(
        "Logged %,d requests in %,d sessions, and %,d requests of other users for evaluation%n",
        logged.requests(), logged.sessions(), logged.heldOutRequests());
    ObjectNode log = result.putObject("log");
    log.put("search_requests", baseline.requests());
    log.put("requests", logged.requests());
    log.put("sessions", logged.sessions());
    log.put("held_out_requests", logged.heldOutRequests());
    Json.put(log, "reward_per_request", logged.rewardPerRequest());
    return baseline;
  }

  /** A search may turn out to be impossible only when it runs: the run folder waits for it. */
  private Baseline baseline() {
    try {
      return pipeline.baseline();
    } catch (SearchBudgetException e) {
      throw new UsageException(e.getMessage(), e);
    }
  }

  /** Trains on a log, possibly of another run. */
  Supplier<Policy> train(Baseline baseline, Path data, boolean resume) {
    long start = System.nanoTime();
    trainedFrom = baseline;
    Pipeline.Trained trained =
        pipeline.train(
            Learner.Start.at(Pipeline.start(baseline, data)),
            data,
            folder.checkpoints(),
            resume,
            (Long step, Map<String, Double> means) -> folder.appendMetrics(step, means));
    out.printf(
        "Trained %,d steps on back end %s (%s) in %.0f s; parameter hash %s%n",
        trained.steps(),
        trained.backend(),
        trained.engine(),
        (System.nanoTime() - start) / 1e9,
        trained.parameterHash());
    result.put("backend", trained.backend());
    result.put("engine", trained.engine());
    result.put("steps", trained.steps());
    result.put("parameter_hash", trained.parameterHash());
    return trained.policy();
  }

  /** Judges a policy by logged requests of held-out users. */
  void evaluate(Baseline baseline, Supplier<Policy> policy, Path data) {
    OfflineEvaluation offline = pipeline.evaluate(baseline.policy(), policy, data);
    out.print(Results.table(offline));
    out.flush();
    Results.putOffline(result, offline);
  }

  /** Tests a policy on users that nothing was learned from. */
  AbTest.Result compare(Supplier<? extends Policy> baseline, Supplier<Policy> policy) {
    Optional<Headroom> headroom = pipeline.headroom();
    headroom.ifPresent(
        h -> {
          out.print(Results.table(h));
          out.flush();
          Results.putHeadroom(result, h);
        });
    AbTest.Result test = pipeline.compare(baseline, policy);
    out.print(Results.table(test, environment.hasDays() ? "per user and day" : "per user"));
    out.flush();
    Results.putTest(result, test);
    result.put("population", population.name().toLowerCase(Locale.ROOT));
    headroom
        .map(h -> h.regret(policy))
        .ifPresent(
            regret -> {
              out.print(Results.table(regret));
              out.flush();
              Results.putRegret(result, regret);
            });
    return test;
  }

  /** Writes the result into the run folder and where the options say. */
  void finish() {
    folder.writeConfig(config);
    Results.putLimits(result, environment);
    environment.limits().forEach(limit -> out.println("Limit: " + limit));
    Json.write(folder.result(), result);
    out.println("Left in " + folder.path());
    out.flush();
    common.writeJson(result);
  }
}
