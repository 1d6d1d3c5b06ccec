package org.unifiedrl.mtf.experiment;

import java.util.ArrayList;
import java.util.List;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.evaluation.BoxSupport;
import org.unifiedrl.mtf.evaluation.CrossFit;
import org.unifiedrl.mtf.evaluation.DoublyRobust;
import org.unifiedrl.mtf.evaluation.Features;
import org.unifiedrl.mtf.evaluation.FittedQEvaluation;
import org.unifiedrl.mtf.evaluation.KernelWeights;
import org.unifiedrl.mtf.evaluation.LoggedSteps;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimator;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;
import org.unifiedrl.mtf.evaluation.PerDecision;
import org.unifiedrl.mtf.experiment.ExperimentConfig.Estimator;

/**
 * The estimators of {@code evaluation.estimators}, by the steps of NCIS and by its kernel,
 * truncated to the box where the log was explored in one. Those with a reward model judge the
 * return-to-go, as NCIS does, by a quadratic model of state and action that is cross-fitted over
 * users; the log is in memory for it. All are refused where too many of the policy's actions lie
 * far outside the box.
 */
final class AdditionalEstimates {

  private final ExperimentConfig config;
  private final KernelWeights kernel;
  private final boolean boxed;
  private final PairedBootstrap bootstrap;
  private final BoxSupport supportBefore = new BoxSupport();
  private final BoxSupport supportAfter = new BoxSupport();
  private final int stateSize;
  private final int actionSize;
  private final int groups;
  private final float[] states; // (rows, S)
  private final float[] logged; // (rows, A)
  private final float[] before; // (rows, A)
  private final float[] after; // (rows, A)
  private final double[] weightsBefore; // (rows)
  private final double[] weightsAfter; // (rows)
  private final float[] groupRewards; // (rows, q)
  private final double[] rewards; // (rows)
  private final boolean[] last; // (rows)
  private final long[] sessions; // (rows)
  private final long[] users; // (rows)
  private int rows;

  /**
   * Keeps nothing yet.
   *
   * @param schema of the log: whether its actions stay in boxes, and its widths
   * @param rows requests of the log
   */
  AdditionalEstimates(
      ExperimentConfig config,
      KernelWeights kernel,
      PairedBootstrap bootstrap,
      ReplaySchema schema,
      long rows) {
    this.config = config;
    this.kernel = kernel;
    this.bootstrap = bootstrap;
    boxed = schema.boxCheck();
    stateSize = width(schema, ReplaySchema.STATE);
    actionSize = width(schema, ReplaySchema.ACTION);
    groups = width(schema, ReplaySchema.REWARD);
    int count = config.evaluation().estimators().isEmpty() ? 0 : length(rows, 1);
    states = new float[length(count, stateSize)];
    logged = new float[length(count, actionSize)];
    before = new float[length(count, actionSize)];
    after = new float[length(count, actionSize)];
    weightsBefore = new double[count];
    weightsAfter = new double[count];
    groupRewards = new float[length(count, groups)];
    rewards = new double[count];
    last = new boolean[count];
    sessions = new long[count];
    users = new long[count];
  }

