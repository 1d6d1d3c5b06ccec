package org.unifiedrl.mtf.kuairand;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.LaneRollout;

/** Users' episodes in flight; see {@link KuaiRand} for the rules. */
final class EpisodeRollout extends LaneRollout<EpisodeRollout.Lane> {

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
  private final float[] fused;
  private final int[] picked;

  EpisodeRollout(
      KuaiRand environment, EpisodePools pools, Fusion fusion, UserRange range, int lanes) {
    super(environment, range, lanes(lanes, pools.largest), pools.largest);
    this.pools = pools;
    this.fusion = fusion;
    fused = new float[pools.largest];
    picked = new int[pageSize];
    start();
  }

  private static Lane[] lanes(int count, int largest) {
    Lane[] lanes = new Lane[count];
    for (int i = 0; i < count; i++) {
      lanes[i] = new Lane(largest);
    }
    return lanes;
  }

  /** One episode being served. */
  static final class Lane {
    private int index;
    private int user;
    private int page;
    private int remaining;
    private final int[] left; // candidates not shown yet, ascending in time
    private final float[] sums = new float[K + 2]; // K outcomes, items shown, valid durations
    private final float[] state = new float[STATE_SIZE];
    private long time;

    Lane(int largest) {
      left = new int[largest];
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

  @Override
  protected void meet(Lane lane, int index) {
    lane.index = index;
    lane.user = range.first() + index;
    lane.page = 0;
    lane.remaining = pools.size(lane.user);
    for (int i = 0; i < lane.remaining; i++) {
      lane.left[i] = pools.start[lane.user] + i;
    }
    Arrays.fill(lane.sums, 0);
    Arrays.fill(lane.state, 0);
    System.arraycopy(
        pools.profiles, lane.user * UserProfiles.SIZE, lane.state, 0, UserProfiles.SIZE);
    lane.state[RECENT] = earlier(lane, ExposureScores.VALID);
    observe(lane);
  }

  @Override
  protected boolean next(Lane lane) {
    if (isLast(lane)) {
      totals.sessions()[lane.index]++;
      return false;
    }
    lane.page++;
    observe(lane);
    return true;
  }

  private boolean isLast(Lane lane) {
    return lane.page == pools.pages(lane.user) - 1;
  }

  /** Completes the state of the lane's next request from what happened so far. */
  private void observe(Lane lane) {
    float[] state = lane.state;
    int pages = pools.pages(lane.user);
    float[] sum = lane.sums;
    state[PROGRESS] = lane.page / 10f;
    state[PAGES_LEFT] = (pages - lane.page) / 10f;
    for (int i = 0; i < K; i++) {
      state[MEAN + i] = (sum[i] + PRIOR_ITEMS * earlier(lane, i)) / (sum[K] + PRIOR_ITEMS);
    }
    float valid = sum[ExposureScores.VALID];
    state[VALID_DURATION] = valid > 0 ? sum[K + 1] / valid : 0;
    // Requests are spread evenly over the recorded moments of the pool.
    int first = pools.start[lane.user];
    lane.time = pools.times[first + lane.page * pools.size(lane.user) / pages];
    state[HOURS] = (lane.time - pools.times[first]) / MS_PER_HUNDRED_HOURS;
  }

  /** The user's mean of a behaviour in the earlier days; profiles hold them in score order. */
  private static float earlier(Lane lane, int score) {
    return lane.state[UserProfiles.EARLIER_MEANS_AT + score];
  }

  @Override
  protected void describe(Lane lane, int place) {
    users[place] = lane.user;
    sessions[place] = lane.user;
    times[place] = lane.time;
    System.arraycopy(lane.state, 0, states, place * STATE_SIZE, STATE_SIZE);
  }

  @Override
  protected void serve(Lane lane, int place, float[] actions, boolean each) {
    predict(lane, place);
    fuse(fusion, place, lane.remaining, actions, each, fused);
    int items = Fusion.top(fused, lane.remaining, pageSize, picked);
    pageItems[place] = items;
    last[place] = isLast(lane);
    show(lane, place, items);
    remove(lane, items);
  }

  /** Lays out the scores of what is left in the lane's pool, task by task. */
  @Override
  protected void predict(Lane lane, int place) {
    int base = place * K * candidates;
    int n = lane.remaining;
    for (int i = 0; i < K; i++) {
      int row = base + i * candidates;
      for (int c = 0; c < n; c++) {
        candidateScores[row + c] = pools.scores[lane.left[c] * K + i];
      }
      Arrays.fill(candidateScores, row + n, row + candidates, 0);
    }
  }

  private void show(Lane lane, int place, int items) {
    float[] state = lane.state;
    int user = lane.index;
    float[] sum = lane.sums;
    Arrays.fill(state, LAST, LAST + K, 0);
    state[LAST_DURATION] = 0;
    float watchReward = 0;
    float behaviourReward = 0;
    float validItems = 0;
    for (int item = 0; item < items; item++) {
      pageCandidates[place * pageSize + item] = picked[item];
      int candidate = lane.left[picked[item]];
      int to = (place * pageSize + item) * K;
      System.arraycopy(pools.scores, candidate * K, pageScores, to, K);
      System.arraycopy(pools.outcomes, candidate * K, pageResponses, to, K);
      float watched = pageResponses[to + ExposureScores.WATCH];
      for (int i = 0; i < K; i++) {
        float response = pageResponses[to + i];
        behaviourReward += BEHAVIOUR_WEIGHT[i] * response;
        float scaled = i == ExposureScores.WATCH ? (float) Math.log1p(watched) : response;
        sum[i] += scaled;
        state[LAST + i] += scaled / items;
      }
      watchReward += (float) Math.log1p(watched);
      float valid = pageResponses[to + ExposureScores.VALID];
      validItems += valid;
      sum[K]++;
      sum[K + 1] += valid * pools.durations[candidate];
      state[LAST_DURATION] += pools.durations[candidate] / items;
      totals.validConsumptions()[user] += valid;
      totals.watchSeconds()[user] += watched;
    }
    state[RECENT] = RECENT_DECAY * state[RECENT] + (1 - RECENT_DECAY) * validItems / items;
    state[SKIPS] = validItems > 0 ? 0 : state[SKIPS] + 0.1f;
    rewards[place * GROUPS] = watchReward;
    rewards[place * GROUPS + 1] = behaviourReward;
    totals.requests()[user]++;
    totals.returns()[user] += watchReward + behaviourReward;
  }

  /** Takes the picked candidates out of the pool, keeping the order of the others. */
  private void remove(Lane lane, int items) {
    for (int item = 0; item < items; item++) {
      lane.left[picked[item]] = -1;
    }
    int kept = 0;
    for (int i = 0; i < lane.remaining; i++) {
      int candidate = lane.left[i];
      if (candidate >= 0) {
        lane.left[kept++] = candidate;
      }
    }
    lane.remaining = kept;
  }
}
