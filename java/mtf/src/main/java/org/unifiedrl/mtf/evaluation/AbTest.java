package org.unifiedrl.mtf.evaluation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import org.unifiedrl.mtf.policy.PairPolicy;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.PairwiseEnvironment;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * Serves the same users of an environment by two policies under common random numbers and compares
 * them user by user (specification 4.4).
 *
 * <p>Users are served in slices, each a rollout of its own, by one or several threads. As an
 * environment keys its draws by user, and provided a policy answers each row independently of its
 * neighbours, no result depends on the number of threads, lanes or slices.
 */
public final class AbTest {

  private AbTest() {}

  /**
   * How to run a test.
   *
   * @param seed key of the environment's draws and of the bootstrap
   * @param users users to serve, at least one
   * @param days days per user, at least 1
   * @param threads threads that serve, at least 1
   * @param lanes users in flight at once per thread, at least 1
   * @param resamples bootstrap resamples, at least 40
   */
  public record Settings(
      long seed, UserRange users, int days, int threads, int lanes, int resamples) {
    public Settings {
      if (users.count() < 1 || days < 1 || threads < 1 || lanes < 1) {
        throw new IllegalArgumentException(
            "A/B settings users="
                + users.count()
                + " days="
                + days
                + " threads="
                + threads
                + " lanes="
                + lanes
                + ": each must be at least 1");
      }
    }
  }

  /** Hears how far serving is; called by one thread at a time. */
  @FunctionalInterface
  public interface Progress {
    /** Ignores all reports. */
    Progress NONE = (served, total) -> {};

    /** Reports that {@code served} of {@code total} users are done. */
    void report(int served, int total);
  }

  /**
   * What one policy achieved, averaged over users.
   *
   * @param uvc valid consumptions per user and day; per user where an environment has no days
   * @param udt watch time in seconds per user and day; per user where an environment has no days
   * @param sessionLength requests per session
   * @param requests requests per user
   * @param returns sum of rewards per user
   */
  public record Summary(
      double uvc, double udt, double sessionLength, double requests, double returns) {

    /** Averages over all users of a rollout. */
    public static Summary of(UserTotals totals) {
      return new Summary(
          mean(totals.validConsumptions()),
          mean(totals.watchSeconds()),
          mean(totals.requests()) / mean(totals.sessions()),
          mean(totals.requests()),
          mean(totals.returns()));
    }

    private static double mean(double[] values) {
      return Arrays.stream(values).average().orElse(Double.NaN);
    }
  }

  /**
   * The outcome of a test; lifts are in percent over the baseline.
   *
   * @param users users served by each policy
   * @param baseline the baseline's averages
   * @param policy the policy's averages
   */
  public record Result(
      int users,
      Summary baseline,
      Summary policy,
      Interval uvcLift,
      Interval udtLift,
      Interval sessionLengthLift,
      Interval requestsLift,
      Interval returnsLift) {}

  /**
   * Runs both policies and compares them.
   *
   * @param baseline gives an instance of the baseline that one thread may use
   * @param policy gives an instance of the policy that one thread may use
   * @throws IllegalArgumentException if a policy's sizes are not the environment's, or one instance
   *     is given to several threads
   */
  public static Result run(
      Environment environment,
      Supplier<? extends Policy> baseline,
      Supplier<? extends Policy> policy,
      Settings settings,
      Progress progress) {
    UserTotals first =
        serve(environment, baseline, settings, (served, all) -> progress.report(served, 2 * all));
    UserTotals second =
        serve(
            environment, policy, settings, (served, all) -> progress.report(all + served, 2 * all));
    return compare(first, second, new PairedBootstrap(settings.seed(), settings.resamples()));
  }

  /** Compares two policies by what the same users did under each, in the same order. */
  public static Result compare(UserTotals baseline, UserTotals policy, PairedBootstrap bootstrap) {
    return new Result(
        baseline.requests().length,
        Summary.of(baseline),
        Summary.of(policy),
        lift(bootstrap, baseline.validConsumptions(), policy.validConsumptions()),
        lift(bootstrap, baseline.watchSeconds(), policy.watchSeconds()),
        bootstrap.interval(
            sums -> 100 * (sums[2] / sums[3] / (sums[0] / sums[1]) - 1),
            baseline.requests(),
            baseline.sessions(),
            policy.requests(),
            policy.sessions()),
        lift(bootstrap, baseline.requests(), policy.requests()),
        lift(bootstrap, baseline.returns(), policy.returns()));
  }

  /** So few users may consume nothing: then no lift is known. */
  private static Interval lift(PairedBootstrap bootstrap, double[] baseline, double[] policy) {
    return Arrays.stream(baseline).sum() > 0
        ? bootstrap.lift(baseline, policy)
        : new Interval(Double.NaN, Double.NaN, Double.NaN);
  }

