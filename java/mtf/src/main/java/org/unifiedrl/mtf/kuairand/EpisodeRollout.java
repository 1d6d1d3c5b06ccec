package org.unifiedrl.mtf.kuairand;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.UserTotals;

/** Users' episodes in flight; see {@link KuaiRand} for the rules. */
final class EpisodeRollout implements Rollout {

  private static final int K = ExposureScores.COUNT;
  private static final int GROUPS = 2;

  /** Reward weight of each behaviour in the second group; the watch time has its own group. */
  static final float[] BEHAVIOUR_WEIGHT = {1, 0, 0.2f, 1, 1};

  // Running features: what the user did on the pages of this episode so far.
  private static final int PROGRESS = UserProfiles.SIZE;
  private static final int PAGES_LEFT = PROGRESS + 1;
  private static final int LAST = PROGRESS + 2; // K means over the last page
  private static final int MEAN = LAST + K; // K means over the episode, shrunk to earlier days
  private static final int RECENT = MEAN + K; // exponential mean of valid consumption
  private static final int SKIPS = RECENT + 1; // pages in a row without valid consumption, / 10
  private static final int LAST_DURATION = RECENT + 2;
  private static final int VALID_DURATION = RECENT + 3;
  private static final int HOURS = RECENT + 4; // hours since the episode's first exposure, / 100
  private static final int STATE_SIZE = RECENT + 5;

  static final List<String> STATE_NAMES = stateNames();

  private static final float RECENT_DECAY = 0.7f;
  private static final float PRIOR_ITEMS = 4; // items that the earlier days' mean is worth
  private static final float MS_PER_HUNDRED_HOURS = 3.6e8f;

  private final EpisodePools pools;
  private final Fusion fusion;
  private final UserRange range;
  private final int pageSize;

  private int active;
  private int nextUser;

  // One entry per lane; an episode stays in its lane's slot of `left` wherever the lane moves.
  private final int[] users;
  private final int[] page;
  private final int[] remaining;
  private final int[][] left; // candidates not shown yet, ascending in time
  private final float[][] sums; // K sums of outcomes, then items shown, sum of valid durations
  private final float[] states;
  private final float[] rewards;
  private final float[] pageScores;
  private final float[] pageResponses;
  private final int[] pageItems;
  private final boolean[] last;
  private final long[] sessions;
  private final long[] times;
  private final UserTotals totals;

  private final float[] scores; // [K, candidates left] of one lane
  private final float[] fused;
  private final int[] picked;

  EpisodeRollout(EpisodePools pools, Fusion fusion, UserRange range, int lanes) {
    this.pools = pools;
    this.fusion = fusion;
    this.range = range;
    this.pageSize = pools.pageSize;
    users = new int[lanes];
    page = new int[lanes];
    remaining = new int[lanes];
    left = new int[lanes][pools.largest];
    sums = new float[lanes][K + 2];
    states = new float[lanes * STATE_SIZE];
    rewards = new float[lanes * GROUPS];
    pageScores = new float[lanes * pageSize * K];
    pageResponses = new float[lanes * pageSize * K];
    pageItems = new int[lanes];
    last = new boolean[lanes];
    sessions = new long[lanes];
    times = new long[lanes];
    totals = UserTotals.zero(range.count());
    scores = new float[K * pools.largest];
    fused = new float[pools.largest];
    picked = new int[pageSize];
    while (active < lanes) {
      start(active++);
    }
  }

  private static List<String> stateNames() {
    List<String> names = new ArrayList<>(UserProfiles.NAMES);
    names.add("pages_seen");
    names.add("pages_left");
    for (String kind : List.of("last_page_", "episode_")) {
      for (int i = 0; i < K; i++) {
        names.add(kind + (i == ExposureScores.WATCH ? "log_watch" : ExposureScores.NAMES.get(i)));
      }
    }
    names.addAll(
        List.of(
            "recent_valid_consumption",
            "pages_without_valid_consumption",
            "last_page_log_duration",
            "valid_log_duration",
            "hundred_hours_since_start"));
    return Collections.unmodifiableList(names);
  }

  private void start(int lane) {
    int user = range.first() + nextUser++;
    users[lane] = user;
    page[lane] = 0;
    remaining[lane] = pools.size(user);
    for (int i = 0; i < remaining[lane]; i++) {
      left[lane][i] = pools.start[user] + i;
    }
    Arrays.fill(sums[lane], 0);
    int at = lane * STATE_SIZE;
    Arrays.fill(states, at, at + STATE_SIZE, 0);
    System.arraycopy(pools.profiles, user * UserProfiles.SIZE, states, at, UserProfiles.SIZE);
    states[at + RECENT] = earlier(at, ExposureScores.VALID);
    sessions[lane] = user;
    observe(lane);
  }

  /** Completes the state of the lane's next request from what happened so far. */
  private void observe(int lane) {
    int at = lane * STATE_SIZE;
    int user = users[lane];
    int pages = pools.pages(user);
    float[] sum = sums[lane];
    states[at + PROGRESS] = page[lane] / 10f;
    states[at + PAGES_LEFT] = (pages - page[lane]) / 10f;
    for (int i = 0; i < K; i++) {
      states[at + MEAN + i] = (sum[i] + PRIOR_ITEMS * earlier(at, i)) / (sum[K] + PRIOR_ITEMS);
    }
    float valid = sum[ExposureScores.VALID];
    states[at + VALID_DURATION] = valid > 0 ? sum[K + 1] / valid : 0;
    // Requests are spread evenly over the recorded moments of the pool.
    int first = pools.start[user];
    times[lane] = pools.times[first + page[lane] * pools.size(user) / pages];
    states[at + HOURS] = (times[lane] - pools.times[first]) / MS_PER_HUNDRED_HOURS;
    last[lane] = page[lane] == pages - 1;
  }

