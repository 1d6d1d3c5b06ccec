package org.unifiedrl.mtf.experiment;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplayWriter;
import org.unifiedrl.mtf.exploration.Explorer;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.PairwiseEnvironment;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * Serves users by a baseline policy with exploration and logs every request in session order.
 *
 * <p>Users are served in slices by several threads; slices are written in order, so that the log
 * does not depend on the number of threads.
 */
final class Exploration {

  private final Environment environment;
  private final Explorer explorer;
  private final long seed;
  private final int days;
  private final int lanes;
  private final int rowWidth;
  private final int candidateScores; // 0 if they are not logged
  private final boolean pairwise;
  private final int units; // of a request, each explored by itself: 1, or its candidates

  Exploration(
      Environment environment,
      Explorer explorer,
      ReplaySchema schema,
      long seed,
      int days,
      int lanes) {
    this.environment = environment;
    this.explorer = explorer;
    this.seed = seed;
    this.days = days;
    this.lanes = lanes;
    this.rowWidth = schema.rowWidth();
    this.pairwise = environment instanceof PairwiseEnvironment;
    this.units = environment instanceof PairwiseEnvironment pairs ? pairs.candidates() : 1;
    this.candidateScores =
        schema.columns().stream()
            .filter(column -> column.name().equals(RequestLog.CANDIDATE_SCORES))
            .mapToInt(ReplaySchema.Column::width)
            .sum();
  }

  /** What a log holds: requests, sessions, the sum of all rewards, and what each user did. */
  record Totals(long requests, long sessions, double reward, UserTotals users) {
    Totals plus(Totals other) {
      return new Totals(
          requests + other.requests, sessions + other.sessions, reward + other.reward, users);
    }

    Totals with(UserTotals served) {
      return new Totals(requests, sessions, reward, served);
    }
  }