  /**
   * Serves all users by one policy: on each candidate if it is a {@link PairPolicy}.
   *
   * @return totals of the users of {@code settings.users()}, in order
   */
  public static UserTotals serve(
      Environment environment,
      Supplier<? extends Policy> policies,
      Settings settings,
      Progress progress) {
    List<UserRange> slices = slices(settings);
    int threads = Math.min(settings.threads(), slices.size());
    List<Policy> perThread = instances(environment, policies, threads);
    if (perThread.get(0) instanceof PairPolicy) {
      PairwiseEnvironment pairs = new PairwiseEnvironment(environment);
      perThread.replaceAll(pairs::serving);
      return serve(pairs, perThread, settings, slices, progress);
    }
    return serve(environment, perThread, settings, slices, progress);
  }

  private static UserTotals serve(
      Environment environment,
      List<Policy> perThread,
      Settings settings,
      List<UserRange> slices,
      Progress progress) {
    int threads = perThread.size();
    UserTotals totals = UserTotals.zero(settings.users().count());
    SliceQueue queue = new SliceQueue(slices, settings.users(), totals, progress);
    if (threads == 1) {
      serveSlices(environment, perThread.get(0), settings, queue);
      queue.requireComplete();
      return totals;
    }
    ExecutorService executor = Executors.newFixedThreadPool(threads);
    try {
      List<Future<?>> running = new ArrayList<>();
      for (Policy policy : perThread) {
        running.add(executor.submit(() -> serveSlices(environment, policy, settings, queue)));
      }
      for (Future<?> task : running) {
        if (Thread.interrupted()) { // get() would overlook it where a task is already done
          throw new InterruptedException();
        }
        task.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while serving users", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException("serving users failed", e.getCause());
    } finally {
      executor.shutdownNow();
    }
    queue.requireComplete();
    return totals;
  }

  private static List<UserRange> slices(Settings settings) {
    // Slices no smaller than the lanes keep batches full; about 32 of them balance the threads and
    // give the progress its steps.
    int users = settings.users().count();
    int size = Math.max(settings.lanes(), (users + 31) / 32);
    List<UserRange> slices = new ArrayList<>();
    for (int offset = 0; offset < users; offset += size) {
      slices.add(settings.users().slice(offset, size));
    }
    return slices;
  }

  private static List<Policy> instances(
      Environment environment, Supplier<? extends Policy> policies, int threads) {
    List<Policy> instances = new ArrayList<>();
    for (int t = 0; t < threads; t++) {
      Policy policy = policies.get();
      for (Policy other : instances) {
        if (other == policy) {
          throw new IllegalArgumentException(
              "the supplier gave one policy instance to two threads; policies hold scratch memory,"
                  + " so give each thread its own, or use one thread");
        }
      }
      if (policy instanceof PairPolicy) { // its sizes are checked where it serves
        instances.add(policy);
        continue;
      }
      if (policy.stateSize() != environment.stateSize()
          || policy.actionSize() != environment.actionSize()) {
        throw new IllegalArgumentException(
            "policy has S="
                + policy.stateSize()
                + " A="
                + policy.actionSize()
                + ", environment "
                + environment.name()
                + " has S="
                + environment.stateSize()
                + " A="
                + environment.actionSize());
      }
      instances.add(policy);
    }
    return instances;
  }

  private static void serveSlices(
      Environment environment, Policy policy, Settings settings, SliceQueue queue) {
    int lanes = Math.min(settings.lanes(), settings.users().count());
    float[] actions = new float[lanes * environment.actionSize()];
    for (UserRange slice = queue.next(); slice != null; slice = queue.next()) {
      Rollout rollout = environment.rollout(settings.seed(), slice, settings.days(), lanes);
      while (rollout.active() > 0) {
        policy.act(rollout.states(), rollout.active(), actions);
        rollout.serve(actions);
        rollout.advance();
      }
      queue.done(slice, rollout.totals());
    }
  }

  /** Slices still to serve and the totals of those served; shared by the serving threads. */
  private static final class SliceQueue {

    private final List<UserRange> slices;
    private final UserRange users;
    private final UserTotals totals;
    private final Progress progress;
    private int next;
    private int served;

    SliceQueue(List<UserRange> slices, UserRange users, UserTotals totals, Progress progress) {
      this.slices = slices;
      this.users = users;
      this.totals = totals;
      this.progress = progress;
    }

    /** The next slice to serve, or null when none is left or the thread is to stop. */
    synchronized UserRange next() {
      boolean stop = next == slices.size() || Thread.currentThread().isInterrupted();
      return stop ? null : slices.get(next++);
    }

    /** An interrupted thread stops early; what it leaves must not pass for a result. */
    synchronized void requireComplete() {
      if (served < users.count()) {
        throw new IllegalStateException(
            "interrupted after serving " + served + " of " + users.count() + " users");
      }
    }

    synchronized void done(UserRange slice, UserTotals part) {
      int at = slice.first() - users.first();
      int count = slice.count();
      part.copyTo(totals, at);
      served += count;
      progress.report(served, users.count());
    }
  }
}
