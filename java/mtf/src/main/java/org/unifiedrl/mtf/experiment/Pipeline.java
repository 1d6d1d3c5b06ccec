package org.unifiedrl.mtf.experiment;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongFunction;
import java.util.function.Supplier;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.mtf.algorithm.CriticEnsemble;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.algorithm.ParameterNoise;
import org.unifiedrl.mtf.algorithm.RandomNetworkDistillation;
import org.unifiedrl.mtf.algorithm.ScalarisedPolicy;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.baseline.BayesianOptimisation;
import org.unifiedrl.mtf.baseline.BudgetedSearch;
import org.unifiedrl.mtf.baseline.CmaEs;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.baseline.ConstantVectorSearch;
import org.unifiedrl.mtf.baseline.CoordinateSearch;
import org.unifiedrl.mtf.baseline.EqualWeights;
import org.unifiedrl.mtf.baseline.EvolutionStrategy;
import org.unifiedrl.mtf.baseline.PolicySearch;
import org.unifiedrl.mtf.baseline.Screening;
import org.unifiedrl.mtf.baseline.SearchBox;
import org.unifiedrl.mtf.baseline.SearchBudget;
import org.unifiedrl.mtf.baseline.SearchBudgetException;
import org.unifiedrl.mtf.baseline.Searcher;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.evaluation.Headroom;
import org.unifiedrl.mtf.evaluation.RankingTestSet;
import org.unifiedrl.mtf.exploration.ActionScore;
import org.unifiedrl.mtf.exploration.Explorer;
import org.unifiedrl.mtf.exploration.Gaussian;
import org.unifiedrl.mtf.exploration.GuidedBox;
import org.unifiedrl.mtf.exploration.OrnsteinUhlenbeck;
import org.unifiedrl.mtf.exploration.PerturbedBox;
import org.unifiedrl.mtf.exploration.SobolBox;
import org.unifiedrl.mtf.exploration.TruncatedGaussian;
import org.unifiedrl.mtf.exploration.UniformBox;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.PairwiseEnvironment;
import org.unifiedrl.mtf.session.Simulator;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * The stages of an experiment, each on its own: find a baseline, log exploration around it, train
 * offline on that log, judge offline on other users' log, and test on users that nobody has seen.
 *
 * <p>One thread at a time; stages use the threads that the configuration names.
 */
public final class Pipeline {

  // Stages draw from different keys, so that none meets the luck of another.
  private static final long SEARCH_KEY = 0x5345_4152L;
  private static final long LOG_KEY = 0x4c4f_4745L;
  private static final long GUIDE_KEY = 0x4755_4944L;
  private static final long HELD_OUT_KEY = 0x4845_4c44L;
  private static final long RANKING_KEY = 0x5241_4e4bL;
  private static final long TEST_KEY = 0x5445_5354L;
  private static final long HEADROOM_KEY = 0x4845_4144L;

  /** States on which the size of parameter noise is settled. */
  private static final int SETTLING_STATES = 512;

  /** Users by whom oracles are judged at most; their intervals are below half a percent wide. */
  private static final int HEADROOM_USERS = 10_000;

  private final ExperimentConfig config;
  private final Environment environment;
  private final Learner.Factory learners;
  private final RunListener listener;
  private final Populations populations;

  /**
   * Prepares the stages; nothing runs yet.
   *
   * @throws IllegalArgumentException if the configuration does not fit the environment
   */
  public Pipeline(
      ExperimentConfig config,
      Environment environment,
      Learner.Factory learners,
      RunListener listener) {
    this(
        config,
        environment,
        learners,
        listener,
        environment.hasUsers() ? Populations.of(environment, config) : Populations.NOBODY);
  }

  private Pipeline(
      ExperimentConfig config,
      Environment environment,
      Learner.Factory learners,
      RunListener listener,
      Populations populations) {
    this.config = config;
    this.environment = environment;
    this.learners = learners;
    this.listener = listener;
    this.populations = populations;
    checkBounds();
    checkGranularity();
    if (environment.hasUsers()) {
      if (config.baseline().kind() != ExperimentConfig.BaselineKind.EQUAL) {
        requireEvaluations(searcher(EqualWeights.of(environment).action()).propose(0).length);
      }
      RequestLog.schema(environment, Map.of(), config.exploration().logCandidates());
    }
    int groups = environment.rewardGroups().size();
    if (config.training().groupWeights().size() != groups) {
      throw new IllegalArgumentException(
          "training.group_weights has "
              + config.training().groupWeights().size()
              + " values; environment "
              + environment.name()
              + " has the "
              + groups
              + " reward groups "
              + environment.rewardGroups());
    }
  }