  /**
   * Serves and logs users.
   *
   * @param policies gives each thread an instance of the baseline
   */
  Totals run(
      UserRange users,
      Supplier<? extends Policy> policies,
      int threads,
      ReplayWriter writer,
      RunListener.Stage stage) {
    int size = Math.max(1, Math.min(lanes, (users.count() + 31) / 32));
    Deque<Future<Slice>> running = new ArrayDeque<>();
    ThreadLocal<Policy> perThread = ThreadLocal.withInitial(policies);
    ExecutorService executor = Executors.newFixedThreadPool(threads);
    Totals totals = new Totals(0, 0, 0, UserTotals.zero(users.count()));
    try {
      int next = 0;
      int served = 0;
      while (next < users.count() || !running.isEmpty()) {
        // A few slices ahead keep the threads busy and bound the memory.
        while (next < users.count() && running.size() < threads + 2) {
          UserRange slice = users.slice(next, size);
          running.add(executor.submit(() -> serve(slice, perThread.get())));
          next += size;
        }
        Slice slice = running.remove().get();
        slice.append(writer);
        totals = totals.plus(slice.totals);
        slice.totals.users().copyTo(totals.users(), served);
        served += slice.users;
        stage.at(served, totals.requests() + " requests");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while exploring", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException("exploration failed", e.getCause());
    } finally {
      executor.shutdownNow();
    }
    return totals;
  }

  private Slice serve(UserRange users, Policy policy) {
    Slice slice = new Slice(users.count());
    int stateSize = environment.stateSize();
    int actionSize = environment.actionSize();
    int groups = environment.rewardGroups().size();
    int page = environment.pageSize();
    int scores = page * environment.scoreNames().size();
    int responses = page * environment.responseNames().size();
    int width = Math.min(lanes, Math.max(1, users.count()));
    float[] baseline = new float[width * actionSize];
    float[] actions = new float[width * actionSize];
    float[] low = new float[width * actionSize];
    float[] high = new float[width * actionSize];
    float[] logDensity = new float[width * units];
    float[] states = new float[width * stateSize];
    int unitState = stateSize / units;
    int unitAction = actionSize / units;
    Pairs pairs = new Pairs(pairwise ? width * units : 0, units);
    Rollout rollout = environment.rollout(seed, users, days, width);
    Explorer own = explorer.forRollout();
    while (rollout.active() > 0) {
      int rows = rollout.active();
      policy.act(rollout.states(), rows, baseline);
      own.see(rollout.states());
      pairs.of(rollout);
      own.explore(
          seed,
          pairwise ? pairs.users : rollout.users(),
          pairwise ? pairs.sessions : rollout.sessions(),
          pairwise ? pairs.requests : rollout.times(),
          rows * units,
          baseline,
          actions,
          low,
          high,
          logDensity);
      // Serving may move the states on.
      System.arraycopy(rollout.states(), 0, states, 0, rows * stateSize);
      rollout.serve(actions);
      for (int lane = 0; lane < rows; lane++) {
        float[] row = new float[rowWidth];
        int at = copyUnits(states, rollout, lane, unitState, row, 0);
        at = copyUnits(actions, rollout, lane, unitAction, row, at);
        at = copyUnits(baseline, rollout, lane, unitAction, row, at);
        at = copyUnits(low, rollout, lane, unitAction, row, at);
        at = copyUnits(high, rollout, lane, unitAction, row, at);
        at = copy(rollout.rewards(), lane, groups, row, at);
        row[at++] = density(logDensity, rollout, lane);
        at = copy(rollout.pageScores(), lane, scores, row, at);
        at = copy(rollout.pageResponses(), lane, responses, row, at);
        row[at++] = rollout.pageItems()[lane];
        if (pairwise) {
          Arrays.fill(row, at, at + rollout.pageItems()[lane], 1);
          at += page;
        }
        if (candidateScores > 0) {
          at = copy(rollout.candidateScores(), lane, candidateScores, row, at);
          for (int item = 0; item < page; item++) {
            row[at + item] = rollout.pageCandidates()[lane * page + item];
          }
        }
        slice.add(
            rollout.sessions()[lane],
            rollout.users()[lane],
            rollout.times()[lane],
            rollout.last()[lane],
            row,
            reward(rollout.rewards(), lane, groups));
      }
      rollout.advance();
    }
    slice.totals = slice.totals.with(rollout.totals());
    return slice;
  }

  /** Copies a request's values, or those of its shown candidates, place by place. */
  private int copyUnits(float[] from, Rollout rollout, int lane, int width, float[] row, int at) {
    if (!pairwise) {
      return copy(from, lane, width, row, at);
    }
    int page = environment.pageSize();
    int first = Math.max(0, rollout.pageCandidates()[lane * page]);
    for (int place = 0; place < page; place++) {
      int shown = rollout.pageCandidates()[lane * page + place];
      copy(from, lane * units + (shown < 0 ? first : shown), width, row, at + place * width);
    }
    return at + page * width;
  }

  /** Log density of a request's action, or of the shown candidates' together. */
  private float density(float[] logDensity, Rollout rollout, int lane) {
    if (!pairwise) {
      return logDensity[lane];
    }
    double sum = 0;
    for (int place = 0; place < rollout.pageItems()[lane]; place++) {
      int shown = rollout.pageCandidates()[lane * environment.pageSize() + place];
      sum += logDensity[lane * units + shown];
    }
    return (float) sum;
  }

  /** What an explorer's draws are keyed by, one row a candidate. */
  private static final class Pairs {

    /** Numbers of a request's candidates are below it. */
    private static final int CANDIDATE_BITS = 16;

    private final int units;
    private final int[] users;
    private final long[] sessions;
    private final long[] requests;

    Pairs(int rows, int units) {
      this.units = units;
      users = new int[rows];
      sessions = new long[rows];
      requests = new long[rows];
    }

    /** Takes over the waiting requests. */
    void of(Rollout rollout) {
      if (users.length == 0) {
        return;
      }
      for (int row = 0; row < rollout.active() * units; row++) {
        int lane = row / units;
        users[row] = rollout.users()[lane];
        sessions[row] = rollout.sessions()[lane];
        requests[row] = (rollout.times()[lane] << CANDIDATE_BITS) + row % units;
      }
    }
  }

  private static int copy(float[] from, int lane, int width, float[] row, int at) {
    System.arraycopy(from, lane * width, row, at, width);
    return at + width;
  }

  private static double reward(float[] rewards, int lane, int groups) {
    double sum = 0;
    for (int g = 0; g < groups; g++) {
      sum += rewards[lane * groups + g];
    }
    return sum;
  }

  /** The requests of some users, grouped by session in order of the sessions' ends. */
  private static final class Slice {

    private record Request(long session, int user, long time, boolean last, float[] row) {}

    private final int users;
    private final Map<Long, List<Request>> open = new HashMap<>();
    private final List<Request> complete = new ArrayList<>();
    private Totals totals = new Totals(0, 0, 0, UserTotals.zero(0));

    Slice(int users) {
      this.users = users;
    }

    void add(long session, int user, long time, boolean last, float[] row, double reward) {
      List<Request> requests = open.computeIfAbsent(session, id -> new ArrayList<>());
      requests.add(new Request(session, user, time, last, row));
      totals = totals.plus(new Totals(1, last ? 1 : 0, reward, totals.users()));
      if (last) {
        complete.addAll(requests);
        open.remove(session);
      }
    }

    void append(ReplayWriter writer) {
      if (!open.isEmpty()) {
        throw new IllegalStateException(
            "the environment ended with sessions that have no last request: "
                + Arrays.toString(open.keySet().stream().sorted().limit(3).toArray()));
      }
      for (Request r : complete) {
        // Session numbers are unique within a rollout only; a user has one rollout per log.
        writer.append(sessionId(r), r.user(), r.time(), r.last(), r.row());
      }
    }

    private static long sessionId(Request request) {
      return ((long) request.user() << 32) ^ (request.session() & 0xFFFFFFFFL);
    }
  }
}
