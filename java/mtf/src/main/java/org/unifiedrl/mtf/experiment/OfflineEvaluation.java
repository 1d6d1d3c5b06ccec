package org.unifiedrl.mtf.experiment;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.evaluation.BoxSupport;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.evaluation.KernelWeights;
import org.unifiedrl.mtf.evaluation.MtfGauc;
import org.unifiedrl.mtf.evaluation.Ncis;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimate;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;
import org.unifiedrl.mtf.evaluation.RankingTestSet;
import org.unifiedrl.mtf.policy.PairPolicy;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;

/**
 * What users' past says about a policy and its baseline, each judged on the same data: NCIS of the
 * discounted return-to-go from an exploration log, and MTF-GAUC from requests of the baseline
 * without exploration (specification 4.1, 4.3 and 10). Differences have intervals of their own,
 * over users: they are surer than the two estimates.
 *
 * @param ncisBaseline value of the baseline
 * @param ncisPolicy value of the policy
 * @param ncisDifference policy minus baseline; not a number if either is refused
 * @param bandwidth kernel width h of each action dimension
 * @param gaucBaseline ranking metric of the baseline
 * @param gaucPolicy ranking metric of the policy
 * @param gaucDifference policy minus baseline; not a number if no user has an AUC
 * @param estimators what the estimators of {@code evaluation.estimators} say, in that order
 */
