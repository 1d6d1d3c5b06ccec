package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;

/**
 * Linear reward models fitted on the log that they are used on, without ever meeting what they are
 * applied to: units are dealt into folds, and the steps of a fold are predicted by the model of all
 * other folds. Holds scratch memory: one thread at a time.
 */
public final class CrossFit {

  private final LoggedSteps log;
  private final int[] foldOf; // (rows)
  private final LinearModel[] models; // (folds), each of the other folds' steps
  private final double[] row;

  private CrossFit(LoggedSteps log, int[] foldOf, LinearModel[] models) {
    this.log = log;
    this.foldOf = foldOf;
    this.models = models;
    row = new double[models[0].size()];
  }

  /**
   * Fits a model per fold.
   *
   * @param folds number of folds, at least 2
   * @param penalty of {@link RidgeRegression}
   * @param seed key of the deal
   * @throws IllegalArgumentException if all units fell into one fold
   */
  public static CrossFit ridge(
      LoggedSteps log, Features features, int folds, double penalty, long seed) {
    if (folds < 2) {
      throw new IllegalArgumentException("folds is " + folds + ": expected at least 2");
    }
    RidgeRegression[] parts = new RidgeRegression[folds];
    Arrays.setAll(parts, k -> new RidgeRegression(features, penalty));
    int[] foldOf = new int[log.rows()];
    int[] rows = new int[folds];
    for (int i = 0; i < foldOf.length; i++) {
      int fold = fold(log.units()[i], folds, seed);
      foldOf[i] = fold;
      rows[fold]++;
      parts[fold].add(
          log.contexts(),
          i * log.contextSize(),
          log.actions(),
          i * log.actionSize(),
          log.values()[i]);
    }
    if (Arrays.stream(rows).anyMatch(n -> n == foldOf.length)) {
      throw new IllegalArgumentException(
          foldOf.length
              + " steps lie in one of "
              + folds
              + " folds: cross-fitting needs more units (sessions or users)");
    }
    LinearModel[] models = new LinearModel[folds];
    for (int k = 0; k < folds; k++) {
      RidgeRegression others = new RidgeRegression(features, penalty);
      for (int other = 0; other < folds; other++) {
        if (other != k) {
          others.addAll(parts[other]);
        }
      }
      models[k] = others.fit();
    }
    return new CrossFit(log, foldOf, models);
  }

  /** Fold of a unit: a keyed hash, SplitMix64's finaliser. */
  private static int fold(long unit, int folds, long seed) {
    long z = unit + 0x9e3779b97f4a7c15L * (seed + 1);
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return (int) Long.remainderUnsigned(z ^ (z >>> 31), folds);
  }

  /** The model that is applied to step {@code row}: of steps of other folds. */
  public RewardModel model(int row) {
    return models[foldOf[row]];
  }

  /** Fold of step {@code row}; the steps of a unit share one. */
  public int fold(int row) {
    return foldOf[row];
  }

  /**
   * Gives an estimator all steps of the log, with what the models expect of each and with how far
   * each moves the estimate through the models that it helped to fit. The estimator's interval then
   * covers the models' own error, which does not vanish beside that of the steps unless weights
   * correct all of it.
   *
   * @param targets actions of the judged policy in the same contexts, {@code [rows, actionSize]};
   *     where features are linear in one-hot actions, its probabilities
   * @param weights importance weight of each step, {@code [rows]}
   * @param into an estimator without any steps
   */
  public void judge(float[] targets, double[] weights, DoublyRobust into) {
    int size = row.length;
    double[][] gradients = new double[models.length][size];
    double perUse = into.perUse(weights);
    for (int i = 0; i < foldOf.length; i++) {
      LinearModel model = models[foldOf[i]];
      double[] gradient = gradients[foldOf[i]];
      write(targets, i);
      double atTarget = model.expected(row);
      addTo(gradient, 1);
      write(log.actions(), i);
      addTo(gradient, -perUse * into.use(weights[i]));
      into.add(weights[i], log.values()[i], model.expected(row), atTarget, log.units()[i]);
    }
    double[][] sensitivity = new double[models.length][];
    Arrays.setAll(sensitivity, k -> models[k].sensitivity(gradients[k]));
    for (int i = 0; i < foldOf.length; i++) {
      write(log.actions(), i);
      double influence = 0;
      for (int k = 0; k < models.length; k++) {
        if (k != foldOf[i]) {
          double residual = log.values()[i] - models[k].expected(row);
          influence += LinearModel.dot(sensitivity[k], row) * residual;
        }
      }
      into.addInfluence(influence, log.units()[i]);
    }
  }

  private void write(float[] actions, int step) {
    models[0].write(
        log.contexts(), step * log.contextSize(), actions, step * log.actionSize(), row);
  }

  private void addTo(double[] gradient, double factor) {
    for (int j = 0; j < row.length; j++) {
      gradient[j] += factor * row[j];
    }
  }
}