  /**
   * Prepares the stages of a progressive run; {@link ProgressiveTraining} goes through its rounds.
   *
   * @throws IllegalArgumentException if the configuration does not fit the environment, or there
   *     are more rounds than steps or users
   */
  public static Pipeline progressive(
      ExperimentConfig config,
      Environment environment,
      Learner.Factory learners,
      RunListener listener) {
    if (config.training().steps() < config.progressive().rounds()) {
      throw new IllegalArgumentException(
          "training.steps is "
              + config.training().steps()
              + ", and progressive.rounds "
              + config.progressive().rounds()
              + ": expected at least one step for each round");
    }
    if (config.exploration().granularity() == ExperimentConfig.Granularity.PAIR) {
      throw new IllegalArgumentException(
          "exploration.granularity is pair: progressive training goes by requests, as NCIS and the"
              + " next box do; use training.algorithm unifiedrl, or a run of one round");
    }
    if (config.exploration().kind() == ExperimentConfig.ExplorationKind.PARAMETER_NOISE
        && config.training().algorithm() == ExperimentConfig.AlgorithmKind.BCQ) {
      throw new IllegalArgumentException(
          "exploration.kind parameter_noise needs policies that are a network: after a round of"
              + " training.algorithm bcq what is served is the best of many proposals");
    }
    return new Pipeline(
        config, environment, learners, listener, Populations.progressive(environment, config));
  }

  /** The stages of one round of this progressive run: its users, steps and box; from 1. */
  Pipeline round(int number, Bounds bounds) {
    int rounds = config.progressive().rounds();
    long steps = config.training().steps();
    long own = steps * number / rounds - steps * (number - 1) / rounds;
    return new Pipeline(
        config.ofRound(bounds, own),
        environment,
        learners,
        listener,
        populations.round(number, rounds));
  }

  /**
   * The stages of a run that guides this one's exploration, on {@code exploration.guide.share} of
   * the users to learn from; it holds nobody out.
   *
   * @param guide its settings
   */
  public Pipeline guide(ExperimentConfig guide) {
    double share = config.exploration().guide().share();
    return new Pipeline(guide, environment, learners, listener, populations.first(share));
  }

  /**
   * The stages of this run on the users that its guide has left.
   *
   * @param guided its settings, which name the guide
   */
  public Pipeline guided(ExperimentConfig guided) {
    double share = config.exploration().guide().share();
    return new Pipeline(guided, environment, learners, listener, populations.without(share));
  }

  ExperimentConfig config() {
    return config;
  }

  /** Before anything runs: an algorithm learns from a log of its own granularity only. */
  private void checkGranularity() {
    boolean logged = config.exploration().granularity() == ExperimentConfig.Granularity.PAIR;
    Algorithms.Chosen chosen = Algorithms.of(config);
    if (chosen.pairwise() != logged) {
      throw new IllegalArgumentException(
          ("training.algorithm %s needs exploration.granularity %s: enhancedrl learns from pairs, all"
                  + " others from requests")
              .formatted(chosen.name(), chosen.pairwise() ? "pair" : "user"));
    }
  }

  /** Where users are explored: as the environment is, or by its candidates. */
  private Environment explored() {
    return config.exploration().granularity() == ExperimentConfig.Granularity.PAIR
        ? new PairwiseEnvironment(environment)
        : environment;
  }

  /** The bounds that the baseline is explored in. */
  Bounds bounds() {
    return Bounds.of(config.exploration(), environment.actionSize());
  }

  /** The policy of the newest checkpoint in a folder. */
  Supplier<Policy> policy(Path checkpoints) {
    return learners.policy(checkpoints);
  }

  /**
   * What was logged.
   *
   * @param requests requests to learn from
   * @param sessions their sessions
   * @param heldOutRequests requests kept for offline evaluation
   * @param rewardPerRequest mean reward while exploring, all groups
   * @param learned what each of the users did whose requests are learned from
   */
  public record Logged(
      long requests,
      long sessions,
      long heldOutRequests,
      double rewardPerRequest,
      UserTotals learned) {}

