package org.unifiedrl.mtf.experiment;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.policy.Policy;

/**
 * Where a policy's actions lie in the boxes of a log, over some of its states that are spread
 * evenly: -1 is a box's lower edge, 0 its middle, 1 its upper edge. Without the box of a request
 * nobody can say how far is far: the critics know its inside only (specification 2.1).
 */
final class BoxPositions {

  /** Enough for 5 % quantiles, and few enough to cost nothing beside the steps of a report. */
  private static final int STATES = 256;

  private static final double LOW = 0.05;
  private static final double HIGH = 0.95;

  private final List<String> names;
  private final int count;
  private final float[] states;
  private final float[] low;
  private final float[] high;

  private BoxPositions(List<String> names, int count, int stateSize) {
    this.names = names;
    this.count = count;
    this.states = new float[count * stateSize];
    this.low = new float[count * names.size()];
    this.high = new float[count * names.size()];
  }

  /**
   * Reads states and their boxes.
   *
   * @param names of the action dimensions
   * @return empty where rows hold many pairs, each with an action of its own, or no boxes
   */
  static Optional<BoxPositions> of(Replay log, List<String> names) {
    ReplaySchema schema = log.schema();
    boolean boxes =
        schema.columns().stream().anyMatch(column -> column.name().equals(ReplaySchema.BOX_LOW));
    if (!boxes || log.rows() == 0 || new Transitions(schema).pairwise()) {
      return Optional.empty();
    }
    int stateColumn = schema.columnIndex(ReplaySchema.STATE);
    int lowColumn = schema.columnIndex(ReplaySchema.BOX_LOW);
    int highColumn = schema.columnIndex(ReplaySchema.BOX_HIGH);
    int stateSize = schema.columns().get(stateColumn).width();
    int rows = (int) Math.min(STATES, log.rows());
    BoxPositions positions = new BoxPositions(List.copyOf(names), rows, stateSize);
    for (int i = 0; i < rows; i++) {
      long row = log.rows() * i / rows;
      log.get(row, stateColumn, positions.states, i * stateSize);
      log.get(row, lowColumn, positions.low, i * names.size());
      log.get(row, highColumn, positions.high, i * names.size());
    }
    return Optional.of(positions);
  }

  /**
   * Metrics of a policy: {@code box_position/D} in each dimension D, the mean over states, with the
   * quantiles of 5 and 95 % as {@code box_position_low/D} and {@code box_position_high/D}, and
   * {@code box_inside_share}, the share of action components that lie in their box. Dimensions
   * whose box has no width are left out: there is nothing to compare with.
   */
  Map<String, Double> of(Policy policy) {
    int size = names.size();
    float[] actions = new float[count * size];
    policy.act(states, count, actions);
    long inside = 0;
    for (int i = 0; i < actions.length; i++) {
      inside += actions[i] >= low[i] && actions[i] <= high[i] ? 1 : 0;
    }
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("box_inside_share", (double) inside / actions.length);
    double[] positions = new double[count];
    for (int k = 0; k < size; k++) {
      int known = 0;
      double sum = 0;
      for (int at = k; at < actions.length; at += size) {
        double width = (double) high[at] - low[at];
        if (width > 0) {
          double position = 2 * (actions[at] - (double) low[at]) / width - 1;
          positions[known++] = position;
          sum += position;
        }
      }
      if (known > 0) {
        Arrays.sort(positions, 0, known);
        values.put("box_position/" + names.get(k), sum / known);
        values.put("box_position_low/" + names.get(k), positions[(int) (LOW * (known - 1))]);
        values.put(
            "box_position_high/" + names.get(k), positions[(int) Math.ceil(HIGH * (known - 1))]);
      }
    }
    return values;
  }
}
