package org.unifiedrl.mtf.experiment;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.Precision;
import org.unifiedrl.engine.ReplayPlacement;
import org.unifiedrl.mtf.baseline.ConstantVectorSearch.Objective;
import org.unifiedrl.mtf.baseline.SearchBudget;
import org.unifiedrl.mtf.evaluation.FittedQEvaluation;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimator;
import org.unifiedrl.mtf.exploration.UniformBox;
import org.unifiedrl.mtf.session.SimulatorConfig;

/**
 * Everything that decides a run. The same configuration on the same back end gives the same result,
 * whatever the number of threads that serve users.
 *
 * @param environment {@code simulator}, {@code kuairand:DIR} with KuaiRand's published files, or
 *     {@code log:DIR} with an imported log
 * @param seed key of every random draw
 * @param backend {@code auto}, {@code cuda}, {@code cpu}, {@code reference}, or {@code check:A,B}
 * @param threads threads that serve users and train; 0 for as many as there are processors
 * @param engine how the back end trains
 * @param baseline the policy that users are served by so far
 * @param exploration the log
 * @param training offline training
 * @param algorithms what only one algorithm has; written as if its sections stood here
 * @param evaluation evaluation, offline and by A/B test
 * @param progressive rounds of progressive training; a run of one round ignores it
 * @param simulator the simulated world; other environments ignore it
 */
