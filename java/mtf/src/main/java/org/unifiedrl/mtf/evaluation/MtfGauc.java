package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;

/**
 * MTF-GAUC (specification 4.3, v6 form): the weighted AUC of valid consumption within each user,
 * averaged over users,
 *
 * <pre>
 *   MTF-GAUC = SUM_u w(u) WeightedAUC(u) / SUM_u w(u)
 *   WeightedAUC(u) = SUM_{p in pos, n in neg} w_p w_n (1[s_p &gt; s_n] + 0.5 1[s_p = s_n]) / SUM w_p w_n
 * </pre>
 *
 * Users whose samples of positive weight are all of one label have no AUC and are dropped. The
 * paper normalises scores to [0, 1] first; that is monotone and changes nothing here. It leaves
 * w(u) open: both natural readings are offered.
 *
 * <p>Samples may come in any order. O(n log n). One thread at a time.
 */
public final class MtfGauc {

  /** The weight w(u) of a user in the average. */
  public enum UserWeight {
    /** Sum of the user's sample weights. */
    SUMMED_WEIGHT,
    /** Number of the user's samples. */
    SAMPLES
  }

  /**
   * The metric and what it was computed from.
   *
   * @param value MTF-GAUC in [0, 1]; NaN if no user has both labels
   * @param users users in the average
   * @param droppedUsers users without an AUC
   * @param samples samples added
   */
  public record Result(double value, int users, int droppedUsers, int samples) {}

  private int size;
  private long[] users = new long[1024];
  private double[] scores = new double[1024];
  private double[] weights = new double[1024];
  private boolean[] labels = new boolean[1024];

  /**
   * Adds one user-item sample.
   *
   * @param user any identifier
   * @param score the policy's final score of the item; not NaN
   * @param label whether the item was validly consumed (watched longer than 10 s)
   * @param weight sample weight, finite and at least 0: the instant reward (v6), or the reward plus
   *     a constant, usually 1 (v4), which keeps items without any reward in the metric
   */
  public void add(long user, double score, boolean label, double weight) {
    if (Double.isNaN(score)) {
      throw new IllegalArgumentException("sample " + size + " of user " + user + ": score is NaN");
    }
    if (!(weight >= 0 && weight < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "sample " + size + " of user " + user + ": weight " + weight + " must be in [0, inf)");
    }
    if (size == users.length) {
      int capacity = 2 * size;
      users = Arrays.copyOf(users, capacity);
      scores = Arrays.copyOf(scores, capacity);
      weights = Arrays.copyOf(weights, capacity);
      labels = Arrays.copyOf(labels, capacity);
    }
    users[size] = user;
    scores[size] = score + 0.0; // -0.0 and 0.0 are a tie
    weights[size] = weight;
    labels[size] = label;
    size++;
  }

  /**
   * The users in the average.
   *
   * @param auc weighted AUC of each user, ascending in the user's identifier
   * @param weight w(u) of each user
   * @param dropped users without an AUC
   */
  private record Users(double[] auc, double[] weight, int dropped) {}

  /** Computes the metric over the samples added so far. */
  public Result result(UserWeight userWeight) {
    Users counted = users(userWeight);
    double weightedSum = 0;
    double weightSum = 0;
    for (int u = 0; u < counted.auc.length; u++) {
      weightedSum += counted.weight[u] * counted.auc[u];
      weightSum += counted.weight[u];
    }
    return new Result(weightedSum / weightSum, counted.auc.length, counted.dropped, size);
  }

  /**
   * What another set of scores gains over this one on the same samples, with its interval over
   * users. Labels and weights, and so the users in the average, are the same for both.
   *
   * @throws IllegalArgumentException if the samples are not the same, or no user has both labels
   */
  public Interval gain(MtfGauc other, UserWeight userWeight, PairedBootstrap bootstrap) {
    boolean same =
        size == other.size
            && Arrays.equals(users, 0, size, other.users, 0, size)
            && Arrays.equals(labels, 0, size, other.labels, 0, size)
            && Arrays.equals(weights, 0, size, other.weights, 0, size);
    if (!same) {
      throw new IllegalArgumentException(
          "both metrics must hold the same samples (user, label, weight) in the same order");
    }
    Users before = users(userWeight);
    Users after = other.users(userWeight);
    double[] gains = new double[before.auc.length];
    for (int u = 0; u < gains.length; u++) {
      gains[u] = before.weight[u] * (after.auc[u] - before.auc[u]);
    }
    return bootstrap.ratio(gains, before.weight);
  }

  private Users users(UserWeight userWeight) {
    long[] distinctUsers = Arrays.stream(users, 0, size).sorted().distinct().toArray();
    int[] order = orderByUserThenScore(distinctUsers);
    double[] aucs = new double[distinctUsers.length];
    double[] userWeights = new double[distinctUsers.length];
    int counted = 0;
    for (int from = 0, to; from < size; from = to) {
      long user = users[order[from]];
      double total = 0;
      for (to = from; to < size && users[order[to]] == user; to++) {
        total += weights[order[to]];
      }
      double auc = weightedAuc(order, from, to);
      if (!Double.isNaN(auc)) {
        aucs[counted] = auc;
        userWeights[counted++] = userWeight == UserWeight.SAMPLES ? to - from : total;
      }
    }
    return new Users(
        Arrays.copyOf(aucs, counted),
        Arrays.copyOf(userWeights, counted),
        distinctUsers.length - counted);
  }

  /** One sort of all samples by score, then a stable distribution over users. */
  private int[] orderByUserThenScore(long[] distinctUsers) {
    double[] sorted = Arrays.copyOf(scores, size);
    Arrays.sort(sorted);
    int distinctScores = 0;
    for (int i = 0; i < size; i++) {
      if (i == 0 || sorted[i] != sorted[i - 1]) {
        sorted[distinctScores++] = sorted[i];
      }
    }
    long[] rankAndSample = new long[size];
    for (int i = 0; i < size; i++) {
      long rank = Arrays.binarySearch(sorted, 0, distinctScores, scores[i]);
      rankAndSample[i] = rank << Integer.SIZE | i;
    }
    Arrays.sort(rankAndSample);
    int[] group = new int[size];
    int[] next = new int[distinctUsers.length + 1];
    for (int i = 0; i < size; i++) {
      group[i] = Arrays.binarySearch(distinctUsers, users[i]);
      next[group[i] + 1]++;
    }
    Arrays.parallelPrefix(next, Integer::sum);
    int[] order = new int[size];
    for (long key : rankAndSample) {
      int sample = (int) key;
      order[next[group[sample]]++] = sample;
    }
    return order;
  }

  /** Weighted AUC of samples in ascending order of score; NaN if one class has no weight. */
  private double weightedAuc(int[] order, int from, int to) {
    double positives = 0;
    double negatives = 0;
    double wins = 0;
    for (int i = from, tieEnd; i < to; i = tieEnd) {
      double score = scores[order[i]];
      double tiedPositives = 0;
      double tiedNegatives = 0;
      for (tieEnd = i; tieEnd < to && scores[order[tieEnd]] == score; tieEnd++) {
        int sample = order[tieEnd];
        if (labels[sample]) {
          tiedPositives += weights[sample];
        } else {
          tiedNegatives += weights[sample];
        }
      }
      wins += tiedPositives * (negatives + 0.5 * tiedNegatives);
      positives += tiedPositives;
      negatives += tiedNegatives;
    }
    return positives > 0 && negatives > 0 ? wins / (positives * negatives) : Double.NaN;
  }
}