  /**
   * What training left.
   *
   * @param steps steps done in all
   * @param backend back end that ran them
   * @param engine what it ran them with
   * @param parameterHash SHA-256 of all parameters
   * @param policy gives instances of the learned policy
   */
  public record Trained(
      long steps, String backend, String engine, String parameterHash, Supplier<Policy> policy) {}

  private SearchBudget budget() {
    return config.baseline().budget(populations.search().count());
  }

  private void requireEvaluations(long count) {
    try {
      BudgetedSearch.requireEvaluations(count, budget());
    } catch (SearchBudgetException e) {
      throw withKeys(e);
    }
  }

  /** The refusal of a budget in terms of the configuration. */
  private SearchBudgetException withKeys(SearchBudgetException refused) {
    ExperimentConfig.Baseline settings = config.baseline();
    SearchBudget given = budget();
    SearchBudget least = refused.least();
    List<String> raise = new ArrayList<>();
    if (least.evaluations() > given.evaluations()) {
      raise.add(
          "%s (evaluations) is %d and must be %d or more"
              .formatted(settings.evaluationKeys(), given.evaluations(), least.evaluations()));
    }
    if (least.requests() > given.requests()) {
      raise.add(
          "baseline.requests is %d and must be %d or more, or fewer users served by each vector"
              .formatted(given.requests(), least.requests()));
    }
    if (least.seconds() > given.seconds()) {
      raise.add(
          "baseline.seconds is %s and must be about %s or more on this machine"
              .formatted(given.seconds(), least.seconds()));
    }
    String kind = settings.kind().name().toLowerCase(Locale.ROOT);
    return new SearchBudgetException(
        "the budget of baseline.kind "
            + kind
            + " ends before it finds anything: "
            + String.join("; ", raise),
        least);
  }

  /**
   * Finds the baseline.
   *
   * @throws SearchBudgetException if the budget of its search ends within the first round; the
   *     message names the keys and the least that would do
   */
  public Baseline baseline() {
    ExperimentConfig.Baseline settings = config.baseline();
    ConstantPolicy start = EqualWeights.of(environment);
    if (settings.kind() == ExperimentConfig.BaselineKind.EQUAL) {
      return Baseline.constant(start, 0);
    }
    try (RunListener.Stage stage =
        listener.begin("baseline", "evaluations", budget().evaluations())) {
      return search(
          searcher(start.action()),
          (round, best, spent) -> stage.at(spent.evaluations(), spent.requests() + " requests"));
    } catch (SearchBudgetException e) {
      throw withKeys(e);
    }
  }

  private Baseline search(Searcher searcher, BudgetedSearch.Progress progress) {
    ExperimentConfig.Baseline settings = config.baseline();
    ConstantVectorSearch.Trial trial =
        new ConstantVectorSearch.Trial(
            settings.usersPerTrial(),
            settings.days(),
            config.seed() ^ SEARCH_KEY,
            settings.objective());
    if (settings.kind() == ExperimentConfig.BaselineKind.ES) {
      int[] sizes = PolicySearch.sizes(environment, settings.es().hidden());
      BudgetedSearch.Result found =
          PolicySearch.search(
              environment, populations.search(), sizes, searcher, trial, budget(), progress);
      return Baseline.personal(PolicySearch.weights(sizes, found.action()), found.requests());
    }
    BudgetedSearch.Result found =
        ConstantVectorSearch.search(
            environment, populations.search(), searcher, trial, budget(), progress);
    return Baseline.constant(
        new ConstantPolicy(environment.stateSize(), found.action()), found.requests());
  }

  /**
   * Where training starts: at the baseline, whose actions are cloned if it is no constant.
   *
   * @param logs that were explored around it
   */
  public static Learner.Start start(Baseline baseline, List<Path> logs) {
    return baseline.action() == null
        ? Learner.Start.cloning(meanServedAction(logs.get(0)), logs)
        : Learner.Start.at(baseline.action());
  }