public record ExperimentConfig(
    String environment,
    long seed,
    String backend,
    int threads,
    Engine engine,
    Baseline baseline,
    Exploration exploration,
    Training training,
    @JsonUnwrapped AlgorithmConfigs algorithms,
    Evaluation evaluation,
    Progressive progressive,
    SimulatorConfig simulator) {

  /** How the baseline is found: one constant vector, or in the last case a network. */
  public enum BaselineKind {
    /** Best of a cross-entropy search. */
    SEARCH,
    /** All powers equal. */
    EQUAL,
    /** Random search, whose best vectors play off. */
    RANDOM,
    /** The same on a grid. */
    GRID,
    /** Grid search of one dimension after the other. */
    COORDINATE,
    /** Evolution strategy with covariance matrix adaptation. */
    CMA_ES,
    /** Bayesian optimisation by a Gaussian process. */
    BAYESIAN,
    /** Evolution strategy over the parameters of a network that personalises the vector. */
    ES
  }

  /** How the baseline is explored. */
  public enum ExplorationKind {
    /** Uniform in a box, specification 2.1. */
    UNIFORM(true),
    /** Normal, not bounded, the comparison of the paper; the box is what a policy is held to. */
    GAUSSIAN(false),
    /** Normal, truncated to the box. */
    TRUNCATED_GAUSSIAN(true),
    /** Points of a scrambled Sobol sequence in the box, spread over users. */
    SOBOL(true),
    /** Normal, correlated within a session, not bounded, with a box as for GAUSSIAN. */
    ORNSTEIN_UHLENBECK(false),
    /** The best of some candidates in the box by one critic, drawn for every session. */
    THOMPSON(true),
    /** The best of some candidates in the box by an upper confidence bound of critics. */
    UCB(true),
    /** The most novel of some candidates in the box, by random network distillation. */
    RND(true),
    /** Near the actions of a policy with noise on its parameters, drawn for every session. */
    PARAMETER_NOISE(true);

    private final boolean bounded;

    ExplorationKind(boolean bounded) {
      this.bounded = bounded;
    }

    /** Whether actions stay in the box. */
    public boolean bounded() {
      return bounded;
    }

    /** Whether draws are independent, so that candidates of one request may have their own. */
    public boolean ofPairs() {
      return this == UNIFORM || this == GAUSSIAN || this == TRUNCATED_GAUSSIAN;
    }

    /** Whether another run's critics or log say where to explore. */
    public boolean guided() {
      return this == THOMPSON || this == UCB || this == RND;
    }
  }

  /** What has an action of its own. */
  public enum Granularity {
    /** A request: all its candidates are fused by one action. */
    USER,
    /** A (user, candidate) pair. */
    PAIR
  }

  /** Whom the A/B test serves. */
  public enum Population {
    /** Users that nothing was learned or chosen from: what is reported. */
    JUDGE,
    /** Users of the training range that exploration left out: to choose settings on. */
    VALIDATION
  }

  /** Which logs a round of progressive training learns from. */
  public enum RoundData {
    /** That of the round. */
    LATEST,
    /** Those of all rounds so far, each row with its own baseline action and box. */
    POOLED
  }

  /** What a round of progressive training starts from. */
  public enum RoundStart {
    /** Actor and critics of the served policy; what a refused round learned is lost. */
    WARM,
    /**
     * Actor and critics of the last round that has any, whether or not its policy was served: one
     * training in all, whose policy is tried after every round.
     */
    CONTINUED,
    /** New critics, and a new actor at the served policy's mean action. */
    FRESH
  }

  /** How the box of the next round is chosen. */
  public enum BoxSchedule {
    /** Every round has that of {@code exploration}. */
    FIXED,
    /** As wide as the last policy that was served moved. */
    MEASURED
  }

  /** What trains. */
  public enum AlgorithmKind {
    /** Attenuated targets and a penalised actor, specification section 0. */
    UNIFIEDRL,
    /** Its earlier form, with penalised targets. */
    UNIFIEDRL_V4,
    /** UnifiedRL of (user, candidate) pairs, whose targets are those of lists. */
    ENHANCEDRL,
    /** Deterministic policy gradient. */
    DDPG,
    /** The same with two critics, target smoothing and a slower actor. */
    TD3,
    /** TD3 with behaviour cloning. */
    TD3_BC,
    /** TD3 with behaviour cloning of actor and targets, and layer-normed critics. */
    REBRAC,
    /** Expectile regression and advantage-weighted imitation. */
    IQL,
    /** Critics of the learned policy and advantage-weighted imitation. */
    AWAC,
    /** Soft actor-critic with values of drawn actions pressed below those of logged ones. */
    CQL,
    /** Soft actor-critic with the least of many, diversified critics. */
    EDAC,
    /** Perturbed actions of a model of the log, and critics that choose. */
    BCQ
  }

  /** Form of the actor's box penalty d, specification section 0. */
  public enum PenaltyForm {
    /** Zero at the edge. */
    CONTINUOUS,
    /** As printed: jumps to 1 at the edge. */
    EXACT
  }

  /** Kernel of NCIS on a log that was explored in a box. */
  public enum NcisKernel {
    /**
     * As it is, the specification's form: a state counts by the part of the kernel that lies in its
     * box, so that those in which the policy goes to the edge count less.
     */
    PLAIN,
    /** Truncated to the box: every state counts, and the cap shrinks differences more. */
    IN_BOX
  }

  /** Off-policy estimators beyond NCIS. */
  public enum Estimator {
    /** Direct method: a reward model alone. */
    DM,
    /** Doubly robust. */
    DR,
    /** Self-normalised doubly robust. */
    SNDR,
    /** Doubly robust up to a threshold of the weights, the reward model beyond it. */
    SWITCH_DR,
    /** Per-decision importance sampling of whole sessions. */
    PDIS,
    /** The same, self-normalised at every step. */
    SNPDIS,
    /** Fitted Q evaluation. */
    FQE,
    /** The same with a conservative term. */
    CFQE
  }

  /**
   * How the back end trains. Precision is part of the result; device and replay are not.
   *
   * @param device index of the device, for back ends that have several; from 0
   * @param precision arithmetic of matrix products
   * @param replay where the log's rows lie, for back ends with memory of their own
   */
  public record Engine(int device, Precision precision, ReplayPlacement replay) {

    public Engine {
      require("engine.device", device, device >= 0, "0 (the first) or more");
    }
  }

  /**
   * The baseline policy. Every search may evaluate {@code population * generations} vectors,
   * whatever the size of its own rounds, within the limits of requests and seconds; the evolution
   * strategy as many more as its vectors serve fewer users each.
   *
   * @param kind how it is found
   * @param population vectors per generation of the cross-entropy search, at least 4
   * @param elite vectors that shape its next generation
   * @param generations generations of the search
   * @param users users that each vector serves when it is evaluated
   * @param days days that each user is followed
   * @param deviation initial standard deviation of every action dimension, in the cross-entropy
   *     search and CMA-ES
   * @param levels values of a dimension in a sweep of the coordinate search, at least 2
   * @param requests environment requests that a search may spend; 0 for no limit
   * @param seconds time that a search may take, which makes its result depend on the machine; 0 for
   *     no limit
   * @param objective what is maximised
   * @param es the evolution strategy's own settings
   */
  public record Baseline(
      BaselineKind kind,
      int population,
      int elite,
      int generations,
      int users,
      int days,
      double deviation,
      int levels,
      long requests,
      double seconds,
      Objective objective,
      EvolutionStrategy es) {

    public Baseline {
      require("baseline.population", population, population >= 4, "at least 4");
      require(
          "baseline.elite", elite, elite >= 2 && elite <= population, "from 2 to the population");
      positive("baseline.generations", generations);
      positive("baseline.users", users);
      positive("baseline.days", days);
      require("baseline.deviation", deviation, deviation > 0 && deviation <= 2, "in (0, 2]");
      require("baseline.levels", levels, levels >= 2, "at least 2");
      require("baseline.requests", (double) requests, requests >= 0, "0 (no limit) or more");
      require("baseline.seconds", seconds, seconds >= 0, "0 (no limit) or more");
    }

    /** Users that a vector serves when it is evaluated. */
    public int usersPerTrial() {
      return kind == BaselineKind.ES ? es.users() : users;
    }

    /** What the number of evaluations comes from. */
    String evaluationKeys() {
      String common = "baseline.population * baseline.generations";
      return kind == BaselineKind.ES ? common + " * baseline.users / baseline.es.users" : common;
    }

    /**
     * What a search may spend; every kind may serve as many users.
     *
     * @param available users that there are to search on
     */
    public SearchBudget budget(int available) {
      long served = Math.min(users, available);
      return new SearchBudget(
          (long) population * generations * served / Math.min(usersPerTrial(), available),
          requests > 0 ? requests : Long.MAX_VALUE,
          seconds > 0 ? seconds : Double.POSITIVE_INFINITY);
    }
  }

  /**
   * The evolution strategy over a network that personalises the vector. The defaults of sigma, rate
   * and decay are the reference implementation's (specification section 7).
   *
   * @param hidden hidden units per layer
   * @param pairs mirrored pairs of networks in a round
   * @param users users that each network serves when it is evaluated
   * @param sigma standard deviation of the parameters' noise
   * @param learningRate Adam's
   * @param weightDecay weight of the L2 penalty
   */
  public record EvolutionStrategy(
      List<Integer> hidden,
      int pairs,
      int users,
      double sigma,
      double learningRate,
      double weightDecay) {

    public EvolutionStrategy {
      hidden = List.copyOf(hidden);
      require("layers of baseline.es.hidden", hidden.size(), hidden.size() <= 6, "at most 6");
      for (int units : hidden) {
        positive("baseline.es.hidden", units);
      }
      positive("baseline.es.pairs", pairs);
      positive("baseline.es.users", users);
      require("baseline.es.sigma", sigma, sigma > 0, "positive");
      require("baseline.es.learning_rate", learningRate, learningRate > 0, "positive");
      require("baseline.es.weight_decay", weightDecay, weightDecay >= 0, "at least 0");
    }
  }

  /**
   * The log.
   *
   * @param kind how the baseline's actions are varied
   * @param granularity what is varied by itself: requests, or their candidates
   * @param halfWidth half the width of the box, in normalised action (upper_b = -lower_b); the
   *     paper's is 0.15
   * @param lowerBounds lower bounds of the box (lower_b), one per action dimension, each negative;
   *     empty for {@code -halfWidth} everywhere
   * @param upperBounds upper bounds of the box (upper_b), one per action dimension, each positive;
   *     empty for {@code halfWidth} everywhere
   * @param standardDeviation of Gaussian and Ornstein-Uhlenbeck exploration, and of the truncated
   *     Gaussian before truncation (sigma); the paper's is 0.2. Of parameter noise that of the
   *     perturbed policy's actions
   * @param correlation of Ornstein-Uhlenbeck noise at successive requests of a session, in [0, 1)
   * @param users users whose requests are learned from; fewer if the environment has fewer
   * @param heldOutUsers users whose requests are kept for offline evaluation
   * @param days days that each user is followed
   * @param lanes users in flight at once per thread
   * @param logCandidates whether the scores of all candidates and the places of the shown ones
   *     among them are logged too; the log grows by 4 k n bytes a request, 800 on the simulator
   * @param guide what says where to explore, for the kinds that are guided
   */
  public record Exploration(
      ExplorationKind kind,
      Granularity granularity,
      double halfWidth,
      List<Double> lowerBounds,
      List<Double> upperBounds,
      double standardDeviation,
      double correlation,
      int users,
      int heldOutUsers,
      int days,
      int lanes,
      boolean logCandidates,
      Guide guide) {

    public Exploration {
      if (kind.guided() && guide.run().equals(Guide.NONE) && guide.share() == 0) {
        throw new IllegalArgumentException(
            "exploration.kind "
                + kind.name().toLowerCase(Locale.ROOT)
                + " needs exploration.guide.run, a run folder with "
                + (kind == ExplorationKind.RND ? "a log" : "checkpoints"));
      }
      if (granularity == Granularity.PAIR && !kind.ofPairs()) {
        throw new IllegalArgumentException(
            "exploration.kind "
                + kind.name().toLowerCase(Locale.ROOT)
                + " goes by requests: with exploration.granularity pair use uniform, gaussian or"
                + " truncated_gaussian");
      }
      lowerBounds = List.copyOf(lowerBounds);
      upperBounds = List.copyOf(upperBounds);
      double least = UniformBox.LEAST;
      require(
          "exploration.half_width",
          halfWidth,
          halfWidth >= least && halfWidth <= 2,
          "from 1e-6 to 2");
      for (double bound : lowerBounds) {
        require(
            "exploration.lower_bounds",
            bound,
            bound >= -2 && bound <= -least,
            "from -2 to -1e-6 in every dimension");
      }
      for (double bound : upperBounds) {
        require(
            "exploration.upper_bounds",
            bound,
            bound >= least && bound <= 2,
            "from 1e-6 to 2 in every dimension");
      }
      require(
          "exploration.standard_deviation",
          standardDeviation,
          standardDeviation > 0 && standardDeviation <= 2,
          "in (0, 2]");
      require(
          "exploration.correlation", correlation, correlation >= 0 && correlation < 1, "in [0, 1)");
      positive("exploration.users", users);
      positive("exploration.held_out_users", heldOutUsers);
      positive("exploration.days", days);
      positive("exploration.lanes", lanes);
    }

    /** The same with other bounds of the box. */
    Exploration withBounds(Bounds bounds) {
      return new Exploration(
          kind,
          granularity,
          halfWidth,
          bounds.lower(),
          bounds.upper(),
          standardDeviation,
          correlation,
          users,
          heldOutUsers,
          days,
          lanes,
          logCandidates,
          guide);
    }
  }

  /**
   * What says where to explore.
   *
   * @param run folder of the run whose critics (thompson, ucb) or log (rnd) guide; {@value #NONE}
   *     for the other kinds
   * @param candidates candidates of a request (K)
   * @param uniformShare probability that an action is uniform in the box whatever the guide says,
   *     also of parameter noise; nothing is less probable than this share of the uniform density
   * @param kappa weight of the critics' standard deviation in ucb
   * @param steps training steps of rnd's network, and of critics that are made for {@code share}
   * @param share share of {@code exploration.users} that an experiment explores uniformly in the
   *     box first, to make the guide of that log instead of taking a run's; 0 for none
   */
  public record Guide(
      String run, int candidates, double uniformShare, double kappa, long steps, double share) {

    static final String NONE = "none";

    public Guide {
      require("exploration.guide.candidates", candidates, candidates >= 2, "at least 2");
      require(
          "exploration.guide.uniform_share",
          uniformShare,
          uniformShare > 0 && uniformShare <= 1,
          "in (0, 1]");
      require("exploration.guide.kappa", kappa, kappa >= 0, "at least 0");
      positive("exploration.guide.steps", steps);
      require("exploration.guide.share", share, share >= 0 && share < 1, "in [0, 1)");
    }

    /** No guide. */
    public static Guide none() {
      return new Guide(NONE, 16, 0.2, 1.5, 2_000, 0);
    }
  }

  /**
   * Offline training. Letters in parentheses are the symbols of specification section 0.
   *
   * @param algorithm what trains; it takes from the following what it has
   * @param steps gradient steps in all
   * @param batch requests per step (B)
   * @param hidden hidden units per layer of actor and critics
   * @param criticsPerGroup critics per reward group (m); there are as many groups (q) as the
   *     environment has
   * @param eta weight of the actor's box penalty
   * @param omega its growth per box width
   * @param penaltyForm its form (d)
   * @param lambda weight of the ensemble's standard deviation
   * @param beta attenuation of the target just outside the box
   * @param theta its decay per box width
   * @param discount gamma
   * @param groupWeights weight of each reward group in the actor's objective (w_i)
   * @param targetRate rate of the soft target update (w)
   * @param targetPeriod steps between two of them (L)
   * @param actorRate Adam's learning rate of the actor
   * @param criticRate Adam's learning rate of the critics
   * @param gradientClip largest gradient norm of a network; 0 for no limit
   * @param normaliseReturns whether rewards are divided by the standard deviation of the logged
   *     return of SUM_i w_i r_i, which eta is relative to
   * @param cloningSteps steps before the first one in which the actor learns the logged actions of
   *     a personal served policy; 0 starts at their mean
   * @param report steps between two lines of metrics
   * @param checkpoint steps between two checkpoints
   * @param keep checkpoints to keep
   */
  public record Training(
      AlgorithmKind algorithm,
      long steps,
      int batch,
      List<Integer> hidden,
      int criticsPerGroup,
      double eta,
      double omega,
      PenaltyForm penaltyForm,
      double lambda,
      double beta,
      double theta,
      double discount,
      List<Double> groupWeights,
      double targetRate,
      int targetPeriod,
      double actorRate,
      double criticRate,
      double gradientClip,
      boolean normaliseReturns,
      int cloningSteps,
      int report,
      int checkpoint,
      int keep) {

    public Training {
      hidden = List.copyOf(hidden);
      groupWeights = List.copyOf(groupWeights);
      positive("training.steps", steps);
      positive("training.batch", batch);
      positive("training.critics_per_group", criticsPerGroup);
      positive("training.target_period", targetPeriod);
      positive("training.report", report);
      positive("training.checkpoint", checkpoint);
      positive("training.keep", keep);
      require("layers of training.hidden", hidden.size(), !hidden.isEmpty(), "at least 1");
      for (int units : hidden) {
        positive("training.hidden", units);
      }
      double sum = 0;
      for (double weight : groupWeights) {
        require("training.group_weights", weight, weight >= 0, "at least 0");
        sum += weight;
      }
      require("sum of training.group_weights", sum, sum > 0, "positive");
      require("training.eta", eta, eta >= 0, "at least 0");
      require("training.omega", omega, omega > 0, "positive");
      require("training.lambda", lambda, lambda >= 0, "at least 0");
      require("training.beta", beta, beta >= 0 && beta <= 1, "in [0, 1]");
      require("training.theta", theta, theta >= 0, "at least 0");
      require("training.discount", discount, discount >= 0 && discount < 1, "in [0, 1)");
      require("training.target_rate", targetRate, targetRate > 0 && targetRate <= 1, "in (0, 1]");
      require("training.actor_rate", actorRate, actorRate > 0, "positive");
      require("training.critic_rate", criticRate, criticRate > 0, "positive");
      require("training.cloning_steps", cloningSteps, cloningSteps >= 0, "at least 0");
      require("training.gradient_clip", gradientClip, gradientClip >= 0, "at least 0");
    }

    /** The same with another number of steps. */
    Training withSteps(long number) {
      return new Training(
          algorithm,
          number,
          batch,
          hidden,
          criticsPerGroup,
          eta,
          omega,
          penaltyForm,
          lambda,
          beta,
          theta,
          discount,
          groupWeights,
          targetRate,
          targetPeriod,
          actorRate,
          criticRate,
          gradientClip,
          normaliseReturns,
          cloningSteps,
          report,
          checkpoint,
          keep);
    }
  }

  /**
   * Evaluation, offline and by A/B test.
   *
   * @param population whom the A/B test serves
   * @param bandwidth kernel width h of NCIS, in normalised action; 0 for one that follows the log
   *     in every dimension: two thirds of the box's half-width, or half of sigma for unbounded logs
   *     (0.10 at the paper's settings either way)
   * @param ncisKernel whether it is truncated where the log was explored in a box
   * @param cap cap of its weights (c)
   * @param weightCap cap of the weights of {@code dr}, {@code sndr}, {@code pdis} and {@code
   *     snpdis}, which it makes biased; 0 for none
   * @param estimators estimators beside NCIS; those with a reward model take seconds
   * @param switchThreshold largest weight that SWITCH-DR uses
   * @param modelFolds folds of users by which reward models are cross-fitted
   * @param modelPenalty ridge penalty of reward models, relative to standardised features
   * @param fittedQ how critics of {@code fqe} and {@code cfqe} are trained; the latter's alone are
   *     conservative
   * @param rewardConstant added to an item's instant reward to make its weight in MTF-GAUC; 1 in
   *     the paper's v4, 0 in its v6
   * @param users users of the A/B test; fewer if the environment has fewer
   * @param days days that each user is followed
   * @param lanes users in flight at once per thread
   * @param resamples bootstrap resamples
   * @param headroom whether oracles are searched before the A/B test, and the policy's regret to
   *     them measured after it; in the simulator only, a quarter of a minute on two processors
   */
  public record Evaluation(
      Population population,
      double bandwidth,
      NcisKernel ncisKernel,
      double cap,
      double weightCap,
      List<Estimator> estimators,
      double switchThreshold,
      int modelFolds,
      double modelPenalty,
      FittedQEvaluation.Settings fittedQ,
      double rewardConstant,
      int users,
      int days,
      int lanes,
      int resamples,
      boolean headroom) {

    public Evaluation {
      estimators = List.copyOf(estimators);
      require(
          "evaluation.estimators, each once: their number",
          estimators.size(),
          estimators.size() == Set.copyOf(estimators).size(),
          "as many as there are different ones");
      require("evaluation.switch_threshold", switchThreshold, switchThreshold >= 0, "at least 0");
      require("evaluation.model_folds", modelFolds, modelFolds >= 2, "at least 2");
      require("evaluation.model_penalty", modelPenalty, modelPenalty > 0, "positive");
      require("evaluation.bandwidth", bandwidth, bandwidth >= 0, "at least 0");
      require("evaluation.reward_constant", rewardConstant, rewardConstant >= 0, "at least 0");
      require("evaluation.cap", cap, cap > 0, "positive");
      require("evaluation.weight_cap", weightCap, weightCap >= 0, "0 (no cap) or more");
      positive("evaluation.users", users);
      positive("evaluation.days", days);
      positive("evaluation.lanes", lanes);
      require("evaluation.resamples", resamples, resamples >= 40, "at least 40");
    }

    /** Upper bound of the weights that {@link #weightCap} is about; infinite for none. */
    double correctionCap() {
      return weightCap > 0 ? weightCap : Double.POSITIVE_INFINITY;
    }
  }

  /**
   * Progressive training (specification 4.2): {@code exploration.users}, {@code
   * exploration.held_out_users} and {@code training.steps} are those of the whole run, split evenly
   * over its rounds, so that it costs what one plain run costs; the canaries' requests come on top,
   * and nothing is learned from them. {@link Gate} says what is served next.
   *
   * @param rounds rounds of exploration and training
   * @param data which logs a round learns from
   * @param start what its training starts from
   * @param box how the next round's box is chosen
   * @param boxPercentile of |mu_new - mu_old| in each dimension, which is the next half-width of a
   *     measured box; in (0, 100]
   * @param leastHalfWidth smallest half-width of a measured box
   * @param largestHalfWidth largest half-width of a measured box
   * @param leastEssShare effective share of the held-out requests below which NCIS has no say in
   *     the gate; at least 0.01, below which it is refused anyway
   * @param ncisMargin loss in NCIS that the gate tolerates, in percent of the served policy's value
   * @param gaucMargin loss in MTF-GAUC that it tolerates
   * @param canaryShare share of the training range's users whom each canary A/B test serves by both
   *     policies
   * @param canaryMargin loss in UVC and in UDT, in percent, that the canary tolerates
   */
  public record Progressive(
      int rounds,
      RoundData data,
      RoundStart start,
      BoxSchedule box,
      double boxPercentile,
      double leastHalfWidth,
      double largestHalfWidth,
      double leastEssShare,
      double ncisMargin,
      double gaucMargin,
      double canaryShare,
      double canaryMargin) {

    public Progressive {
      positive("progressive.rounds", rounds);
      require(
          "progressive.box_percentile",
          boxPercentile,
          boxPercentile > 0 && boxPercentile <= 100,
          "in (0, 100]");
      require(
          "progressive.least_half_width",
          leastHalfWidth,
          leastHalfWidth >= UniformBox.LEAST && leastHalfWidth <= 2,
          "from 1e-6 to 2");
      require(
          "progressive.largest_half_width",
          largestHalfWidth,
          largestHalfWidth >= leastHalfWidth && largestHalfWidth <= 2,
          "from progressive.least_half_width to 2");
      require(
          "progressive.least_ess_share",
          leastEssShare,
          leastEssShare >= OffPolicyEstimator.MINIMUM_ESS_SHARE && leastEssShare <= 1,
          "from 0.01 to 1");
      require("progressive.ncis_margin", ncisMargin, ncisMargin >= 0, "at least 0");
      require("progressive.gauc_margin", gaucMargin, gaucMargin >= 0, "at least 0");
      require(
          "progressive.canary_share",
          canaryShare,
          canaryShare > 0 && canaryShare <= 1,
          "in (0, 1]");
      require("progressive.canary_margin", canaryMargin, canaryMargin >= 0, "at least 0");
    }
  }

  public ExperimentConfig {
    if (threads < 0) {
      throw new IllegalArgumentException(
          "threads is " + threads + ": expected 1 or more, or 0 for one per processor");
    }
  }

  /**
   * The demo's configuration: a few minutes on two processors. The box, the group weights and the
   * pooling of rounds were chosen on validation users (see README), not on those that the A/B test
   * serves.
   */
  public static ExperimentConfig defaults() {
    return new ExperimentConfig(
        "simulator",
        1,
        "auto",
        0,
        new Engine(0, Precision.FP32, ReplayPlacement.AUTO),
        new Baseline(
            BaselineKind.EQUAL,
            32,
            8,
            10,
            1000,
            1,
            0.5,
            5,
            0,
            0,
            Objective.RETURN,
            new EvolutionStrategy(List.of(32), 16, 64, 0.02, 0.01, 0.005)),
        new Exploration(
            ExplorationKind.UNIFORM,
            Granularity.USER,
            0.3,
            List.of(),
            List.of(),
            0.2,
            0.85,
            60_000,
            5_000,
            1,
            64,
            false,
            Guide.none()),
        new Training(
            AlgorithmKind.UNIFIEDRL,
            3_000,
            512,
            List.of(64, 64),
            24,
            1.2,
            1 / 0.3,
            PenaltyForm.CONTINUOUS,
            0.2,
            1,
            1 / 0.3,
            0.9,
            List.of(1.0, 1.0),
            0.08,
            15,
            3e-4,
            1e-3,
            10,
            true,
            2_000,
            100,
            1_000,
            3),
        AlgorithmConfigs.defaults(),
        new Evaluation(
            Population.JUDGE,
            0,
            NcisKernel.PLAIN,
            10,
            0,
            List.of(),
            10,
            5,
            1e-3,
            FittedQEvaluation.Settings.defaults(),
            1,
            20_000,
            1,
            64,
            1_000,
            true),
        new Progressive(
            5,
            RoundData.POOLED,
            RoundStart.WARM,
            BoxSchedule.MEASURED,
            95,
            0.05,
            0.3,
            0.01,
            1,
            0.005,
            0.02,
            1),
        SimulatorConfig.defaults());
  }

  /** This run's part in a round of progressive training. */
  ExperimentConfig ofRound(Bounds bounds, long steps) {
    return new ExperimentConfig(
        environment,
        seed,
        backend,
        threads,
        engine,
        baseline,
        exploration.withBounds(bounds),
        training.withSteps(steps),
        algorithms,
        evaluation,
        progressive,
        simulator);
  }

  /** Threads to use: {@link #threads}, or the number of processors. */
  public int effectiveThreads() {
    return threads > 0 ? threads : Runtime.getRuntime().availableProcessors();
  }

  /** What an engine that trains is created with. */
  public EngineOptions engineOptions() {
    return EngineOptions.DEFAULT
        .withBackend(backend)
        .withThreads(threads)
        .withDevice(engine.device())
        .withPrecision(engine.precision())
        .withReplay(engine.replay())
        .withSeed(seed);
  }

  private static void positive(String key, long value) {
    require(key, (double) value, value >= 1, "at least 1");
  }

  private static void require(String key, double value, boolean valid, String expected) {
    if (!valid || !Double.isFinite(value)) {
      String shown = value == Math.rint(value) ? Long.toString((long) value) : "" + value;
      throw new IllegalArgumentException(key + " is " + shown + ": expected " + expected);
    }
  }
}
