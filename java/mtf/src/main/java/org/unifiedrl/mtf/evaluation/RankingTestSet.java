package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.policy.PairPolicy;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Rollout;

/**
 * The common test set of MTF-GAUC (specification 4.1 and 4.3): requests served by a baseline policy
 * without exploration, with their states, the scores of the shown items, and what the user did. Any
 * policy is then judged by how well its fused scores rank the items that were validly consumed.
 *
 * <p>A sample's weight is the item's own instant reward plus a constant. With the constant 0 (v6 as
 * printed) items without any reward drop out, and with them most items that were not consumed; 1
 * (v4's usual value) keeps them.
 *
 * <p>Immutable once collected; {@link #gauc} may be called by several threads, each with a policy
 * of its own.
 */
public final class RankingTestSet {

  private static final int BATCH = 1024;

  private final Fusion fusion;
  private final int stateSize;
  private final int scoreCount;
  private final int pageSize;

  private int requests;
  private float[] states = new float[0]; // [requests, S]
  private float[] scores = new float[0]; // [requests, k, l], task by task as Fusion reads them
  private boolean[] labels = new boolean[0]; // [requests, l]
  private int[] items = new int[0]; // [requests]
  private double[] weights = new double[0]; // [requests, l]
  private int[] users = new int[0]; // [requests]

  private RankingTestSet(Environment environment) {
    fusion = new Fusion(environment.actionMap());
    stateSize = environment.stateSize();
    scoreCount = environment.scoreNames().size();
    pageSize = environment.pageSize();
  }

  /** No requests, by which nothing can be judged. */
  public static RankingTestSet empty(Environment environment) {
    return new RankingTestSet(environment);
  }

  /**
   * Serves users by the baseline policy and keeps every request.
   *
   * @param label name of the response that is 1 for a validly consumed item and 0 otherwise, one of
   *     {@link Environment#responseNames()}
   * @param weightConstant added to an item's reward to make its sample's weight
   * @param lanes users in flight at once
   * @throws IllegalArgumentException if the environment has no such response, or a reward plus the
   *     constant is negative
   */
  public static RankingTestSet collect(
      Environment environment,
      Policy baseline,
      String label,
      double weightConstant,
      long seed,
      UserRange users,
      int days,
      int lanes) {
    int response = environment.responseNames().indexOf(label);
    if (response < 0) {
      throw new IllegalArgumentException(
          "environment "
              + environment.name()
              + " has no response "
              + label
              + "; it has "
              + environment.responseNames());
    }
    RankingTestSet set = new RankingTestSet(environment);
    int responses = environment.responseNames().size();
    float[] actions = new float[Math.min(lanes, users.count()) * environment.actionSize()];
    Rollout rollout = environment.rollout(seed, users, days, lanes);
    while (rollout.active() > 0) {
      int active = rollout.active();
      set.reserve(active);
      System.arraycopy(
          rollout.states(), 0, set.states, set.requests * set.stateSize, active * set.stateSize);
      baseline.act(rollout.states(), active, actions);
      rollout.serve(actions);
      for (int lane = 0; lane < active; lane++) {
        set.append(environment, rollout, lane, responses, response, weightConstant);
      }
      rollout.advance();
    }
    return set;
  }

  /** Number of requests kept. */
  public int requests() {
    return requests;
  }

  /** MTF-GAUC of a policy on this set. */
  public MtfGauc.Result gauc(Policy policy, MtfGauc.UserWeight userWeight) {
    return judge(policy).result(userWeight);
  }

  /**
   * All samples of this set under a policy's fused scores; a {@link PairPolicy} gives every shown
   * item an action of its own.
   */
  public MtfGauc judge(Policy policy) {
    MtfGauc metric = new MtfGauc();
    boolean pairs = policy instanceof PairPolicy;
    int units = pairs ? pageSize : 1; // actions of a request
    int actionSize = units * fusion.map().actionSize();
    float[] batch = new float[BATCH * units * (pairs ? stateSize + scoreCount : stateSize)];
    float[] actions = new float[BATCH * actionSize];
    float[] fused = new float[pageSize];
    for (int from = 0; from < requests; from += BATCH) {
      int rows = Math.min(BATCH, requests - from);
      if (pairs) {
        pairStates(from, rows, batch);
      } else {
        System.arraycopy(states, from * stateSize, batch, 0, rows * stateSize);
      }
      policy.act(batch, rows * units, actions);
      for (int row = 0; row < rows; row++) {
        int request = from + row;
        int at = request * scoreCount * pageSize;
        int shown = items[request];
        if (pairs) {
          fusion.fuseEach(scores, at, pageSize, shown, actions, row * actionSize, fused);
        } else {
          fusion.fuse(scores, at, pageSize, shown, actions, row * actionSize, fused);
        }
        for (int item = 0; item < items[request]; item++) {
          int sample = request * pageSize + item;
          metric.add(users[request], fused[item], labels[sample], weights[sample]);
        }
      }
    }
    return metric;
  }

  /** States of the pairs of some requests, {@code [rows, l, S + k]}. */
  private void pairStates(int from, int rows, float[] batch) {
    int to = 0;
    for (int request = from; request < from + rows; request++) {
      for (int item = 0; item < pageSize; item++) {
        System.arraycopy(states, request * stateSize, batch, to, stateSize);
        to += stateSize;
        for (int i = 0; i < scoreCount; i++) {
          batch[to++] = scores[(request * scoreCount + i) * pageSize + item];
        }
      }
    }
  }

  private void reserve(int more) {
    int needed = requests + more;
    if (needed <= items.length) {
      return;
    }
    int capacity = Math.max(needed, 2 * items.length);
    if ((long) capacity * Math.max(stateSize, scoreCount * pageSize) > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "a test set of "
              + capacity
              + " requests with "
              + stateSize
              + " state features does not fit into one array; use fewer users or days");
    }
    states = Arrays.copyOf(states, capacity * stateSize);
    scores = Arrays.copyOf(scores, capacity * scoreCount * pageSize);
    labels = Arrays.copyOf(labels, capacity * pageSize);
    items = Arrays.copyOf(items, capacity);
    weights = Arrays.copyOf(weights, capacity * pageSize);
    users = Arrays.copyOf(users, capacity);
  }

  private void append(
      Environment environment,
      Rollout rollout,
      int lane,
      int responses,
      int label,
      double weightConstant) {
    int shown = rollout.pageItems()[lane];
    for (int item = 0; item < shown; item++) {
      int at = lane * pageSize + item;
      for (int i = 0; i < scoreCount; i++) {
        scores[(requests * scoreCount + i) * pageSize + item] =
            rollout.pageScores()[at * scoreCount + i];
      }
      float[] seen = rollout.pageResponses();
      labels[requests * pageSize + item] = seen[at * responses + label] > 0;
      weights[requests * pageSize + item] =
          weightConstant + environment.reward(seen, at * responses);
    }
    items[requests] = shown;
    users[requests] = rollout.users()[lane];
    requests++;
  }
}