  private static int width(ReplaySchema schema, String column) {
    return schema.columns().get(schema.columnIndex(column)).width();
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
   * Adds one step; the steps of a session in order and together.
   *
   * @param stateAt where its state begins
   * @param at where its actions and the edges of its box begin
   * @param reward of each group
   */
  void add(
      float[] state,
      int stateAt,
      float[] action,
      float[] baseline,
      float[] policy,
      float[] low,
      float[] high,
      int at,
      double logDensity,
      float[] reward,
      boolean end,
      long session,
      long user) {
    if (sessions.length == 0) {
      return;
    }
    System.arraycopy(state, stateAt, states, rows * stateSize, stateSize);
    System.arraycopy(action, at, logged, rows * actionSize, actionSize);
    System.arraycopy(baseline, at, before, rows * actionSize, actionSize);
    System.arraycopy(policy, at, after, rows * actionSize, actionSize);
    if (boxed) {
      weightsBefore[rows] =
          kernel.weightInBox(action, baseline, low, high, at, actionSize, logDensity);
      weightsAfter[rows] =
          kernel.weightInBox(action, policy, low, high, at, actionSize, logDensity);
      supportBefore.add(baseline, low, high, at, actionSize);
      supportAfter.add(policy, low, high, at, actionSize);
    } else {
      weightsBefore[rows] = kernel.weight(action, baseline, at, actionSize, logDensity);
      weightsAfter[rows] = kernel.weight(action, policy, at, actionSize, logDensity);
    }
    for (int i = 0; i < groups; i++) {
      groupRewards[rows * groups + i] = reward[i];
      rewards[rows] += reward[i];
    }
    last[rows] = end;
    sessions[rows] = session;
    users[rows] = user;
    rows++;
  }

  /** What the estimators say of the steps added. */
  List<OfflineEvaluation.Comparison> compare() {
    List<OfflineEvaluation.Comparison> found = new ArrayList<>();
    CrossFit models = null;
    for (Estimator estimator : config.evaluation().estimators()) {
      if (estimator == Estimator.FQE || estimator == Estimator.CFQE) {
        found.add(fittedQ(estimator));
        continue;
      }
      OffPolicyEstimator old;
      OffPolicyEstimator judged;
      if (estimator == Estimator.PDIS || estimator == Estimator.SNPDIS) {
        old = sessions(estimator, weightsBefore);
        judged = sessions(estimator, weightsAfter);
      } else {
        if (models == null) {
          models = fit();
        }
        old = steps(estimator, models, before, weightsBefore);
        judged = steps(estimator, models, after, weightsAfter);
      }
      old.refuseFor(supportBefore.refusal());
      judged.refuseFor(supportAfter.refusal());
      found.add(
          new OfflineEvaluation.Comparison(
              estimator, old.estimate(), judged.estimate(), judged.minus(old)));
    }
    return List.copyOf(found);
  }

  private OfflineEvaluation.Comparison fittedQ(Estimator estimator) {
    FittedQEvaluation.Settings settings = config.evaluation().fittedQ();
    FittedQEvaluation critics =
        new FittedQEvaluation(
            estimator == Estimator.FQE ? settings.withConservatism(0) : settings,
            config.training().discount(),
            new FittedQEvaluation.Sessions(
                states, stateSize, logged, actionSize, groupRewards, groups, last, users),
            config.engineOptions());
    FittedQEvaluation.Judged old = critics.judge(before, supportBefore);
    FittedQEvaluation.Judged judged = critics.judge(after, supportAfter);
    return new OfflineEvaluation.Comparison(
        estimator, old.estimate(), judged.estimate(), judged.minus(old));
  }

  private OffPolicyEstimator sessions(Estimator estimator, double[] weights) {
    PerDecision sum =
        new PerDecision(
            new PerDecision.Settings(
                estimator == Estimator.SNPDIS,
                config.evaluation().correctionCap(),
                config.training().discount()),
            bootstrap);
    for (int i = 0; i < rows; i++) {
      sum.add(weights[i], rewards[i], sessions[i], users[i]);
    }
    return sum;
  }

  private OffPolicyEstimator steps(
      Estimator estimator, CrossFit models, float[] targets, double[] weights) {
    ExperimentConfig.Evaluation settings = config.evaluation();
    DoublyRobust mean =
        switch (estimator) {
          case DM -> DoublyRobust.directMethod(bootstrap);
          case DR -> DoublyRobust.plain(settings.correctionCap(), bootstrap);
          case SNDR -> DoublyRobust.selfNormalised(settings.correctionCap(), bootstrap);
          case SWITCH_DR -> DoublyRobust.switching(settings.switchThreshold(), bootstrap);
          default -> throw new IllegalArgumentException(estimator + " has no reward model");
        };
    models.judge(targets, weights, mean);
    return mean;
  }

  private CrossFit fit() {
    double[] returns = new double[rows];
    for (int i = rows - 1; i >= 0; i--) {
      returns[i] = rewards[i] + (last[i] ? 0 : config.training().discount() * returns[i + 1]);
    }
    LoggedSteps log = new LoggedSteps(states, stateSize, logged, actionSize, returns, users);
    ExperimentConfig.Evaluation settings = config.evaluation();
    return CrossFit.ridge(
        log,
        Features.quadratic(stateSize, actionSize),
        settings.modelFolds(),
        settings.modelPenalty(),
        config.seed());
  }
}