  /** Mean action of the policy that a log was explored around. */
  static float[] meanServedAction(Path data) {
    try (Replay replay = Replay.open(data)) {
      ReplaySchema schema = replay.schema();
      int column = schema.columnIndex(ReplaySchema.BASELINE_ACTION);
      float[] actions = new float[schema.columns().get(column).width()];
      float[] mean = new float[new Transitions(schema).actions()];
      double[] sums = new double[mean.length];
      for (long row = 0; row < replay.rows(); row++) {
        replay.get(row, column, actions, 0);
        for (int k = 0; k < actions.length; k++) { // of every pair, where rows hold pairs
          sums[k % sums.length] += actions[k];
        }
      }
      double seen = (double) replay.rows() * actions.length / sums.length;
      for (int k = 0; k < sums.length; k++) {
        mean[k] = (float) (sums[k] / seen);
      }
      return mean;
    }
  }

  private Searcher searcher(float[] start) {
    ExperimentConfig.Baseline settings = config.baseline();
    SearchBox box = SearchBox.actions(environment.actionSize());
    long seed = config.seed() ^ SEARCH_KEY;
    return switch (settings.kind()) {
      case EQUAL -> throw new IllegalStateException("equal weights are not searched");
      case SEARCH ->
          ConstantVectorSearch.crossEntropy(
              start,
              new ConstantVectorSearch.Settings(
                  settings.population(),
                  settings.elite(),
                  settings.generations(),
                  settings.users(),
                  settings.days(),
                  settings.deviation(),
                  seed,
                  settings.objective()));
      case RANDOM -> Screening.random(box, start, seed);
      case GRID -> {
        requireEvaluations(Screening.leastEvaluations(box.size()));
        int levels = Screening.levels(box.size(), budget().evaluations());
        yield Screening.grid(box, start, levels, seed);
      }
      case COORDINATE -> new CoordinateSearch(box, start, settings.levels());
      case CMA_ES -> new CmaEs(box, start, settings.deviation(), seed);
      case BAYESIAN -> new BayesianOptimisation(box, start, seed);
      case ES -> {
        ExperimentConfig.EvolutionStrategy es = settings.es();
        int[] sizes = PolicySearch.sizes(environment, es.hidden());
        yield new EvolutionStrategy(
            PolicySearch.start(sizes, start, seed),
            new EvolutionStrategy.Settings(
                es.pairs(), es.sigma(), es.learningRate(), es.weightDecay()),
            seed);
      }
    };
  }

  /**
   * Serves users by a policy with exploration and logs every request.
   *
   * @param served gives each thread an instance of the policy, the baseline of what is learned
   * @param train receives the shards to learn from
   * @param heldOut receives the shards for offline evaluation, of other users
   */
  public Logged explore(Supplier<? extends Policy> served, Path train, Path heldOut) {
    ExperimentConfig.Exploration settings = config.exploration();
    Explorer explorer = explorer(served);
    UserRange learn = populations.learn();
    UserRange kept = populations.heldOut();
    ReplaySchema schema =
        RequestLog.schema(
            explored(),
            Map.of(
                "environment",
                environment.name(),
                "seed",
                Long.toString(config.seed()),
                RequestLog.EXPLORATION,
                settings.kind().name(),
                ReplaySchema.BOX_CHECK_KEY,
                settings.kind().bounded() ? "on" : "off"),
            settings.logCandidates());
    try (RunListener.Stage stage =
        listener.begin("explore", "users", (long) learn.count() + kept.count())) {
      Exploration.Totals logged = log(served, explorer, LOG_KEY, learn, train, schema, stage);
      RunListener.Stage rest = shifted(stage, learn.count());
      Exploration.Totals held = log(served, explorer, HELD_OUT_KEY, kept, heldOut, schema, rest);
      return new Logged(
          logged.requests(),
          logged.sessions(),
          held.requests(),
          logged.reward() / Math.max(1, logged.requests()),
          logged.users());
    }
  }

  private void checkBounds() {
    if (config.exploration().kind() == ExperimentConfig.ExplorationKind.SOBOL) {
      new SobolBox(lower(), upper());
    } else {
      new UniformBox(lower(), upper());
    }
  }

  private float[] lower() {
    return floats(bounds().lower());
  }

  private float[] upper() {
    return floats(bounds().upper());
  }

