package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * What brings states and rewards of a log to unit scale: state' = (state - shift) * scale,
 * reward'_i = reward_i * rewardScale_i.
 *
 * <p>States are scaled to zero mean and unit standard deviation over all rows; features that do not
 * vary are only shifted. Rewards are divided by the standard deviation, over all rows, of the
 * discounted return G_t = r_t + gamma G_{t+1} that followed in the row's session, for each group by
 * itself (specification section 0: eta only means something relative to the scale of Q). They are
 * not shifted: the attenuation treats positive and negative values differently.
 *
 * @param shift mean of each state feature
 * @param scale one over the standard deviation of each state feature
 * @param rewardScale one over the standard deviation of each group's return
 */
record Normaliser(float[] shift, float[] scale, float[] rewardScale) {

  /** Deviations below this share of the feature's size are rounding noise. */
  private static final double RELATIVE_FLOOR = 1e-6;

  static Normaliser of(Replay replay, double gamma, boolean rewards) {
    int stateColumn = replay.schema().columnIndex(ReplaySchema.STATE);
    int rewardColumn = replay.schema().columnIndex(ReplaySchema.REWARD);
    int states = replay.schema().columns().get(stateColumn).width();
    int groups = replay.schema().columns().get(rewardColumn).width();
    if (replay.rows() == 0) {
      throw new IllegalArgumentException("the replay has no rows: there is nothing to learn from");
    }
    Moments state = new Moments(states);
    Moments returns = new Moments(groups);
    float[] row = new float[Math.max(states, groups)];
    double[] values = new double[states];
    double[] following = new double[groups];
    for (long r = replay.rows() - 1; r >= 0; r--) {
      replay.get(r, stateColumn, row, 0);
      for (int i = 0; i < states; i++) {
        values[i] = row[i];
      }
      state.add(values);
      replay.get(r, rewardColumn, row, 0);
      boolean last = replay.isLast(r);
      for (int g = 0; g < groups; g++) {
        following[g] = row[g] + (last ? 0 : gamma * following[g]);
      }
      returns.add(following);
    }
    float[] shift = new float[states];
    float[] scale = new float[states];
    for (int i = 0; i < states; i++) {
      shift[i] = (float) state.mean(i);
      scale[i] = (float) (1 / state.deviation(i));
    }
    float[] rewardScale = new float[groups];
    for (int g = 0; g < groups; g++) {
      rewardScale[g] = rewards ? (float) (1 / returns.deviation(g)) : 1;
    }
    return new Normaliser(shift, scale, rewardScale);
  }

  /** Running means and variances (Welford). */
  private static final class Moments {
    private final double[] mean;
    private final double[] squares;
    private long count;

    Moments(int size) {
      mean = new double[size];
      squares = new double[size];
    }

    void add(double[] values) {
      count++;
      for (int i = 0; i < mean.length; i++) {
        double delta = values[i] - mean[i];
        mean[i] += delta / count;
        squares[i] += delta * (values[i] - mean[i]);
      }
    }

    double mean(int i) {
      return mean[i];
    }

    /** Standard deviation, or 1 where the values do not vary. */
    double deviation(int i) {
      double deviation = Math.sqrt(squares[i] / count);
      return deviation > RELATIVE_FLOOR * Math.max(1e-6, Math.abs(mean[i])) ? deviation : 1;
    }
  }
}
