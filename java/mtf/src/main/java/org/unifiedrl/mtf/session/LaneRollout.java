package org.unifiedrl.mtf.session;

import java.util.Arrays;
import org.unifiedrl.mtf.fusion.Fusion;

/**
 * What every rollout does with its lanes: it refills the lane of a user who is done, drops lanes
 * when nobody is left, checks actions, and owns the arrays. An environment adds what a user does.
 *
 * @param <L> one user being served; it moves between places, so it holds nothing that depends on
 *     the place
 */
public abstract class LaneRollout<L> implements Rollout {

  /** Users to serve. */
  protected final Environment.UserRange range;

  /** Users being served at places {@code 0 .. active - 1}; the others are spare. */
  protected final L[] lanes;

  protected final int stateSize;
  protected final int actionSize;
  protected final int groups;
  protected final int pageSize;
  protected final int scores;
  protected final int responses;
  protected final int candidates;

  protected final float[] states;
  protected final int[] users;
  protected final long[] sessions;
  protected final long[] times;
  protected final float[] rewards;
  protected final boolean[] last;
  protected final float[] pageScores;
  protected final float[] pageResponses;
  protected final int[] pageItems;
  protected final float[] candidateScores;
  protected final int[] pageCandidates;
  protected final UserTotals totals;

  private int active;
  private int nextUser;

  /**
   * Makes the arrays. A subclass calls {@link #start} when its own fields are ready.
   *
   * @param lanes as many users as may be in flight at once
   * @param candidates most candidates of a request, n
   */
  protected LaneRollout(
      Environment environment, Environment.UserRange range, L[] lanes, int candidates) {
    this.range = range;
    this.lanes = lanes;
    this.candidates = candidates;
    stateSize = environment.stateSize();
    actionSize = environment.actionSize();
    groups = environment.rewardGroups().size();
    pageSize = environment.pageSize();
    scores = environment.scoreNames().size();
    responses = environment.responseNames().size();
    int n = lanes.length;
    states = new float[n * stateSize];
    users = new int[n];
    sessions = new long[n];
    times = new long[n];
    rewards = new float[n * groups];
    last = new boolean[n];
    pageScores = new float[n * pageSize * scores];
    pageResponses = new float[n * pageSize * responses];
    pageItems = new int[n];
    candidateScores = new float[n * scores * candidates];
    pageCandidates = new int[n * pageSize];
    totals = UserTotals.zero(range.count());
  }

  /** Puts a user into a lane, before the first request; {@code index} counts from the range. */
  protected abstract void meet(L lane, int index);

  /** Moves a served lane to its user's next request; false when the user is done. */
  protected abstract boolean next(L lane);

  /** Writes the candidates' predicted scores of the lane's waiting request at its place. */
  protected abstract void predict(L lane, int place);

  /**
   * Serves the lane at a place: predicts, fuses, shows a page, and writes every outcome array
   * there.
   *
   * @param each whether every candidate has an action of its own
   */
  protected abstract void serve(L lane, int place, float[] actions, boolean each);

  /** Fuses the first {@code count} candidates of a place into {@code fused}. */
  protected final void fuse(
      Fusion fusion, int place, int count, float[] actions, boolean each, float[] fused) {
    int base = place * scores * candidates;
    if (each) {
      int at = place * candidates * actionSize;
      fusion.fuseEach(candidateScores, base, candidates, count, actions, at, fused);
    } else {
      fusion.fuse(candidateScores, base, candidates, count, actions, place * actionSize, fused);
    }
  }

  /** Writes state, user, session and time of the lane's waiting request at its place. */
  protected abstract void describe(L lane, int place);

  /** Meets the first users. */
  protected final void start() {
    while (active < lanes.length && nextUser < range.count()) {
      meet(lanes[active++], nextUser++);
    }
    describeAll();
  }

  @Override
  public final void predict() {
    for (int place = 0; place < active; place++) {
      predict(lanes[place], place);
    }
  }

  @Override
  public final void serve(float[] actions) {
    serve(actions, actionSize, false);
  }

  @Override
  public final void serveEach(float[] actions) {
    serve(actions, candidates * actionSize, true);
  }

  private void serve(float[] actions, int width, boolean each) {
    for (int place = 0; place < active; place++) {
      for (int k = 0; k < width; k++) {
        float action = actions[place * width + k];
        if (!(action >= -1 && action <= 1)) {
          throw new IllegalArgumentException(
              "action of lane "
                  + place
                  + ", dimension "
                  + k % actionSize
                  + " is "
                  + action
                  + "; expected a number in [-1, 1]");
        }
      }
      Arrays.fill(pageCandidates, place * pageSize, (place + 1) * pageSize, -1);
      serve(lanes[place], place, actions, each);
    }
  }

  @Override
  public final void advance() {
    int place = 0;
    while (place < active) {
      L lane = lanes[place];
      if (!next(lane)) {
        if (nextUser < range.count()) {
          meet(lane, nextUser++);
        } else {
          // The last lane takes this place and still has to advance itself.
          active--;
          lanes[place] = lanes[active];
          lanes[active] = lane;
          continue;
        }
      }
      place++;
    }
    describeAll();
  }

  private void describeAll() {
    for (int place = 0; place < active; place++) {
      describe(lanes[place], place);
    }
  }

  @Override
  public final int active() {
    return active;
  }

  @Override
  public final float[] states() {
    return states;
  }

  @Override
  public final int[] users() {
    return users;
  }

  @Override
  public final long[] sessions() {
    return sessions;
  }

  @Override
  public final long[] times() {
    return times;
  }

  @Override
  public final float[] rewards() {
    return rewards;
  }

  @Override
  public final boolean[] last() {
    return last;
  }

  @Override
  public final float[] pageScores() {
    return pageScores;
  }

  @Override
  public final float[] pageResponses() {
    return pageResponses;
  }

  @Override
  public final int[] pageItems() {
    return pageItems;
  }

  @Override
  public final int candidates() {
    return candidates;
  }

  @Override
  public final float[] candidateScores() {
    return candidateScores;
  }

  @Override
  public final int[] pageCandidates() {
    return pageCandidates;
  }

  @Override
  public final UserTotals totals() {
    return totals;
  }
}
