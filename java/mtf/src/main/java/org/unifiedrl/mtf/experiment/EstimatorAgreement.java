package org.unifiedrl.mtf.experiment;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimate;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;
import org.unifiedrl.mtf.evaluation.RankCorrelation;
import org.unifiedrl.mtf.experiment.ExperimentConfig.Estimator;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Rollout;

/**
 * How far off-policy estimators put policies in the order of their true values, which only an
 * environment that can be asked knows: policies of many kinds are judged by one exploration log of
 * held-out users, and serve the test users under common random numbers.
 *
 * <p>The policies: the baseline; constant vectors at a third, two thirds and the whole of the way
 * from it to the box's edge, in random directions; and learned policies at some checkpoints. The
 * truth: the mean over sessions of the discounted return, which PDIS, SNPDIS and FQE estimate. The
 * other estimators judge the discounted return-to-go of all logged requests instead, so that only
 * their order can be compared.
 */
public final class EstimatorAgreement {

  private static final long CONSTANT_KEY = 0x434f_4e53L;
  private static final long TRUTH_KEY = 0x5452_5545L;

  /** NCIS as {@code evaluate} prints it, and with a kernel truncated to the box. */
  private static final String NCIS = "ncis";

  private static final String NCIS_IN_BOX = "ncis_in_box";

  /** Estimators of what is called the truth here, not only of its order. */
  private static final Set<String> OF_SESSIONS = Set.of("pdis", "snpdis", "fqe", "cfqe");

  private EstimatorAgreement() {}

  /**
   * Which policies are judged.
   *
   * @param constants constant vectors beside the baseline, at least 0
   * @param checkpoints training steps after which the learned policy is taken, ascending
   */
  public record Settings(int constants, List<Long> checkpoints) {

    /** Checks every value. */
    public Settings {
      checkpoints = List.copyOf(checkpoints);
      long before = 0;
      for (long step : checkpoints) {
        if (step <= before) {
          throw new IllegalArgumentException(
              "checkpoints are " + checkpoints + ": expected ascending steps from 1 on");
        }
        before = step;
      }
      if (constants < 0 || 1 + constants + checkpoints.size() < 5) {
        throw new IllegalArgumentException(
            constants
                + " constants and "
                + checkpoints.size()
                + " checkpoints: an order needs 5 policies or more, the baseline being one");
      }
    }

    /** Six constants and checkpoints of 100 to 3,000 steps: twelve policies with the baseline. */
    public static Settings defaults() {
      return new Settings(6, List.of(100L, 300L, 1_000L, 2_000L, 3_000L));
    }
  }

  /**
   * One policy.
   *
   * @param name such as {@code constant 0.67} or {@code learned 300}
   * @param truth its true value, with its interval over users
   * @param estimates what each estimator says
   */
  public record JudgedPolicy(
      String name, Interval truth, Map<String, OffPolicyEstimate> estimates) {}

  /**
   * One estimator.
   *
   * @param estimator its name
   * @param correlation Spearman's, of its values and the true ones over the policies that it does
   *     not refuse; not a number for fewer than 5
   * @param judged policies that it does not refuse
   * @param policies all policies
   * @param regret how much worse than the best policy the one is that it puts first, in percent of
   *     the best one's value
   * @param error mean distance of its values from the true ones, in percent of these; not a number
   *     where it estimates something else
   * @param essShare median share of the effective sample size, of all policies; not a number where
   *     nothing is weighted
   * @param seconds time that it took for all policies
   */
  public record Agreement(
      String estimator,
      Interval correlation,
      int judged,
      int policies,
      double regret,
      double error,
      double essShare,
      double seconds) {}

  /**
   * The outcome.
   *
   * @param requests requests of the log that the estimators saw
   * @param policies in the order in which they were made
   * @param agreements NCIS in both forms, then {@code evaluation.estimators}
   */
  public record Result(long requests, List<JudgedPolicy> policies, List<Agreement> agreements) {