  /**
   * Returns if exploration has what it needs beyond the configuration.
   *
   * @param served gives instances of the policy that will be explored around
   * @throws IllegalArgumentException if it has not: critics or a log that guide it, or a network
   */
  public void checkExploration(Supplier<? extends Policy> served) {
    ExperimentConfig.Exploration settings = config.exploration();
    if (settings.kind().guided()) {
      if (settings.guide().run().equals(ExperimentConfig.Guide.NONE)) {
        throw new IllegalArgumentException(
            "exploration.guide.share is for the logs of experiments and sweeps, which make the guide"
                + " themselves: here, set exploration.guide.run to a run folder");
      }
      Path run = Path.of(settings.guide().run());
      Path needed =
          run.resolve(
              settings.kind() == ExperimentConfig.ExplorationKind.RND
                  ? "shards/train"
                  : "checkpoints");
      if (!Files.isDirectory(needed)) {
        throw new IllegalArgumentException(
            "exploration.guide.run: there is no folder " + needed.toAbsolutePath().normalize());
      }
    }
    if (settings.kind() == ExperimentConfig.ExplorationKind.PARAMETER_NOISE
        && !(served.get() instanceof MlpPolicy)) {
      throw new IllegalArgumentException(
          "exploration.kind parameter_noise needs a policy that is a network, as baseline.kind es"
              + " finds one; this one gives the same action to all requests");
    }
  }

  private Explorer explorer(Supplier<? extends Policy> served) {
    ExperimentConfig.Exploration settings = config.exploration();
    float[] lower = lower();
    float[] upper = upper();
    float[] sigma = new float[lower.length];
    Arrays.fill(sigma, (float) settings.standardDeviation());
    return switch (settings.kind()) {
      case UNIFORM -> new UniformBox(lower, upper);
      case GAUSSIAN -> new Gaussian(sigma, lower, upper);
      case TRUNCATED_GAUSSIAN -> new TruncatedGaussian(lower, upper, sigma);
      case SOBOL -> new SobolBox(lower, upper);
      case ORNSTEIN_UHLENBECK -> new OrnsteinUhlenbeck(sigma, settings.correlation(), lower, upper);
      case THOMPSON, UCB, RND -> {
        ExperimentConfig.Guide guide = settings.guide();
        yield new GuidedBox(lower, upper, guide(), guide.candidates(), guide.uniformShare());
      }
      case PARAMETER_NOISE ->
          new PerturbedBox(lower, upper, perturbed(served), settings.guide().uniformShare());
    };
  }

  /** Gives each thread the score that guides exploration. */
  private Supplier<ActionScore> guide() {
    ExperimentConfig.Exploration settings = config.exploration();
    Path run = Path.of(settings.guide().run());
    Supplier<ActionScore> scores;
    if (settings.kind() == ExperimentConfig.ExplorationKind.RND) {
      try (Replay log = Replay.open(run.resolve("shards/train"))) {
        scores =
            RandomNetworkDistillation.learn(
                    log,
                    settings.guide().steps(),
                    config.engineOptions(),
                    config.seed() ^ GUIDE_KEY)
                ::bonus;
      }
    } else {
      CriticEnsemble critics = CriticEnsemble.load(run.resolve("checkpoints"));
      scores =
          settings.kind() == ExperimentConfig.ExplorationKind.THOMPSON
              ? () -> critics.copy().thompson()
              : () -> critics.copy().upperConfidence(settings.guide().kappa());
    }
    ActionScore score = scores.get();
    if (score.stateSize() != environment.stateSize()
        || score.actionSize() != environment.actionSize()) {
      throw new IllegalArgumentException(
          "exploration.guide.run "
              + run
              + " is of %d state features and %d action dimensions, environment %s of %d and %d"
                  .formatted(
                      score.stateSize(),
                      score.actionSize(),
                      environment.name(),
                      environment.stateSize(),
                      environment.actionSize()));
    }
    return scores;
  }

  /** Perturbed policies whose actions vary as much as the configuration says, by their number. */
  private LongFunction<Policy> perturbed(Supplier<? extends Policy> served) {
    if (!(served.get() instanceof MlpPolicy policy)) {
      throw new IllegalArgumentException("only a network has parameters to put noise on");
    }
    MlpPolicy.Weights weights = policy.weights();
    long seed = config.seed() ^ GUIDE_KEY;
    UserRange users = populations.search();
    int rows = Math.min(SETTLING_STATES, users.count());
    // Their first requests.
    float[] states = environment.rollout(seed, users.slice(0, rows), 1, rows).states();
    double sigma =
        ParameterNoise.settled(
            weights, config.exploration().standardDeviation(), states, rows, seed);
    return number -> new MlpPolicy(ParameterNoise.perturbed(weights, sigma, seed, number));
  }

