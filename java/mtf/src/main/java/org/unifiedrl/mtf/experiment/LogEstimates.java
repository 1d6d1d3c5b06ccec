package org.unifiedrl.mtf.experiment;

import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.evaluation.BoxSupport;
import org.unifiedrl.mtf.evaluation.CrossFit;
import org.unifiedrl.mtf.evaluation.DoublyRobust;
import org.unifiedrl.mtf.evaluation.Features;
import org.unifiedrl.mtf.evaluation.FittedQEvaluation;
import org.unifiedrl.mtf.evaluation.KernelWeights;
import org.unifiedrl.mtf.evaluation.LoggedSteps;
import org.unifiedrl.mtf.evaluation.Ncis;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimate;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimator;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;
import org.unifiedrl.mtf.evaluation.PerDecision;
import org.unifiedrl.mtf.experiment.ExperimentConfig.Estimator;
import org.unifiedrl.mtf.policy.Policy;

/**
 * What the estimators of {@code evaluation.estimators} say of policies by one exploration log,
 * which is in memory for it. Kernels are truncated to the box where the log was explored in one.
 * Those with a reward model judge the return-to-go, as NCIS does, by a quadratic model of state and
 * action that is cross-fitted over users. All are refused where too many of the policy's actions
 * lie far outside the box. One thread at a time.
 */
final class LogEstimates {

  private static final int ROWS = 1024;

  private final ExperimentConfig config;
  private final KernelWeights kernel;
  private final PairedBootstrap bootstrap;
  private final boolean boxed;
  private final int stateSize;
  private final int actionSize;
  private final int groups;
  private final int rows;
  private final float[] states; // (rows, S)
  private final float[] logged; // (rows, A)
  private final float[] low; // (rows, A)
  private final float[] high; // (rows, A)
  private final float[] logDensity; // (rows)
  private final float[] groupRewards; // (rows, q)
  private final double[] rewards; // (rows)
  private final boolean[] last; // (rows)
  private final long[] sessions; // (rows)
  private final long[] users; // (rows)

  // Fitted once, when first asked for.
  private CrossFit models;
  private final Map<Estimator, FittedQEvaluation> critics = new EnumMap<>(Estimator.class);

