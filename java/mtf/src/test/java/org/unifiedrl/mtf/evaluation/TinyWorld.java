package org.unifiedrl.mtf.evaluation;

import java.util.List;
import java.util.SplittableRandom;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * The smallest environment there is: per day and user one session of one to five requests, one item
 * a page; the item's score and label are the user's luck, the reward is (1 + first action) times
 * it.
 */
public final class TinyWorld implements Environment {

  private final int trainUsers;

  /** 100 users to learn from. */
  public TinyWorld() {
    this(100);
  }

  /** So many users to learn from; 900 others are judged. */
  public TinyWorld(int trainUsers) {
    this.trainUsers = trainUsers;
  }

  @Override
  public String name() {
    return "tiny";
  }

  @Override
  public List<String> stateNames() {
    return List.of("luck");
  }

  @Override
  public ActionMap actionMap() {
    return new ActionMap(
        new double[] {0}, new double[] {2}, new double[] {1e-4}, new double[] {1e-2});
  }

  @Override
  public List<String> rewardGroups() {
    return List.of("all");
  }

  @Override
  public List<String> scoreNames() {
    return List.of("score");
  }

  @Override
  public List<String> responseNames() {
    return List.of("valid");
  }

  @Override
  public double reward(float[] responses, int at) {
    return responses[at];
  }

  @Override
  public int pageSize() {
    return 1;
  }

  @Override
  public UserRange trainUsers() {
    return new UserRange(0, trainUsers);
  }

  @Override
  public UserRange judgeUsers() {
    return new UserRange(trainUsers, 900);
  }

  @Override
  public List<String> limits() {
    return List.of("A toy.");
  }

  @Override
  public Rollout rollout(long seed, UserRange range, int days, int laneLimit) {
    int lanes = Math.min(laneLimit, range.count());
    return new Rollout() {
      private final UserTotals totals = UserTotals.zero(range.count());
      private final float[] states = new float[lanes];
      private final float[] rewards = new float[lanes];
      private final float[] responses = new float[lanes];
      private final boolean[] last = new boolean[lanes];
      private final int[] users = new int[lanes];
      private final int[] pageItems = new int[lanes];
      private final long[] sessions = new long[lanes];
      private final long[] times = new long[lanes];
      private final int[] day = new int[lanes];
      private final int[] request = new int[lanes];
      private final SplittableRandom[] luck = new SplittableRandom[lanes];
      private int active;
      private int nextUser;

      {
        while (active < lanes) {
          start(active++);
        }
      }

      private void start(int lane) {
        users[lane] = range.first() + nextUser++;
        luck[lane] = new SplittableRandom(seed * 1_000_003 + users[lane]);
        day[lane] = 0;
        request[lane] = 0;
        observe(lane);
      }

      private void observe(int lane) {
        states[lane] = (float) luck[lane].nextDouble();
        last[lane] = luck[lane].nextInt(3) == 0 || request[lane] == 4;
        sessions[lane] = (long) users[lane] * days + day[lane];
        times[lane] = 10L * day[lane] + request[lane];
        pageItems[lane] = 1;
      }

      @Override
      public int active() {
        return active;
      }

      @Override
      public void predict() {} // there is nothing to predict

      /** No candidates are fused here: only the action of a request means something. */
      @Override
      public void serveEach(float[] actions) {
        throw new AssertionError("this world has no candidates to act on");
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
      public void serve(float[] actions) {
        for (int lane = 0; lane < active; lane++) {
          rewards[lane] = (1 + actions[2 * lane]) * states[lane];
          responses[lane] = states[lane] > 0.5f ? 1 : 0;
          int user = users[lane] - range.first();
          totals.validConsumptions()[user] += rewards[lane];
          totals.watchSeconds()[user] += 10 * rewards[lane];
          totals.requests()[user]++;
          totals.returns()[user] += rewards[lane];
        }
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
        return states;
      }

      @Override
      public float[] pageResponses() {
        return responses;
      }

      @Override
      public int[] pageItems() {
        return pageItems;
      }

      @Override
      public int candidates() {
        return 1;
      }

      @Override
      public float[] candidateScores() {
        return states;
      }

      @Override
      public int[] pageCandidates() {
        return new int[lanes];
      }

      @Override
      public void advance() {
        for (int lane = active - 1; lane >= 0; lane--) {
          request[lane]++;
          if (last[lane]) {
            totals.sessions()[users[lane] - range.first()]++;
            request[lane] = 0;
            day[lane]++;
          }
          if (day[lane] < days) {
            observe(lane);
          } else if (nextUser < range.count()) {
            start(lane);
          } else {
            active--;
            swap(lane, active);
          }
        }
      }

      private void swap(int to, int from) {
        states[to] = states[from];
        last[to] = last[from];
        users[to] = users[from];
        sessions[to] = sessions[from];
        times[to] = times[from];
        day[to] = day[from];
        request[to] = request[from];
        luck[to] = luck[from];
      }

      @Override
      public UserTotals totals() {
        return totals;
      }
    };
  }
}
