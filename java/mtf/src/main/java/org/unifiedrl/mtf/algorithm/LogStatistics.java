package org.unifiedrl.mtf.algorithm;

import java.util.Arrays;
import java.util.List;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * What training needs to know of a log beforehand.
 *
 * @param stateShift mean of each state feature
 * @param stateScale reciprocal of its standard deviation; 1 for a feature that does not vary
 * @param returnDeviation standard deviation over requests of the discounted return of what the
 *     actor maximises, SUM_i w_i r_i
 */
public record LogStatistics(float[] stateShift, float[] stateScale, double returnDeviation) {

  // A feature that varies less than this share of its own size only carries rounding.
  private static final double LEAST_VARIATION = 1e-6;

  /**
   * Reads the log once, from its last row to its first, as returns are summed. In a log of pairs a
   * feature's statistics are those of the pairs at all places of a list.
   *
   * @param discount gamma
   * @param groupWeights weight of each reward group in the actor's objective (w_i)
   */
  public static LogStatistics of(Replay replay, double discount, List<Double> groupWeights) {
    ReplaySchema schema = replay.schema();
    Transitions transitions = new Transitions(schema);
    int stateColumn = schema.columnIndex(ReplaySchema.STATE);
    int rewardColumn = schema.columnIndex(ReplaySchema.REWARD);
    int s = transitions.states();
    int pairs = transitions.pairs();
    float[] state = new float[pairs * s];
    float[] reward = new float[schema.columns().get(rewardColumn).width()];
    double[] mean = new double[s];
    double[] squares = new double[s];
    double returnMean = 0;
    double returnSquares = 0;
    double returnToGo = 0;
    long seen = 0;
    long states = 0;
    for (long row = replay.rows() - 1; row >= 0; row--) {
      seen++;
      replay.get(row, stateColumn, state, 0);
      for (int from = 0; from < state.length; from += s) {
        states++;
        for (int f = 0; f < s; f++) {
          double difference = state[from + f] - mean[f];
          mean[f] += difference / states;
          squares[f] += difference * (state[from + f] - mean[f]);
        }
      }
      replay.get(row, rewardColumn, reward, 0);
      double sum = 0;
      for (int group = 0; group < reward.length; group++) {
        sum += groupWeights.get(group) * reward[group];
      }
      returnToGo = sum + (replay.isLast(row) ? 0 : discount * returnToGo);
      double difference = returnToGo - returnMean;
      returnMean += difference / seen;
      returnSquares += difference * (returnToGo - returnMean);
    }
    float[] shift = new float[s];
    float[] scale = new float[s];
    Arrays.fill(scale, 1);
    for (int f = 0; f < s; f++) {
      shift[f] = (float) mean[f];
      double deviation = Math.sqrt(squares[f] / Math.max(1, states));
      if (deviation > LEAST_VARIATION * (1 + Math.abs(mean[f]))) {
        scale[f] = (float) (1 / deviation);
      }
    }
    return new LogStatistics(shift, scale, Math.sqrt(returnSquares / Math.max(1, seen)));
  }
}