  private static float[] floats(List<Double> values) {
    float[] floats = new float[values.size()];
    for (int k = 0; k < floats.length; k++) {
      floats[k] = values.get(k).floatValue();
    }
    return floats;
  }

  private Exploration.Totals log(
      Supplier<? extends Policy> served,
      Explorer explorer,
      long key,
      UserRange users,
      Path folder,
      ReplaySchema schema,
      RunListener.Stage stage) {
    ExperimentConfig.Exploration settings = config.exploration();
    Environment explored = explored();
    Supplier<? extends Policy> policies =
        explored instanceof PairwiseEnvironment pairs ? () -> pairs.serving(served.get()) : served;
    Exploration exploration =
        new Exploration(
            explored, explorer, schema, config.seed() ^ key, settings.days(), settings.lanes());
    try (ReplayWriter writer = new ReplayWriter(folder, schema)) {
      return exploration.run(users, policies, config.effectiveThreads(), writer, stage);
    }
  }

  /**
   * Trains on logs.
   *
   * @param start where training starts: at {@link #start(Baseline, List)}, at least
   * @param data folders of the shards to learn from
   * @param checkpoints folder of checkpoints
   * @param resume whether to continue from the newest checkpoint
   * @param metrics hears of it every {@code training.report} steps; not closed here
   */
  public Trained train(
      Learner.Start start,
      List<Path> data,
      Path checkpoints,
      boolean resume,
      MetricsListener metrics) {
    ExperimentConfig.Training settings = config.training();
    try (Replay replay = Replay.open(data, Replay.Options.DEFAULT);
        Learner learner = learners.open(config, replay, start, checkpoints, resume);
        RunListener.Stage stage = listener.begin("train", "steps", settings.steps())) {
      metrics.begin(learner.step(), settings.steps());
      TrainingMetrics told = new TrainingMetrics(config, environment, replay, metrics);
      while (learner.step() < settings.steps()) {
        // Reports and checkpoints fall on the same steps whether or not training was resumed.
        long next =
            Math.min(
                settings.steps(),
                Math.min(
                    nextMultiple(learner.step(), settings.report()),
                    nextMultiple(learner.step(), settings.checkpoint())));
        Map<String, Double> means = told.run(learner, next - learner.step());
        if (next % settings.report() == 0 || next == settings.steps()) {
          told.tell(learner, means);
        }
        if (next % settings.checkpoint() == 0 || next == settings.steps()) {
          learner.save();
        }
        stage.at(next, "");
      }
      metrics.end();
      return new Trained(
          learner.step(),
          learner.backend(),
          learner.description(),
          learner.parameterHash(),
          learner.policy());
    }
  }

  private static long nextMultiple(long step, int period) {
    return (step / period + 1) * period;
  }

  /**
   * Judges a policy and its baseline by a log of exploration, and by how they rank what held-out
   * users were shown without exploration.
   *
   * <p>By the log alone where the environment has no users.
   *
   * @param data shards of exploration, of users that the policy did not learn from
   */
  public OfflineEvaluation evaluate(
      Supplier<? extends Policy> baseline, Supplier<Policy> policy, Path data) {
    try (Replay replay = Replay.open(data);
        RunListener.Stage stage = listener.begin("evaluate", "requests", replay.rows())) {
      RankingTestSet testSet =
          environment.hasUsers()
              ? RankingTestSet.collect(
                  environment,
                  baseline.get(),
                  validResponse(),
                  config.evaluation().rewardConstant(),
                  config.seed() ^ RANKING_KEY,
                  populations.heldOut(),
                  config.exploration().days(),
                  config.exploration().lanes())
              : RankingTestSet.empty(environment);
      return OfflineEvaluation.of(
          environment, replay, testSet, baseline.get(), policy.get(), config, stage);
    }
  }

