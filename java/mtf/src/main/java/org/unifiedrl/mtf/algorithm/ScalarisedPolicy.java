package org.unifiedrl.mtf.algorithm;

import java.util.Arrays;
import org.unifiedrl.mtf.policy.Policy;

/**
 * Serves a trade-off between reward groups that training did not have (inference-time
 * scalarisation, specification 8.3): in every state it climbs what the actor was trained to climb,
 * {@code SUM_i w_i (Qbar_i - lambda sd_i)}, with other weights w_i, within the box around the
 * policy that the log was explored from, where the critics have seen data.
 *
 * <p>It starts at the actor's action, clipped to the box, and sweeps once over the action's
 * dimensions; each takes the best of its present value and {@value #LEVELS} values from the box's
 * one edge to the other. Critics are nearly linear in so small a box, so this finds nearly all
 * there is. Nothing is trained; a request costs the critics {@code LEVELS A} evaluations. One
 * thread at a time.
 */
public final class ScalarisedPolicy implements Policy {

  /** Values that are tried in each dimension. */
  public static final int LEVELS = 3;

  private final Policy actor;
  private final Policy explored;
  private final CriticEnsemble critics;
  private final float[] lower;
  private final float[] upper;
  private final double lambda;
  private final float[] tried; // (LEVELS + 1, A)
  private final double[] values = new double[LEVELS + 1];
  private float[] centres = {};

  /**
   * Creates the policy.
   *
   * @param actor where the climb starts
   * @param explored the policy that the log was explored from, the box's centre
   * @param critics trained critics with the weights to serve by
   * @param lower bounds of the box relative to its centre, A values of at most 0
   * @param upper A values of at least 0
   * @param lambda weight of the ensemble's standard deviation
   */
  public ScalarisedPolicy(
      Policy actor,
      Policy explored,
      CriticEnsemble critics,
      float[] lower,
      float[] upper,
      double lambda) {
    int size = actor.actionSize();
    if (critics.actionSize() != size
        || critics.stateSize() != actor.stateSize()
        || explored.actionSize() != size
        || lower.length != size
        || upper.length != size) {
      throw new IllegalArgumentException(
          "actor, explored policy, critics and bounds are of %d, %d, %d and %d action dimensions"
              .formatted(size, explored.actionSize(), critics.actionSize(), lower.length));
    }
    this.actor = actor;
    this.explored = explored;
    this.critics = critics;
    this.lower = lower.clone();
    this.upper = upper.clone();
    this.lambda = lambda;
    this.tried = new float[(LEVELS + 1) * size];
  }

  @Override
  public int stateSize() {
    return actor.stateSize();
  }

  @Override
  public int actionSize() {
    return actor.actionSize();
  }

  @Override
  public void act(float[] states, int rows, float[] actions) {
    int size = actionSize();
    if (centres.length < rows * size) {
      centres = new float[rows * size];
    }
    actor.act(states, rows, actions);
    explored.act(states, rows, centres);
    for (int row = 0; row < rows; row++) {
      for (int k = 0; k < size; k++) {
        int at = row * size + k;
        actions[at] = Math.max(low(at, k), Math.min(high(at, k), actions[at]));
      }
      for (int k = 0; k < size; k++) {
        climb(states, row, k, actions);
      }
    }
  }

  /** Gives one dimension of one action its best value, the others being as they are. */
  private void climb(float[] states, int row, int k, float[] actions) {
    int size = actionSize();
    int at = row * size;
    for (int level = 0; level <= LEVELS; level++) {
      System.arraycopy(actions, at, tried, level * size, size);
    }
    float low = low(at + k, k);
    float high = high(at + k, k);
    for (int level = 1; level <= LEVELS; level++) {
      tried[level * size + k] = low + (high - low) * (level - 1) / (LEVELS - 1);
    }
    critics.upperBounds(-lambda, states, row * stateSize(), tried, LEVELS + 1, values);
    int best = 0; // the present value, unless another is better
    for (int level = 1; level <= LEVELS; level++) {
      best = values[level] > values[best] ? level : best;
    }
    actions[at + k] = tried[best * size + k];
  }

  private float low(int at, int k) {
    return Math.max(-1, centres[at] + lower[k]);
  }

  private float high(int at, int k) {
    return Math.min(1, centres[at] + upper[k]);
  }

  /**
   * Weights of a sweep: the first group's rise from 0 to the sum of all, and the others share the
   * rest as they did in training.
   *
   * @param trained weights of training
   * @param points number of trade-offs, at least 2
   */
  public static double[][] weights(double[] trained, int points) {
    double sum = Arrays.stream(trained).sum();
    double others = sum - trained[0];
    double[][] weights = new double[points][trained.length];
    for (int p = 0; p < points; p++) {
      weights[p][0] = sum * p / (points - 1);
      for (int i = 1; i < trained.length; i++) {
        double share = others > 0 ? trained[i] / others : 1.0 / (trained.length - 1);
        weights[p][i] = (sum - weights[p][0]) * share;
      }
    }
    return weights;
  }
}
