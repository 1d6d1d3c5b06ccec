package org.unifiedrl.mtf.experiment;

import java.util.ArrayList;
import java.util.List;
import org.unifiedrl.mtf.evaluation.CrossFit;
import org.unifiedrl.mtf.evaluation.DoublyRobust;
import org.unifiedrl.mtf.evaluation.Features;
import org.unifiedrl.mtf.evaluation.KernelWeights;
import org.unifiedrl.mtf.evaluation.LoggedSteps;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimator;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;
import org.unifiedrl.mtf.evaluation.PerDecision;
import org.unifiedrl.mtf.experiment.ExperimentConfig.Estimator;

/**
 * The estimators of {@code evaluation.estimators}, by the steps and kernel weights of NCIS. Those
 * with a reward model judge the return-to-go, as NCIS does, by a quadratic model of state and
 * action that is cross-fitted over users; the log is in memory for it.
 */
final class AdditionalEstimates {

  private final ExperimentConfig config;
  private final KernelWeights kernel;
  private final PairedBootstrap bootstrap;
  private final int stateSize;
  private final int actionSize;
  private final float[] states; // (rows, S)
  private final float[] logged; // (rows, A)
  private final float[] before; // (rows, A)
  private final float[] after; // (rows, A)
  private final double[] weightsBefore; // (rows)
  private final double[] weightsAfter; // (rows)
  private final double[] rewards; // (rows)
  private final long[] sessions; // (rows)
  private final long[] users; // (rows)
  private int rows;

  AdditionalEstimates(
      ExperimentConfig config,
      KernelWeights kernel,
      PairedBootstrap bootstrap,
      int stateSize,
      int actionSize,
      long rows) {
    this.config = config;
    this.kernel = kernel;
    this.bootstrap = bootstrap;
    this.stateSize = stateSize;
    this.actionSize = actionSize;
    int count = config.evaluation().estimators().isEmpty() ? 0 : length(rows, 1);
    states = new float[length(count, stateSize)];
    logged = new float[length(count, actionSize)];
    before = new float[length(count, actionSize)];
    after = new float[length(count, actionSize)];
    weightsBefore = new double[count];
    weightsAfter = new double[count];
    rewards = new double[count];
    sessions = new long[count];
    users = new long[count];
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
   * @param at where its actions begin: the logged one, the baseline's and the policy's
   */
  void add(
      float[] state,
      int stateAt,
      float[] action,
      float[] baseline,
      float[] policy,
      int at,
      double logDensity,
      double reward,
      long session,
      long user) {
    if (sessions.length == 0) {
      return;
    }
    System.arraycopy(state, stateAt, states, rows * stateSize, stateSize);
    System.arraycopy(action, at, logged, rows * actionSize, actionSize);
    System.arraycopy(baseline, at, before, rows * actionSize, actionSize);
    System.arraycopy(policy, at, after, rows * actionSize, actionSize);
    weightsBefore[rows] = kernel.weight(action, baseline, at, actionSize, logDensity);
    weightsAfter[rows] = kernel.weight(action, policy, at, actionSize, logDensity);
    rewards[rows] = reward;
    sessions[rows] = session;
    users[rows] = user;
    rows++;
  }

  /** What the estimators say of the steps added. */
  List<OfflineEvaluation.Comparison> compare() {
    List<OfflineEvaluation.Comparison> found = new ArrayList<>();
    CrossFit models = null;
    for (Estimator estimator : config.evaluation().estimators()) {
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
      found.add(
          new OfflineEvaluation.Comparison(
              estimator, old.estimate(), judged.estimate(), judged.minus(old)));
    }
    return List.copyOf(found);
  }

  private OffPolicyEstimator sessions(Estimator estimator, double[] weights) {
    PerDecision sum =
        new PerDecision(
            new PerDecision.Settings(
                estimator == Estimator.SNPDIS,
                config.evaluation().cap(),
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
          case DR -> DoublyRobust.plain(settings.cap(), bootstrap);
          case SNDR -> DoublyRobust.selfNormalised(settings.cap(), bootstrap);
          case SWITCH_DR -> DoublyRobust.switching(settings.switchThreshold(), bootstrap);
          case PDIS, SNPDIS -> throw new IllegalArgumentException(estimator + " has no model");
        };
    models.judge(targets, weights, mean);
    return mean;
  }

  private CrossFit fit() {
    double[] returns = new double[rows];
    for (int i = rows - 1; i >= 0; i--) {
      boolean goesOn = i + 1 < rows && sessions[i + 1] == sessions[i];
      returns[i] = rewards[i] + (goesOn ? config.training().discount() * returns[i + 1] : 0);
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
