package org.unifiedrl.mtf.algorithm;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.unifiedrl.engine.checkpoint.Checkpoint;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.engine.checkpoint.Tensor;
import org.unifiedrl.mtf.exploration.ActionScore;

/**
 * Trained critics Q_ij(s, a), q groups of m, as a checkpoint left them: what they think of many
 * actions of one state. Values are of normalised rewards, {@link #rewardScale} times what was
 * logged, and summed over groups by the group weights w_i that training had. One thread at a time;
 * {@link #copy} gives another thread its own.
 */
public final class CriticEnsemble {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final ValueNetworks.Weights weights;
  private final double[] groupWeights;
  private final double rewardScale;
  private final double discount;
  private final ValueNetworks networks;

  private CriticEnsemble(
      ValueNetworks.Weights weights, double[] groupWeights, double rewardScale, double discount) {
    this.weights = weights;
    this.groupWeights = groupWeights;
    this.rewardScale = rewardScale;
    this.discount = discount;
    this.networks = new ValueNetworks(weights);
  }

  /**
   * Loads the critics of a checkpoint.
   *
   * @param folder the checkpoint, or a folder of them, whose newest is taken
   * @throws CheckpointException if there is none, or it has no critics
   */
  public static CriticEnsemble load(Path folder) {
    Checkpoint checkpoint = CheckpointStore.newest(folder);
    List<Integer> sizes = new ArrayList<>();
    int members = 0;
    float[] flat = {};
    String layer = "critic.layer0";
    for (int l = 0; checkpoint.tensors().containsKey(layer + ".weight"); ) {
      Tensor weight = checkpoint.tensor(layer + ".weight");
      members = (int) weight.shape()[0];
      if (l == 0) {
        sizes.add((int) weight.shape()[1]);
      }
      sizes.add((int) weight.shape()[2]);
      flat = joined(flat, weight.toFloats(), checkpoint.tensor(layer + ".bias").toFloats());
      l++;
      layer = "critic.layer" + l;
    }
    if (sizes.isEmpty() || sizes.get(sizes.size() - 1) != 1) {
      throw new CheckpointException(
          checkpoint.folder()
              + " holds no critics with one value each; train with unifiedrl, td3, ...");
    }
    JsonNode state = state(checkpoint);
    if (state.path("algorithm").asText().equals("enhancedrl")) {
      throw new CheckpointException(
          checkpoint.folder()
              + " holds critics of (user, candidate) pairs, which value no request: take a run of"
              + " another algorithm than enhancedrl");
    }
    JsonNode coefficients = state.path("coefficients");
    JsonNode common = coefficients.has("common") ? coefficients.path("common") : coefficients;
    double[] all =
        common.has("groupWeights")
            ? JSON.convertValue(common.path("groupWeights"), double[].class)
            : new double[] {1};
    // Algorithms with one value function weigh the groups' rewards before they learn.
    boolean grouped = state.path("algorithm").asText("unifiedrl").startsWith("unifiedrl");
    double[] groups = grouped ? all : new double[] {1};
    float[] shift = checkpoint.tensor("state.shift").toFloats();
    float[] scale = checkpoint.tensor("state.scale").toFloats();
    int[] units = sizes.stream().mapToInt(Integer::intValue).toArray();
    if (members % groups.length != 0 || units[0] <= shift.length) {
      throw new CheckpointException(
          "%s: %d critics of %d inputs do not fit %d reward groups and %d state features"
              .formatted(checkpoint.folder(), members, units[0], groups.length, shift.length));
    }
    return new CriticEnsemble(
        ValueNetworks.Weights.of(units, members, flat, shift, scale),
        groups,
        state.path("reward_scale").asDouble(1),
        common.path("discount").asDouble());
  }

  private static JsonNode state(Checkpoint checkpoint) {
    try {
      return JSON.readTree(checkpoint.stateJson());
    } catch (IOException e) {
      throw new UncheckedIOException(checkpoint.folder() + " has a broken state", e);
    }
  }

  private static float[] joined(float[] a, float[] b, float[] c) {
    float[] all = Arrays.copyOf(a, a.length + b.length + c.length);
    System.arraycopy(b, 0, all, a.length, b.length);
    System.arraycopy(c, 0, all, a.length + b.length, c.length);
    return all;
  }