  /**
   * Reads a log.
   *
   * @param bandwidth kernel width h of each action dimension
   */
  LogEstimates(
      ExperimentConfig config, double[] bandwidth, PairedBootstrap bootstrap, Replay replay) {
    this.config = config;
    this.kernel = new KernelWeights(bandwidth);
    this.bootstrap = bootstrap;
    ReplaySchema schema = replay.schema();
    boxed = schema.boxCheck();
    rows = length(replay.rows(), 1);
    states = column(replay, ReplaySchema.STATE);
    logged = column(replay, ReplaySchema.ACTION);
    low = column(replay, ReplaySchema.BOX_LOW);
    high = column(replay, ReplaySchema.BOX_HIGH);
    logDensity = column(replay, ReplaySchema.LOG_DENSITY);
    groupRewards = column(replay, ReplaySchema.REWARD);
    stateSize = states.length / rows;
    actionSize = logged.length / rows;
    groups = groupRewards.length / rows;
    rewards = new double[rows];
    last = new boolean[rows];
    sessions = new long[rows];
    users = new long[rows];
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < groups; i++) {
        rewards[row] += groupRewards[row * groups + i];
      }
      last[row] = replay.isLast(row);
      sessions[row] = replay.sessionId(row);
      users[row] = replay.userId(row);
    }
  }

  private float[] column(Replay replay, String name) {
    int index = replay.schema().columnIndex(name);
    int width = replay.schema().columns().get(index).width();
    float[] values = new float[length(rows, width)];
    for (int row = 0; row < rows; row++) {
      replay.get(row, index, values, row * width);
    }
    return values;
  }

  private static int length(long rows, int size) {
    if (rows * size > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "evaluation.estimators keep the log in memory: "
              + rows
              + " requests of "
              + size
              + " numbers are too many; expected at most "
              + (Integer.MAX_VALUE - 8) / size);
    }
    return (int) (rows * size);
  }

  /**
   * What one policy would have done.
   *
   * @param actions in all states of the log, {@code [rows, A]}
   * @param weights importance weight of each logged step, {@code [rows]}
   * @param refusal why its actions lie too far outside their boxes, if so; empty for a log without
   *     boxes
   */
  record Judged(float[] actions, double[] weights, Optional<String> refusal) {}

  /** Asks a policy for its actions in all states. */
  Judged ask(Policy policy) {
    float[] actions = new float[rows * actionSize];
    float[] someStates = new float[ROWS * stateSize];
    float[] someActions = new float[ROWS * actionSize];
    for (int from = 0; from < rows; from += ROWS) {
      int some = Math.min(ROWS, rows - from);
      System.arraycopy(states, from * stateSize, someStates, 0, some * stateSize);
      policy.act(someStates, some, someActions);
      System.arraycopy(someActions, 0, actions, from * actionSize, some * actionSize);
    }
    double[] weights = new double[rows];
    BoxSupport support = new BoxSupport();
    for (int row = 0; row < rows; row++) {
      int at = row * actionSize;
      weights[row] =
          boxed
              ? kernel.weightInBox(logged, actions, low, high, at, actionSize, logDensity[row])
              : kernel.weight(logged, actions, at, actionSize, logDensity[row]);
      if (boxed) {
        support.add(actions, low, high, at, actionSize);
      }
    }
    return new Judged(actions, weights, support.refusal());
  }

  /** Why a model of the values cannot judge a policy, if so: it has no weights that would tell. */
  private Optional<String> unsupported(Judged judged) {
    return boxed ? judged.refusal : tooFew(judged.weights);
  }

  /** Without boxes, a log knows a policy by the effective share of its steps. */
  private static Optional<String> tooFew(double[] weights) {
    double sum = 0;
    double squares = 0;
    for (double weight : weights) {
      sum += weight;
      squares += weight * weight;
    }
    double share = squares > 0 ? sum * sum / squares / weights.length : 0;
    return share >= OffPolicyEstimator.MINIMUM_ESS_SHARE
        ? Optional.empty()
        : Optional.of(
            String.format(
                Locale.ROOT,
                "the log's steps near the policy's actions are worth %.3g %% of all %d, at least %.3g %%"
                    + " must be: explore nearer to it",
                100 * share,
                weights.length,
                100 * OffPolicyEstimator.MINIMUM_ESS_SHARE));
  }

  /** What an estimator says of both, and of their difference. */
  OfflineEvaluation.Comparison compare(Estimator estimator, Judged baseline, Judged policy) {
    if (fitted(estimator)) {
      FittedQEvaluation.Judged old =
          critics(estimator).judge(baseline.actions, unsupported(baseline));
      FittedQEvaluation.Judged now = critics(estimator).judge(policy.actions, unsupported(policy));
      return new OfflineEvaluation.Comparison(
          estimator, old.estimate(), now.estimate(), now.minus(old));
    }
    OffPolicyEstimator old = weighted(estimator, baseline);
    OffPolicyEstimator now = weighted(estimator, policy);
    return new OfflineEvaluation.Comparison(
        estimator, old.estimate(), now.estimate(), now.minus(old));
  }

  /** What an estimator says of one policy. */
  OffPolicyEstimate estimate(Estimator estimator, Judged policy) {
    return fitted(estimator)
        ? critics(estimator).judge(policy.actions, unsupported(policy)).estimate()
        : weighted(estimator, policy).estimate();
  }

  /**
   * NCIS of one policy.
   *
   * @param inBox whether its kernel is truncated to the box too, which its usual form's is not
   */
  OffPolicyEstimate ncis(Judged policy, boolean inBox) {
    Ncis ncis =
        new Ncis(
            new Ncis.Settings(
                new double[] {1}, // of a kernel that is not asked for: weights are given
                config.evaluation().cap(),
                Ncis.Value.RETURN_TO_GO,
                config.training().discount()),
            bootstrap);
    for (int row = 0; row < rows; row++) {
      int at = row * actionSize;
      double weight =
          inBox
              ? policy.weights[row]
              : kernel.weight(logged, policy.actions, at, actionSize, logDensity[row]);
      ncis.add(weight, rewards[row], sessions[row], users[row]);
    }
    if (inBox) {
      ncis.refuseFor(policy.refusal);
    }
    return ncis.estimate();
  }

  private static boolean fitted(Estimator estimator) {
    return estimator == Estimator.FQE || estimator == Estimator.CFQE;
  }

  private FittedQEvaluation critics(Estimator estimator) {
    FittedQEvaluation.Settings settings = config.evaluation().fittedQ();
    return critics.computeIfAbsent(
        estimator,
        kind ->
            new FittedQEvaluation(
                kind == Estimator.FQE ? settings.withConservatism(0) : settings,
                config.training().discount(),
                new FittedQEvaluation.Sessions(
                    states, stateSize, logged, actionSize, groupRewards, groups, last, users),
                config.engineOptions()));
  }

  private OffPolicyEstimator weighted(Estimator estimator, Judged policy) {
    ExperimentConfig.Evaluation settings = config.evaluation();
    OffPolicyEstimator found =
        switch (estimator) {
          case DM -> judged(DoublyRobust.directMethod(bootstrap), policy);
          case DR -> judged(DoublyRobust.plain(settings.correctionCap(), bootstrap), policy);
          case SNDR ->
              judged(DoublyRobust.selfNormalised(settings.correctionCap(), bootstrap), policy);
          case SWITCH_DR ->
              judged(DoublyRobust.switching(settings.switchThreshold(), bootstrap), policy);
          case PDIS -> perDecision(false, policy);
          case SNPDIS -> perDecision(true, policy);
          case FQE, CFQE -> throw new IllegalArgumentException(estimator + " weighs nothing");
        };
    found.refuseFor(policy.refusal);
    return found;
  }

  private DoublyRobust judged(DoublyRobust mean, Judged policy) {
    models().judge(policy.actions, policy.weights, mean);
    return mean;
  }

  private PerDecision perDecision(boolean selfNormalised, Judged policy) {
    PerDecision sum =
        new PerDecision(
            new PerDecision.Settings(
                selfNormalised, config.evaluation().correctionCap(), config.training().discount()),
            bootstrap);
    for (int row = 0; row < rows; row++) {
      sum.add(policy.weights[row], rewards[row], sessions[row], users[row]);
    }
    return sum;
  }

  private CrossFit models() {
    if (models == null) {
      double[] returns = rewards.clone();
      for (int row = rows - 2; row >= 0; row--) {
        returns[row] += last[row] ? 0 : config.training().discount() * returns[row + 1];
      }
      LoggedSteps log = new LoggedSteps(states, stateSize, logged, actionSize, returns, users);
      ExperimentConfig.Evaluation settings = config.evaluation();
      models =
          CrossFit.ridge(
              log,
              Features.quadratic(stateSize, actionSize),
              settings.modelFolds(),
              settings.modelPenalty(),
              config.seed());
    }
    return models;
  }

  /** What the estimators of the configuration say of both. */
  List<OfflineEvaluation.Comparison> compare(Policy baseline, Policy policy) {
    Judged old = ask(baseline);
    Judged now = ask(policy);
    return config.evaluation().estimators().stream().map(e -> compare(e, old, now)).toList();
  }
}