  private String validResponse() {
    return environment.responseNames().stream()
        .filter(name -> name.startsWith("valid"))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "environment "
                        + environment.name()
                        + " has no response 'valid': it has "
                        + environment.responseNames()));
  }

  /**
   * Serves users that nothing was learned from by both policies under common random numbers: those
   * of {@code evaluation.population}.
   */
  public AbTest.Result compare(Supplier<? extends Policy> baseline, Supplier<Policy> policy) {
    return abTest("compare", test(populations.test()), baseline, policy);
  }

  /** The same for a part of the users that progressive training sets aside for it. */
  AbTest.Result canary(Supplier<? extends Policy> served, Supplier<Policy> policy) {
    return abTest("canary", test(populations.canary()), served, policy);
  }

  private AbTest.Result abTest(
      String name,
      AbTest.Settings settings,
      Supplier<? extends Policy> baseline,
      Supplier<Policy> policy) {
    try (RunListener.Stage stage = listener.begin(name, "users", 2L * settings.users().count())) {
      return AbTest.run(
          environment, baseline, policy, settings, (served, total) -> stage.at(served, ""));
    }
  }

  /** Serves the users of the A/B test, with its draws, by one policy. */
  public UserTotals serve(Supplier<? extends Policy> policy) {
    AbTest.Settings settings = test(populations.test());
    try (RunListener.Stage stage = listener.begin("serve", "users", settings.users().count())) {
      return AbTest.serve(environment, policy, settings, (served, all) -> stage.at(served, ""));
    }
  }

  /**
   * Serves the users that are learned from as {@link #explore} does, with the same draws, but
   * without exploration: what that costs is the difference.
   */
  public UserTotals unexplored(Supplier<? extends Policy> served) {
    AbTest.Settings settings =
        new AbTest.Settings(
            config.seed() ^ LOG_KEY,
            populations.learn(),
            config.exploration().days(),
            config.effectiveThreads(),
            config.exploration().lanes(),
            config.evaluation().resamples());
    try (RunListener.Stage stage = listener.begin("serve", "users", settings.users().count())) {
      return AbTest.serve(environment, served, settings, (done, all) -> stage.at(done, ""));
    }
  }

  /**
   * A trained model that serves another trade-off between reward groups: {@link ScalarisedPolicy}
   * in the box of exploration.
   *
   * @param served the policy that the log was explored from
   * @param checkpoints folder of checkpoints, or one of them, with an actor and critics
   * @param critics those of the checkpoint
   * @param weights of the reward groups
   */
  public Supplier<Policy> scalarised(
      Supplier<Policy> served, Path checkpoints, CriticEnsemble critics, double[] weights) {
    Supplier<Policy> actor = learners.policy(checkpoints);
    return () ->
        new ScalarisedPolicy(
            actor.get(),
            served.get(),
            critics.withGroupWeights(weights),
            lower(),
            upper(),
            config.training().lambda());
  }

  private AbTest.Settings test(UserRange users) {
    ExperimentConfig.Evaluation settings = config.evaluation();
    return new AbTest.Settings(
        config.seed() ^ TEST_KEY,
        users,
        settings.days(),
        config.effectiveThreads(),
        settings.lanes(),
        settings.resamples());
  }

  /**
   * Measures how much there is to gain, where that can be known: in the simulator, unless the
   * configuration says not to. The yardsticks serve users of the A/B test with the test's draws.
   */
  public Optional<Headroom> headroom() {
    ExperimentConfig.Evaluation settings = config.evaluation();
    if (!settings.headroom() || !(environment instanceof Simulator world)) {
      return Optional.empty();
    }
    UserRange tested = populations.test();
    UserRange users = tested.slice(0, Math.min(tested.count(), HEADROOM_USERS));
    ConstantVectorSearch.Settings search =
        new ConstantVectorSearch.Settings(
            16,
            4,
            5,
            300,
            settings.days(),
            0.5,
            config.seed() ^ HEADROOM_KEY,
            ConstantVectorSearch.Objective.VALID_CONSUMPTIONS);
    try (RunListener.Stage stage = listener.begin("headroom", "rounds", Headroom.rounds(search))) {
      return Optional.of(Headroom.measure(world, search, test(users), done -> stage.at(done, "")));
    }
  }

  private static RunListener.Stage shifted(RunListener.Stage stage, long by) {
    return new RunListener.Stage() {
      @Override
      public void at(long done, String note) {
        stage.at(done + by, note);
      }
    };
  }
}