  /** The same critics for another thread. */
  public CriticEnsemble copy() {
    return new CriticEnsemble(weights, groupWeights, rewardScale, discount);
  }

  /**
   * The same critics with other weights of the groups, for another thread.
   *
   * @param weights one for each reward group
   * @throws IllegalArgumentException if there are not as many as groups
   */
  public CriticEnsemble withGroupWeights(double[] weights) {
    if (weights.length != groupWeights.length) {
      throw new IllegalArgumentException(
          weights.length
              + " group weights for critics of "
              + groupWeights.length
              + " reward groups: expected as many");
    }
    return new CriticEnsemble(this.weights, weights.clone(), rewardScale, discount);
  }

  /** Number of state features S. */
  public int stateSize() {
    return networks.stateSize();
  }

  /** Number of action dimensions A. */
  public int actionSize() {
    return networks.actionSize();
  }

  /** Critics per reward group (m). */
  public int criticsPerGroup() {
    return networks.members() / groupWeights.length;
  }

  /** Weight of each reward group (w_i). */
  public double[] groupWeights() {
    return groupWeights.clone();
  }

  /** What logged rewards were multiplied by. */
  public double rewardScale() {
    return rewardScale;
  }

  /** Discount of future rewards (gamma). */
  public double discount() {
    return discount;
  }

  /**
   * Means of the critics: SUM_i w_i Qbar_i(s, a).
   *
   * @param state holds the state's S features from {@code stateAt} on
   * @param actions row-major {@code [count, A]}
   * @param values receives {@code count} values
   */
  public void means(float[] state, int stateAt, float[] actions, int count, double[] values) {
    upperBounds(0, state, stateAt, actions, count, values);
  }

  /** One critic of every group: SUM_i w_i Q_ij(s, a), j from 0 to m - 1. */
  public void ofCritic(
      int j, float[] state, int stateAt, float[] actions, int count, double[] values) {
    Arrays.fill(values, 0, count, 0);
    networks.set(state, stateAt, actions, count);
    for (int i = 0; i < groupWeights.length; i++) {
      networks.add(i * criticsPerGroup() + j, count, groupWeights[i], values);
    }
  }

  /**
   * Optimistic values: SUM_i w_i (Qbar_i + kappa sd_i), the standard deviation being that of the
   * whole group, as in training.
   */
  public void upperBounds(
      double kappa, float[] state, int stateAt, float[] actions, int count, double[] values) {
    int m = criticsPerGroup();
    double[] sums = new double[count];
    double[] squares = new double[count];
    Arrays.fill(values, 0, count, 0);
    networks.set(state, stateAt, actions, count);
    for (int i = 0; i < groupWeights.length; i++) {
      Arrays.fill(sums, 0);
      Arrays.fill(squares, 0);
      for (int j = 0; j < m; j++) {
        FloatBuffer q = networks.values(i * m + j, count);
        for (int row = 0; row < count; row++) {
          sums[row] += q.get(row);
          squares[row] += (double) q.get(row) * q.get(row);
        }
      }
      for (int row = 0; row < count; row++) {
        double mean = sums[row] / m;
        double variance = Math.max(0, squares[row] / m - mean * mean);
        values[row] += groupWeights[i] * (mean + kappa * Math.sqrt(variance));
      }
    }
  }

  /** Thompson sampling: every session goes by one critic of each group, drawn at its start. */
  public ActionScore thompson() {
    return new Score(0, true);
  }

  /**
   * Upper confidence bounds.
   *
   * @param kappa weight of the standard deviation; 1 to 2 are usual
   */
  public ActionScore upperConfidence(double kappa) {
    return new Score(kappa, false);
  }

  private final class Score implements ActionScore {

    private final double kappa;
    private final boolean thompson;

    Score(double kappa, boolean thompson) {
      this.kappa = kappa;
      this.thompson = thompson;
    }

    @Override
    public int stateSize() {
      return CriticEnsemble.this.stateSize();
    }

    @Override
    public int actionSize() {
      return CriticEnsemble.this.actionSize();
    }

    @Override
    public void score(
        double choice, float[] state, int stateAt, float[] actions, int count, double[] scores) {
      if (thompson) {
        ofCritic((int) (choice * criticsPerGroup()), state, stateAt, actions, count, scores);
      } else {
        upperBounds(kappa, state, stateAt, actions, count, scores);
      }
    }
  }
}