public record OfflineEvaluation(
    OffPolicyEstimate ncisBaseline,
    OffPolicyEstimate ncisPolicy,
    Interval ncisDifference,
    double[] bandwidth,
    MtfGauc.Result gaucBaseline,
    MtfGauc.Result gaucPolicy,
    Interval gaucDifference,
    List<Comparison> estimators) {

  /**
   * What one estimator says by the exploration log.
   *
   * @param estimator the estimator
   * @param baseline value of the baseline
   * @param policy value of the policy
   * @param difference policy minus baseline; not a number if either is refused
   */
  public record Comparison(
      ExperimentConfig.Estimator estimator,
      OffPolicyEstimate baseline,
      OffPolicyEstimate policy,
      Interval difference) {}

  private static final Interval NOT_KNOWN = new Interval(Double.NaN, Double.NaN, Double.NaN);
  private static final String PAIR_POLICY =
      "the policy acts on every candidate, and the log's density is of one action a request";
  private static final String PAIR_LOG =
      "the log's density is of the shown candidates' actions, and those of the others decided too"
          + " what was shown";
  private static final int ROWS = 1024;
  private static final MtfGauc.UserWeight USER_WEIGHT = MtfGauc.UserWeight.SUMMED_WEIGHT;

  // Specification 10: h = 0.10 for a box of +-0.15 as for N(0, 0.2^2).
  private static final double BANDWIDTH_OF_HALF_WIDTH = 2 / 3.0;
  private static final double BANDWIDTH_OF_SIGMA = 0.5;

  /** Judges both policies on the requests of an exploration log and on a test set. */
  static OfflineEvaluation of(
      Environment environment,
      Replay replay,
      RankingTestSet testSet,
      Policy baseline,
      Policy policy,
      ExperimentConfig config,
      RunListener.Stage stage) {
    PairedBootstrap bootstrap = new PairedBootstrap(config.seed(), config.evaluation().resamples());
    MtfGauc ranksBefore = testSet.judge(baseline);
    MtfGauc ranksAfter = testSet.judge(policy);
    MtfGauc.Result gaucBefore = ranksBefore.result(USER_WEIGHT);
    MtfGauc.Result gaucAfter = ranksAfter.result(USER_WEIGHT);
    Interval gaucGain =
        gaucBefore.users() > 0
            ? ranksBefore.gain(ranksAfter, USER_WEIGHT, bootstrap)
            : new Interval(Double.NaN, Double.NaN, Double.NaN);
    ReplaySchema schema = replay.schema();
    boolean pairLog = new Transitions(schema).pairwise();
    if (pairLog || policy instanceof PairPolicy) {
      OffPolicyEstimate refused = refused(replay, pairLog ? PAIR_LOG : PAIR_POLICY);
      return new OfflineEvaluation(
          refused,
          refused,
          NOT_KNOWN,
          new double[0],
          gaucBefore,
          gaucAfter,
          gaucGain,
          config.evaluation().estimators().stream()
              .map(estimator -> new Comparison(estimator, refused, refused, NOT_KNOWN))
              .toList());
    }
    requireWidth(schema, ReplaySchema.STATE, environment.stateSize(), environment);
    requireWidth(schema, ReplaySchema.ACTION, environment.actionSize(), environment);
    requireWidth(schema, ReplaySchema.REWARD, environment.rewardGroups().size(), environment);
    double[] bandwidth = bandwidth(config, replay);
    Ncis.Settings settings =
        new Ncis.Settings(
            bandwidth,
            config.evaluation().cap(),
            Ncis.Value.RETURN_TO_GO,
            config.training().discount());
    Ncis before = new Ncis(settings, bootstrap);
    Ncis after = new Ncis(settings, bootstrap);
    boolean inBox =
        schema.boxCheck() && config.evaluation().ncisKernel() == ExperimentConfig.NcisKernel.IN_BOX;
    addSteps(
        replay,
        baseline,
        policy,
        inBox ? Optional.of(new KernelWeights(bandwidth)) : Optional.empty(),
        before,
        after,
        stage);
    return new OfflineEvaluation(
        before.estimate(),
        after.estimate(),
        after.minus(before),
        bandwidth,
        gaucBefore,
        gaucAfter,
        gaucGain,
        config.evaluation().estimators().isEmpty()
            ? List.of()
            : new LogEstimates(config, bandwidth, bootstrap, replay).compare(baseline, policy));
  }

  /** No estimate: importance weights are of one action a request. */
  private static OffPolicyEstimate refused(Replay replay, String reason) {
    double none = Double.NaN;
    return new OffPolicyEstimate(
        none, none, none, replay.rows(), 0, none, none, none, Optional.of(reason));
  }

  private static void addSteps(
      Replay replay,
      Policy baseline,
      Policy policy,
      Optional<KernelWeights> inBox,
      Ncis before,
      Ncis after,
      RunListener.Stage stage) {
    int stateSize = baseline.stateSize();
    int actionSize = baseline.actionSize();
    ReplaySchema schema = replay.schema();
    int stateColumn = schema.columnIndex(ReplaySchema.STATE);
    int actionColumn = schema.columnIndex(ReplaySchema.ACTION);
    int rewardColumn = schema.columnIndex(ReplaySchema.REWARD);
    int lowColumn = schema.columnIndex(ReplaySchema.BOX_LOW);
    int highColumn = schema.columnIndex(ReplaySchema.BOX_HIGH);
    int densityColumn = schema.columnIndex(ReplaySchema.LOG_DENSITY);
    float[] states = new float[ROWS * stateSize];
    float[] old = new float[ROWS * actionSize];
    float[] target = new float[ROWS * actionSize];
    float[] logged = new float[ROWS * actionSize];
    float[] low = new float[ROWS * actionSize];
    float[] high = new float[ROWS * actionSize];
    float[] reward = new float[schema.columns().get(rewardColumn).width()];
    float[] density = new float[1];
    BoxSupport oldSupport = new BoxSupport();
    BoxSupport newSupport = new BoxSupport();
    for (long from = 0; from < replay.rows(); from += ROWS) {
      int rows = (int) Math.min(ROWS, replay.rows() - from);
      for (int r = 0; r < rows; r++) {
        replay.get(from + r, stateColumn, states, r * stateSize);
        replay.get(from + r, actionColumn, logged, r * actionSize);
        replay.get(from + r, lowColumn, low, r * actionSize);
        replay.get(from + r, highColumn, high, r * actionSize);
      }
      baseline.act(states, rows, old);
      policy.act(states, rows, target);
      for (int r = 0; r < rows; r++) {
        long row = from + r;
        replay.get(row, rewardColumn, reward, 0);
        double sum = 0;
        for (float value : reward) {
          sum += value;
        }
        replay.get(row, densityColumn, density, 0);
        int at = r * actionSize;
        long session = replay.sessionId(row);
        long user = replay.userId(row);
        if (inBox.isPresent()) {
          KernelWeights kernel = inBox.get();
          oldSupport.add(old, low, high, at, actionSize);
          newSupport.add(target, low, high, at, actionSize);
          before.add(
              kernel.weightInBox(logged, old, low, high, at, actionSize, density[0]),
              sum,
              session,
              user);
          after.add(
              kernel.weightInBox(logged, target, low, high, at, actionSize, density[0]),
              sum,
              session,
              user);
        } else {
          before.add(logged, old, at, actionSize, density[0], sum, session, user);
          after.add(logged, target, at, actionSize, density[0], sum, session, user);
        }
      }
      stage.at(from + rows, "");
    }
    before.refuseFor(oldSupport.refusal());
    after.refuseFor(newSupport.refusal());
  }

  /** The kernel width of a configuration, by dimension, or the one that fits the log. */
  static double[] bandwidth(ExperimentConfig config, Replay replay) {
    if (config.evaluation().bandwidth() == 0) {
      return bandwidthOf(replay);
    }
    ReplaySchema schema = replay.schema();
    int actions = schema.columns().get(schema.columnIndex(ReplaySchema.ACTION)).width();
    double[] bandwidth = new double[actions];
    Arrays.fill(bandwidth, config.evaluation().bandwidth());
    return bandwidth;
  }

  /**
   * The kernel width that fits a log, by dimension: two thirds of the half-width of its widest box;
   * where nothing bounds the noise, half the standard deviation of its actions around the baseline.
   */
  private static double[] bandwidthOf(Replay replay) {
    ReplaySchema schema = replay.schema();
    int lowColumn = schema.columnIndex(ReplaySchema.BOX_LOW);
    int highColumn = schema.columnIndex(ReplaySchema.BOX_HIGH);
    int actionColumn = schema.columnIndex(ReplaySchema.ACTION);
    int baselineColumn = schema.columnIndex(ReplaySchema.BASELINE_ACTION);
    int size = schema.columns().get(actionColumn).width();
    boolean unbounded = !schema.boxCheck();
    float[] a = new float[size];
    float[] b = new float[size];
    double[] found = new double[size];
    for (long row = 0; row < replay.rows(); row++) {
      replay.get(row, unbounded ? baselineColumn : lowColumn, a, 0);
      replay.get(row, unbounded ? actionColumn : highColumn, b, 0);
      for (int k = 0; k < size; k++) {
        double span = (double) b[k] - a[k];
        found[k] = unbounded ? found[k] + span * span : Math.max(found[k], span);
      }
    }
    for (int k = 0; k < size; k++) {
      found[k] =
          unbounded
              ? BANDWIDTH_OF_SIGMA * Math.sqrt(found[k] / replay.rows())
              : BANDWIDTH_OF_HALF_WIDTH * found[k] / 2;
    }
    return found;
  }

  private static void requireWidth(
      ReplaySchema schema, String column, int expected, Environment environment) {
    int found = schema.columns().get(schema.columnIndex(column)).width();
    if (found != expected) {
      throw new IllegalArgumentException(
          "the log's column '"
              + column
              + "' has width "
              + found
              + ", environment "
              + environment.name()
              + " needs "
              + expected
              + Arrays.toString(schema.metadata().entrySet().toArray()));
    }
  }
}