  /** The user's mean of a behaviour in the earlier days; profiles hold them in score order. */
  private float earlier(int at, int score) {
    return states[at + UserProfiles.EARLIER_MEANS_AT + score];
  }

  @Override
  public void serve(float[] actions) {
    for (int lane = 0; lane < active; lane++) {
      int candidates = gather(lane);
      fusion.fuse(
          scores, 0, candidates, candidates, actions, lane * fusion.map().actionSize(), fused);
      int items = Fusion.top(fused, candidates, pageSize, picked);
      pageItems[lane] = items;
      show(lane, items);
      remove(lane, items);
    }
  }

  /** Lays out the scores of what is left in the lane's pool, task by task. */
  private int gather(int lane) {
    int n = remaining[lane];
    for (int c = 0; c < n; c++) {
      int from = left[lane][c] * K;
      for (int i = 0; i < K; i++) {
        scores[i * n + c] = pools.scores[from + i];
      }
    }
    return n;
  }

  private void show(int lane, int items) {
    int at = lane * STATE_SIZE;
    int user = users[lane] - range.first();
    float[] sum = sums[lane];
    Arrays.fill(states, at + LAST, at + LAST + K, 0);
    states[at + LAST_DURATION] = 0;
    float watchReward = 0;
    float behaviourReward = 0;
    float validItems = 0;
    for (int item = 0; item < items; item++) {
      int candidate = left[lane][picked[item]];
      int to = (lane * pageSize + item) * K;
      System.arraycopy(pools.scores, candidate * K, pageScores, to, K);
      System.arraycopy(pools.outcomes, candidate * K, pageResponses, to, K);
      float watched = pageResponses[to + ExposureScores.WATCH];
      for (int i = 0; i < K; i++) {
        float response = pageResponses[to + i];
        behaviourReward += BEHAVIOUR_WEIGHT[i] * response;
        float scaled = i == ExposureScores.WATCH ? (float) Math.log1p(watched) : response;
        sum[i] += scaled;
        states[at + LAST + i] += scaled / items;
      }
      watchReward += (float) Math.log1p(watched);
      float valid = pageResponses[to + ExposureScores.VALID];
      validItems += valid;
      sum[K]++;
      sum[K + 1] += valid * pools.durations[candidate];
      states[at + LAST_DURATION] += pools.durations[candidate] / items;
      totals.validConsumptions()[user] += valid;
      totals.watchSeconds()[user] += watched;
    }
    states[at + RECENT] =
        RECENT_DECAY * states[at + RECENT] + (1 - RECENT_DECAY) * validItems / items;
    states[at + SKIPS] = validItems > 0 ? 0 : states[at + SKIPS] + 0.1f;
    rewards[lane * GROUPS] = watchReward;
    rewards[lane * GROUPS + 1] = behaviourReward;
    totals.requests()[user]++;
    totals.returns()[user] += watchReward + behaviourReward;
  }

  /** Takes the picked candidates out of the pool, keeping the order of the others. */
  private void remove(int lane, int items) {
    for (int item = 0; item < items; item++) {
      left[lane][picked[item]] = -1;
    }
    int kept = 0;
    for (int i = 0; i < remaining[lane]; i++) {
      int candidate = left[lane][i];
      if (candidate >= 0) {
        left[lane][kept++] = candidate;
      }
    }
    remaining[lane] = kept;
  }

  @Override
  public void advance() {
    for (int lane = active - 1; lane >= 0; lane--) {
      if (!last[lane]) {
        page[lane]++;
        observe(lane);
        continue;
      }
      totals.sessions()[users[lane] - range.first()]++;
      if (nextUser < range.count()) {
        start(lane);
      } else {
        active--;
        move(active, lane);
      }
    }
  }

  private void move(int from, int to) {
    users[to] = users[from];
    page[to] = page[from];
    remaining[to] = remaining[from];
    last[to] = last[from];
    sessions[to] = sessions[from];
    times[to] = times[from];
    int[] spareLeft = left[to];
    left[to] = left[from];
    left[from] = spareLeft;
    float[] spareSums = sums[to];
    sums[to] = sums[from];
    sums[from] = spareSums;
    System.arraycopy(states, from * STATE_SIZE, states, to * STATE_SIZE, STATE_SIZE);
  }

  @Override
  public int active() {
    return active;
  }

  @Override
  public float[] states() {
    return states;
  }

  @Override
  public int[] users() {
    return users;
  }

  @Override
  public long[] sessions() {
    return sessions;
  }

  @Override
  public long[] times() {
    return times;
  }

  @Override
  public float[] rewards() {
    return rewards;
  }

  @Override
  public boolean[] last() {
    return last;
  }

  @Override
  public float[] pageScores() {
    return pageScores;
  }

  @Override
  public float[] pageResponses() {
    return pageResponses;
  }

  @Override
  public int[] pageItems() {
    return pageItems;
  }

  @Override
  public UserTotals totals() {
    return totals;
  }
}
