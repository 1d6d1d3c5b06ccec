package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.baseline.SearchBudgetException;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.evaluation.Headroom;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.Learner;
import org.unifiedrl.mtf.experiment.MetricsListener;
import org.unifiedrl.mtf.experiment.OfflineEvaluation;
import org.unifiedrl.mtf.experiment.Pipeline;
import org.unifiedrl.mtf.experiment.ProgressiveTraining;
import org.unifiedrl.mtf.experiment.Round;
import org.unifiedrl.mtf.experiment.RunListener;
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
  private final Watch watch;
  private final Pipeline pipeline;
  private final ExperimentConfig.Population population;
  private final PrintWriter out;
  private final ObjectNode result = Json.object();
  private Policy trainedFrom; // known before a learner opens
  private long searchRequests;

  /** Makes the stages of a run. */
  private interface Stages {
    Pipeline of(
        ExperimentConfig config,
        Environment environment,
        Learner.Factory learners,
        RunListener listener);
  }

  /** A session that trains nothing. */
  Session(ExperimentConfig config, Environment environment, RunFolder folder, RunOptions common) {
    this(config, environment, folder, common, new Watch(common), Pipeline::new);
  }

  /**
   * A session.
   *
   * @param watch what hears of its training; the caller's to close
   */
  Session(
      ExperimentConfig config,
      Environment environment,
      RunFolder folder,
      RunOptions common,
      Watch watch) {
    this(config, environment, folder, common, watch, Pipeline::new);
  }

  /** A session whose stages are those of progressive training. */
  static Session progressive(
      ExperimentConfig config,
      Environment environment,
      RunFolder folder,
      RunOptions common,
      Watch watch) {
    return new Session(config, environment, folder, common, watch, Pipeline::progressive);
  }

  private Session(
      ExperimentConfig config,
      Environment environment,
      RunFolder folder,
      RunOptions common,
      Watch watch,
      Stages stages) {
    this.watch = watch;
    this.config = config;
    this.environment = environment;
    this.folder = folder;
    this.common = common;
    this.out = common.text();
    this.population = config.evaluation().population();
    this.pipeline = pipeline(stages);
    result.put("environment", environment.name());
    ConfigOptions.folder(config.environment())
        .ifPresent(data -> result.put("environment_folder", data.toString()));
    result.put("seed", config.seed());
  }

  private Pipeline pipeline(Stages stages) {
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
              opened(config, learner, checkpoints);
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
      return stages.of(config, environment, announcing, common.listener());
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage(), e);
    }
  }

  /** Everything that training needs is there: only now does the folder change. */
  private void opened(ExperimentConfig own, Learner learner, Path checkpoints) {
    if (learner.step() > own.training().steps()) {
      throw new UsageException(
          "training.steps is "
              + own.training().steps()
              + ", and the newest checkpoint in "
              + checkpoints
              + " is of step "
              + learner.step()
              + " already: give as many steps or more");
    }
    RunFolder trained = new RunFolder(checkpoints.getParent());
    trained.writeConfig(own);
    if (trainedFrom != null) {
      trained.writeBaseline(trainedFrom, searchRequests, environment);
    } else if (learner.step() == 0) { // of a logged policy there is nothing but its clone
      trained.writeBaseline(learner.policy().get(), 0, environment);
    }
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
    folder.writeBaseline(baseline.policy().get(), baseline.requests(), environment);
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
    return searched(pipeline::baseline);
  }

  private static <T> T searched(Supplier<T> stages) {
    try {
      return stages.get();
    } catch (SearchBudgetException e) {
      throw new UsageException(e.getMessage(), e);
    }
  }

  /** Trains on a log, possibly of another run. */
  Supplier<Policy> train(Baseline baseline, Path data, boolean resume) {
    long start = System.nanoTime();
    trainedFrom = baseline.loggedOnly() ? null : baseline.policy().get();
    searchRequests = baseline.requests();
    Pipeline.Trained trained;
    try (MetricsListener metrics = watch.metrics(folder)) {
      trained =
          pipeline.train(
              Pipeline.start(baseline, List.of(data)),
              List.of(data),
              folder.checkpoints(),
              resume,
              metrics);
    }
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
    result.put(RunFolder.PARAMETER_HASH, trained.parameterHash());
    return trained.policy();
  }

  /** Says in the result whose it is. */
  void judge(Checkpoint checkpoint) {
    result.put(RunFolder.PARAMETER_HASH, RunFolder.parameterHash(checkpoint));
  }

  /** Says in the result that lifts are over another trained policy, not over the baseline. */
  void against(Checkpoint checkpoint) {
    result.put("against", RunFolder.parameterHash(checkpoint));
  }

  /** Judges a policy by logged requests of held-out users. */
  void evaluate(Baseline baseline, Supplier<Policy> policy, Path data) {
    OfflineEvaluation offline = pipeline.evaluate(baseline.policy(), policy, data);
    out.print(Results.table(offline));
    out.flush();
    Results.putOffline(result, offline);
  }

  /** Goes through the rounds of progressive training, or those that are left. */
  ProgressiveTraining.Result rounds() {
    folder.writeConfig(config);
    ProgressiveTraining training = new ProgressiveTraining(pipeline, folder.path());
    ProgressiveTraining.Result run = searched(() -> training.run(listener()));
    folder.serve(run.served());
    String table = Results.table(run.rounds(), environment.scoreNames());
    Json.writeText(folder.rounds(), table);
    out.print(table);
    out.println(
        run.served() == 0
            ? "No round's policy was served: the baseline is tested against itself"
            : "Served at the end: " + folder.round(run.served()).path());
    out.flush();
    Results.putRounds(result, run);
    return run;
  }

  private ProgressiveTraining.Listener listener() {
    return new ProgressiveTraining.Listener() {
      @Override
      public void baseline(Baseline baseline) {
        try {
          pipeline.checkExploration(baseline.policy());
        } catch (IllegalArgumentException e) {
          throw new UsageException(e.getMessage(), e);
        }
        searchRequests = baseline.requests();
        folder.writeBaseline(baseline.policy().get(), searchRequests, environment);
      }

      @Override
      public void begin(int number, int rounds) {
        out.printf("Round %d of %d%n", number, rounds);
        out.flush();
      }

      @Override
      public void served(int number, Supplier<Policy> policy) {
        trainedFrom = policy.get();
        folder.round(number).writeBaseline(trainedFrom, searchRequests, environment);
      }

      @Override
      public MetricsListener training(int number) {
        return watch.metrics(folder.round(number));
      }

      @Override
      public void end(Round round) {
        out.print(Results.line(round));
        out.flush();
      }
    };
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

  /** The result is safe by now: a chart that cannot be drawn is not worth losing it. */
  void draw(Runnable drawing) {
    try {
      drawing.run();
    } catch (RuntimeException | Error e) { // a JVM without fonts or a desktop throws errors here
      PrintWriter err = common.spec.commandLine().getErr();
      err.println(
          "unifiedrl: warning: no chart was drawn ("
              + FileErrors.message(e)
              + "); everything else is in "
              + folder.path());
      if (common.verbose) {
        e.printStackTrace(err);
      }
    }
  }
}
