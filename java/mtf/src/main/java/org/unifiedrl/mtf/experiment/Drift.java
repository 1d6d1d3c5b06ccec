package org.unifiedrl.mtf.experiment;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.policy.Policy;

/**
 * How far a policy moved from the one that was served, over the states of a log (specification 2.1:
 * the distribution of |mu_new(s) - mu_bp(s)|).
 *
 * @param insideShare share of the policy's action components, over states and dimensions, that lie
 *     in the logged box
 * @param moved percentile of |mu_new(s) - mu_old(s)| in each action dimension
 */
public record Drift(double insideShare, List<Double> moved) {

  private static final int ROWS = 1024;

  /**
   * Measures a policy against the actions and boxes of a log.
   *
   * @param percentile in (0, 100]: the smallest distance that as many states do not exceed
   */
  static Drift of(Replay log, Policy policy, double percentile) {
    ReplaySchema schema = log.schema();
    int stateColumn = schema.columnIndex(ReplaySchema.STATE);
    int servedColumn = schema.columnIndex(ReplaySchema.BASELINE_ACTION);
    int lowColumn = schema.columnIndex(ReplaySchema.BOX_LOW);
    int highColumn = schema.columnIndex(ReplaySchema.BOX_HIGH);
    int size = policy.actionSize();
    int count = Math.toIntExact(log.rows());
    float[] states = new float[ROWS * policy.stateSize()];
    float[] actions = new float[ROWS * size];
    float[] served = new float[size];
    float[] low = new float[size];
    float[] high = new float[size];
    float[][] distances = new float[size][count];
    long inside = 0;
    for (int from = 0; from < count; from += ROWS) {
      int rows = Math.min(ROWS, count - from);
      for (int r = 0; r < rows; r++) {
        log.get(from + r, stateColumn, states, r * policy.stateSize());
      }
      policy.act(states, rows, actions);
      for (int r = 0; r < rows; r++) {
        log.get(from + r, servedColumn, served, 0);
        log.get(from + r, lowColumn, low, 0);
        log.get(from + r, highColumn, high, 0);
        for (int k = 0; k < size; k++) {
          float action = actions[r * size + k];
          distances[k][from + r] = Math.abs(action - served[k]);
          inside += action >= low[k] && action <= high[k] ? 1 : 0;
        }
      }
    }
    List<Double> moved = new ArrayList<>();
    int rank = Math.max(0, (int) Math.ceil(percentile / 100 * count) - 1);
    for (float[] dimension : distances) {
      Arrays.sort(dimension);
      moved.add((double) dimension[rank]);
    }
    return new Drift((double) inside / ((double) count * size), List.copyOf(moved));
  }
}