    /** What one estimator makes of the policies. */
    public Agreement of(String estimator) {
      return agreements.stream()
          .filter(a -> a.estimator().equals(estimator))
          .findFirst()
          .orElseThrow(() -> new IllegalArgumentException("no estimator '" + estimator + "'"));
    }

    /** Two tables in Markdown: estimators, and policies. */
    public String markdown() {
      StringBuilder text = new StringBuilder();
      text.append(
          "| estimator | rank correlation | judged | regret of its first, % | error, % | ESS, % |"
              + " seconds |\n| --- | --- | --- | --- | --- | --- | --- |\n");
      for (Agreement a : agreements) {
        text.append(
            String.format(
                Locale.ROOT,
                "| %s | %s | %d of %d | %s | %s | %s | %.1f |%n",
                a.estimator(),
                number("%.2f", a.correlation().mean())
                    + (Double.isNaN(a.correlation().mean())
                        ? ""
                        : String.format(
                            Locale.ROOT,
                            " [%.2f, %.2f]",
                            a.correlation().low(),
                            a.correlation().high())),
                a.judged(),
                a.policies(),
                number("%.2f", a.regret()),
                number("%.1f", a.error()),
                number("%.2g", 100 * a.essShare()),
                a.seconds()));
      }
      text.append("\n| policy | true value | ");
      text.append(String.join(" | ", policies.get(0).estimates().keySet()));
      text.append(" |\n| --- | --- |").append(" --- |".repeat(agreements.size())).append('\n');
      for (JudgedPolicy policy : policies) {
        text.append(
            String.format(
                Locale.ROOT,
                "| %s | %.3f [%.3f, %.3f] |",
                policy.name(),
                policy.truth().mean(),
                policy.truth().low(),
                policy.truth().high()));
        for (OffPolicyEstimate estimate : policy.estimates().values()) {
          text.append(
              estimate.refused()
                  ? " refused |"
                  : String.format(Locale.ROOT, " %.3f |", estimate.value()));
        }
        text.append('\n');
      }
      return text.toString();
    }

