package org.unifiedrl.mtf.experiment;

import java.util.Arrays;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.evaluation.MtfGauc;
import org.unifiedrl.mtf.evaluation.Ncis;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimate;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;

/**
 * What a log says about a policy that did not write it: NCIS of the discounted return-to-go, and
 * MTF-GAUC of the shown items under the policy's fusion.
 *
 * <p>The weight of an item in MTF-GAUC is {@code 1 + ln(1 + seconds) + } the sum of its other
 * responses: the instant reward plus one, the form of the paper's v4 (specification 4.3), so that
 * items without any reward stay in the metric. Users weigh by their samples' weight.
 *
 * @param ncis estimate of the return-to-go
 * @param mtfGauc the ranking metric
 */
public record OfflineEvaluation(OffPolicyEstimate ncis, MtfGauc.Result mtfGauc) {

  private static final int ROWS = 1024;

  /** Judges a policy on the requests of a replay. */
  static OfflineEvaluation of(
      Environment environment,
      Replay replay,
      Policy policy,
      ExperimentConfig config,
      RunListener.Stage stage,
      long doneBefore) {
    int valid = response(environment, "valid");
    int seconds = response(environment, "watch_seconds");
    int items = environment.pageSize();
    int heads = environment.scoreNames().size();
    int responseCount = environment.responseNames().size();
    int stateSize = environment.stateSize();
    int actionSize = environment.actionSize();
    int groups = environment.rewardGroups().size();
    ReplaySchema schema = replay.schema();
    requireWidth(schema, ReplaySchema.STATE, stateSize, environment);
    requireWidth(schema, ReplaySchema.ACTION, actionSize, environment);
    requireWidth(schema, RequestLog.PAGE_SCORES, items * heads, environment);
    requireWidth(schema, RequestLog.PAGE_RESPONSES, items * responseCount, environment);
    int stateColumn = schema.columnIndex(ReplaySchema.STATE);
    int actionColumn = schema.columnIndex(ReplaySchema.ACTION);
    int rewardColumn = schema.columnIndex(ReplaySchema.REWARD);
    int densityColumn = schema.columnIndex(ReplaySchema.LOG_DENSITY);
    int scoresColumn = schema.columnIndex(RequestLog.PAGE_SCORES);
    int responsesColumn = schema.columnIndex(RequestLog.PAGE_RESPONSES);
    int itemsColumn = schema.columnIndex(RequestLog.PAGE_ITEMS);

    ExperimentConfig.Evaluation settings = config.evaluation();
    Ncis ncis =
        new Ncis(
            new Ncis.Settings(
                settings.bandwidth(),
                settings.cap(),
                Ncis.Value.RETURN_TO_GO,
                config.training().discount()),
            new PairedBootstrap(config.seed(), settings.resamples()));
    MtfGauc gauc = new MtfGauc();
    Fusion fusion = new Fusion(environment.actionMap());
    float[] states = new float[ROWS * stateSize];
    float[] target = new float[ROWS * actionSize];
    float[] logged = new float[ROWS * actionSize];
    float[] reward = new float[groups];
    float[] one = new float[1];
    float[] pageScores = new float[items * heads];
    float[] byHead = new float[items * heads];
    float[] responses = new float[items * responseCount];
    float[] fused = new float[items];
    for (long from = 0; from < replay.rows(); from += ROWS) {
      int rows = (int) Math.min(ROWS, replay.rows() - from);
      for (int r = 0; r < rows; r++) {
        replay.get(from + r, stateColumn, states, r * stateSize);
        replay.get(from + r, actionColumn, logged, r * actionSize);
      }
      policy.act(states, rows, target);
      for (int r = 0; r < rows; r++) {
        long row = from + r;
        replay.get(row, rewardColumn, reward, 0);
        double sum = 0;
        for (float value : reward) {
          sum += value;
        }
        replay.get(row, densityColumn, one, 0);
        ncis.add(logged, target, r * actionSize, actionSize, one[0], sum, replay.sessionId(row));

        replay.get(row, scoresColumn, pageScores, 0);
        replay.get(row, responsesColumn, responses, 0);
        replay.get(row, itemsColumn, one, 0);
        int shown = (int) one[0];
        for (int item = 0; item < shown; item++) {
          for (int head = 0; head < heads; head++) {
            byHead[head * items + item] = pageScores[item * heads + head];
          }
        }
        fusion.fuse(byHead, 0, items, shown, target, r * actionSize, fused);
        for (int item = 0; item < shown; item++) {
          int at = item * responseCount;
          double weight = 1 + Math.log1p(responses[at + seconds]);
          for (int i = 0; i < responseCount; i++) {
            weight += i == seconds ? 0 : responses[at + i];
          }
          gauc.add(replay.userId(row), fused[item], responses[at + valid] > 0, weight);
        }
      }
      stage.at(doneBefore + from + rows, "");
    }
    return new OfflineEvaluation(ncis.estimate(), gauc.result(MtfGauc.UserWeight.SUMMED_WEIGHT));
  }

  private static int response(Environment environment, String prefix) {
    for (int i = 0; i < environment.responseNames().size(); i++) {
      if (environment.responseNames().get(i).startsWith(prefix)) {
        return i;
      }
    }
    throw new IllegalArgumentException(
        "environment "
            + environment.name()
            + " has no response '"
            + prefix
            + "': it has "
            + environment.responseNames());
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