    private static String number(String format, double value) {
      return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, format, value);
    }
  }

  /**
   * Measures.
   *
   * @param config logs, training and estimators; {@code exploration.users} are learned from, {@code
   *     exploration.held_out_users} judged by, {@code evaluation.users} serve for the truth
   * @param folder receives logs and checkpoints
   */
  public static Result run(
      ExperimentConfig config,
      Environment environment,
      Learner.Factory learners,
      Settings settings,
      Path folder,
      RunListener listener) {
    Pipeline pipeline = new Pipeline(config, environment, learners, listener);
    Baseline baseline = pipeline.baseline();
    Path train = folder.resolve("train");
    Path heldOut = folder.resolve("held-out");
    pipeline.explore(baseline.policy(), train, heldOut);
    Learner.Start start = Pipeline.start(baseline, List.of(train));
    Map<String, Supplier<? extends Policy>> policies = new LinkedHashMap<>();
    policies.put("baseline", baseline.policy());
    try (Replay replay = Replay.open(heldOut)) {
      constants(replay, start.action(), config.seed(), settings.constants()).forEach(policies::put);
    }
    learned(config, learners, train, start, settings.checkpoints(), folder).forEach(policies::put);
    UserRange users = Populations.of(environment, config).test();
    List<Interval> truths = truths(config, environment, users, policies.values(), listener);
    try (Replay replay = Replay.open(heldOut)) {
      return judge(config, replay, policies, truths, listener);
    }
  }

  /** Vectors around the baseline's (mean) action, as far as its first box reaches around it. */
  private static Map<String, Supplier<? extends Policy>> constants(
      Replay replay, float[] start, long seed, int count) {
    Map<String, Supplier<? extends Policy>> found = new LinkedHashMap<>();
    ReplaySchema schema = replay.schema();
    int states = schema.columns().get(schema.columnIndex(ReplaySchema.STATE)).width();
    float[] centre = new float[start.length];
    float[] low = new float[start.length];
    float[] high = new float[start.length];
    replay.get(0, schema.columnIndex(ReplaySchema.BASELINE_ACTION), centre, 0);
    replay.get(0, schema.columnIndex(ReplaySchema.BOX_LOW), low, 0);
    replay.get(0, schema.columnIndex(ReplaySchema.BOX_HIGH), high, 0);
    for (int c = 0; c < count; c++) {
      float part = (1 + c % 3) / 3f;
      float[] action = start.clone();
      for (int k = 0; k < action.length; k++) {
        long bits = Philox.bits(seed ^ CONSTANT_KEY, c, k);
        float edge = bits < 0 ? low[k] : high[k];
        action[k] = Math.max(-1, Math.min(1, action[k] + part * (edge - centre[k])));
      }
      ConstantPolicy policy = new ConstantPolicy(states, action);
      found.put(String.format(Locale.ROOT, "constant %d at %.2f", c + 1, part), () -> policy);
    }
    return found;
  }

  private static Map<String, Supplier<? extends Policy>> learned(
      ExperimentConfig config,
      Learner.Factory learners,
      Path train,
      Learner.Start start,
      List<Long> checkpoints,
      Path folder) {
    Map<String, Supplier<? extends Policy>> found = new LinkedHashMap<>();
    try (Replay replay = Replay.open(train);
        Learner learner =
            learners.open(config, replay, start, folder.resolve("checkpoints"), false)) {
      for (long step : checkpoints) {
        learner.run(step - learner.step());
        found.put("learned " + step, learner.policy());
      }
    }
    return found;
  }

  /** True values; policies are served side by side. */
  private static List<Interval> truths(
      ExperimentConfig config,
      Environment environment,
      UserRange users,
      Iterable<Supplier<? extends Policy>> policies,
      RunListener listener) {
    ExecutorService executor = Executors.newFixedThreadPool(config.effectiveThreads());
    try (RunListener.Stage stage = listener.begin("truth", "users", users.count())) {
      List<Future<double[][]>> running = new ArrayList<>();
      for (Supplier<? extends Policy> policy : policies) {
        running.add(
            executor.submit(() -> sessionReturns(config, environment, users, policy.get())));
      }
      PairedBootstrap bootstrap =
          new PairedBootstrap(config.seed(), config.evaluation().resamples());
      List<Interval> truths = new ArrayList<>();
      for (Future<double[][]> served : running) {
        double[][] sums = served.get();
        truths.add(bootstrap.ratio(sums[0], sums[1]));
      }
      stage.at(users.count(), "");
      return truths;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while policies served", e);
    } catch (ExecutionException e) {
      throw new IllegalStateException("a policy could not serve", e.getCause());
    } finally {
      executor.shutdownNow();
    }
  }

  /** Sum of the discounted returns of each user's sessions, and the number of these. */
  private static double[][] sessionReturns(
      ExperimentConfig config, Environment environment, UserRange users, Policy policy) {
    double[] returns = new double[users.count()];
    double[] sessions = new double[users.count()];
    int groups = environment.rewardGroups().size();
    int lanes = Math.min(config.evaluation().lanes(), users.count());
    float[] actions = new float[lanes * environment.actionSize()];
    Map<Long, Double> discounts = new HashMap<>(); // of the sessions in progress
    Rollout rollout =
        environment.rollout(config.seed() ^ TRUTH_KEY, users, config.evaluation().days(), lanes);
    while (rollout.active() > 0) {
      policy.act(rollout.states(), rollout.active(), actions);
      rollout.serve(actions);
      for (int lane = 0; lane < rollout.active(); lane++) {
        long session = rollout.sessions()[lane];
        int user = rollout.users()[lane] - users.first();
        double discount = discounts.getOrDefault(session, 1.0);
        for (int i = 0; i < groups; i++) {
          returns[user] += discount * rollout.rewards()[lane * groups + i];
        }
        if (rollout.last()[lane]) {
          sessions[user]++;
          discounts.remove(session);
        } else {
          discounts.put(session, discount * config.training().discount());
        }
      }
      rollout.advance();
    }
    return new double[][] {returns, sessions};
  }

  private static Result judge(
      ExperimentConfig config,
      Replay replay,
      Map<String, Supplier<? extends Policy>> policies,
      List<Interval> truths,
      RunListener listener) {
    double[] bandwidth = OfflineEvaluation.bandwidth(config, replay);
    PairedBootstrap bootstrap = new PairedBootstrap(config.seed(), config.evaluation().resamples());
    LogEstimates log = new LogEstimates(config, bandwidth, bootstrap, replay);
    List<LogEstimates.Judged> asked =
        policies.values().stream().map(policy -> log.ask(policy.get())).toList();
    Map<String, Function<LogEstimates.Judged, OffPolicyEstimate>> estimators =
        new LinkedHashMap<>();
    estimators.put(NCIS, judged -> log.ncis(judged, false));
    estimators.put(NCIS_IN_BOX, judged -> log.ncis(judged, true));
    for (Estimator estimator : config.evaluation().estimators()) {
      estimators.put(
          estimator.name().toLowerCase(Locale.ROOT), judged -> log.estimate(estimator, judged));
    }
    List<Map<String, OffPolicyEstimate>> estimates = new ArrayList<>();
    asked.forEach(policy -> estimates.add(new LinkedHashMap<>()));
    List<Agreement> agreements = new ArrayList<>();
    try (RunListener.Stage stage = listener.begin("judge", "estimators", estimators.size())) {
      for (Map.Entry<String, Function<LogEstimates.Judged, OffPolicyEstimate>> estimator :
          estimators.entrySet()) {
        long start = System.nanoTime();
        List<OffPolicyEstimate> found = asked.stream().map(estimator.getValue()).toList();
        double seconds = 1e-9 * (System.nanoTime() - start);
        for (int p = 0; p < found.size(); p++) {
          estimates.get(p).put(estimator.getKey(), found.get(p));
        }
        agreements.add(agreement(estimator.getKey(), found, truths, seconds));
        stage.at(agreements.size(), estimator.getKey());
      }
    }
    List<JudgedPolicy> judged = new ArrayList<>();
    for (String name : policies.keySet()) {
      int p = judged.size();
      judged.add(new JudgedPolicy(name, truths.get(p), estimates.get(p)));
    }
    return new Result(replay.rows(), judged, agreements);
  }

  private static Agreement agreement(
      String name, List<OffPolicyEstimate> estimates, List<Interval> truths, double seconds) {
    double best = truths.stream().mapToDouble(Interval::mean).max().orElseThrow();
    List<double[]> pairs = new ArrayList<>();
    for (int p = 0; p < truths.size(); p++) {
      if (!estimates.get(p).refused()) {
        pairs.add(new double[] {estimates.get(p).value(), truths.get(p).mean()});
      }
    }
    Optional<double[]> first = pairs.stream().max((x, y) -> Double.compare(x[0], y[0]));
    boolean sameThing = OF_SESSIONS.contains(name) && !pairs.isEmpty();
    ToDoubleFunction<double[]> error = pair -> Math.abs(pair[0] / pair[1] - 1);
    double[] shares = estimates.stream().mapToDouble(e -> e.ess() / e.samples()).sorted().toArray();
    return new Agreement(
        name,
        RankCorrelation.spearmanInterval(
            pairs.stream().mapToDouble(pair -> pair[0]).toArray(),
            pairs.stream().mapToDouble(pair -> pair[1]).toArray()),
        pairs.size(),
        truths.size(),
        first.map(pair -> 100 * (1 - pair[1] / best)).orElse(Double.NaN),
        sameThing ? 100 * pairs.stream().mapToDouble(error).average().orElseThrow() : Double.NaN,
        shares[shares.length / 2],
        seconds);
  }
}
