package org.unifiedrl.mtf.baseline;

import java.util.Arrays;
import java.util.function.DoubleSupplier;
import java.util.stream.IntStream;

/**
 * Runs any {@link Searcher} under one accounting of what it spends, so that methods can be compared
 * on equal terms. The vectors of a round are evaluated on the common pool's threads; the result
 * depends neither on how many those are nor, without a limit in seconds, on their speed.
 */
public final class BudgetedSearch {

  private BudgetedSearch() {}

  /** What is maximised, possibly with noise. */
  @FunctionalInterface
  public interface Objective {
    /**
     * Evaluates a vector; may be called by several threads at once.
     *
     * @param vector not to be changed
     * @param luck names the random draws: vectors that meet the same luck are comparable
     * @param allowance is asked before requests are served
     * @return the value, finite; any number if the allowance was refused
     */
    double value(float[] vector, long luck, Allowance allowance);
  }

  /** What one evaluation may still spend. One thread at a time. */
  public static final class Allowance {
    private final long limit;
    private final double deadline;
    private final DoubleSupplier clock;
    private long taken;
    private boolean refused;

    private Allowance(long limit, double deadline, DoubleSupplier clock) {
      this.limit = limit;
      this.deadline = deadline;
      this.clock = clock;
    }

    /**
     * Asks to serve requests. After a refusal the evaluation must end, having served no more.
     *
     * @param requests at least 1
     */
    public boolean take(long requests) {
      refused |=
          requests > limit - taken
              || (deadline < Double.POSITIVE_INFINITY && clock.getAsDouble() >= deadline);
      if (!refused) {
        taken += requests;
      }
      return !refused;
    }
  }

  /**
   * What has been spent.
   *
   * @param evaluations evaluations, those of an unfinished last round included
   * @param requests environment requests
   * @param seconds time
   */
  public record Spent(long evaluations, long requests, double seconds) {

    /** The largest of the three as a share of a budget, from 0 to 1. */
    public double share(SearchBudget budget) {
      double most =
          Math.max(
              (double) evaluations / budget.evaluations(), (double) requests / budget.requests());
      return Math.min(1, Math.max(most, seconds / budget.seconds()));
    }
  }

  /**
   * What a search found.
   *
   * @param action the vector
   * @param spent what it took
   */
  public record Result(float[] action, Spent spent) {

    /** Environment requests spent. */
    public long requests() {
      return spent.requests();
    }
  }

  /** Hears about each finished round. */
  @FunctionalInterface
  public interface Progress {

    /** Hears nothing. */
    Progress NONE = (round, best, spent) -> {};

    /**
     * Called after a round.
     *
     * @param round number of finished rounds
     * @param best value of the round's best vector, which noise favours
     * @param spent what has been spent so far
     */
    void round(int round, double best, Spent spent);
  }

  /**
   * Searches until another round might not fit into the budget.
   *
   * @throws SearchBudgetException if the budget ends before the first round does. What would have
   *     done is then measured: the round is served once more, without limits.
   */
  public static Result search(
      Searcher searcher, Objective objective, SearchBudget budget, Progress progress) {
    return search(searcher, objective, budget, progress, () -> System.nanoTime() * 1e-9);
  }

  static Result search(
      Searcher searcher,
      Objective objective,
      SearchBudget budget,
      Progress progress,
      DoubleSupplier clock) {
    double start = clock.getAsDouble();
    double deadline = start + budget.seconds();
    Spent spent = new Spent(0, 0, 0);
    long dearest = 0; // requests of the dearest evaluation so far
    double longest = 0; // seconds of the longest round so far
    long used = 0; // luck that evaluations had to themselves
    for (int number = 0; ; number++) {
      double before = spent.seconds();
      float[][] vectors = searcher.propose(spent.share(budget));
      spent = new Spent(spent.evaluations(), spent.requests(), clock.getAsDouble() - start);
      double proposed = spent.seconds();
      int count = vectors.length;
      if (number == 0) {
        requireEvaluations(count, budget);
      }
      // Each evaluation has its own part, so that threads cannot decide who gets the last request.
      long part = (budget.requests() - spent.requests()) / count;
      // A round that is cut off is spent for nothing: do not begin one that might be.
      if (number > 0
          && (count > budget.evaluations() - spent.evaluations()
              || part < Math.max(1, dearest)
              || spent.seconds() + longest > budget.seconds())) {
        return new Result(searcher.best(), spent);
      }
      boolean same = searcher.sharesLuck();
      // Rounds that share their luck share one that no evaluation had before: what was chosen for
      // its luck is not met by the same again.
      long luck = same ? used + number : spent.evaluations();
      used = same ? used : luck + count;
      Round round = Round.of(objective, vectors, luck, same, part, deadline, clock);
      dearest = Math.max(dearest, round.dearest());
      spent =
          new Spent(
              spent.evaluations() + count,
              spent.requests() + round.requests(),
              clock.getAsDouble() - start);
      if (!round.complete()) {
        if (number == 0) {
          double again = clock.getAsDouble();
          double forever = Double.POSITIVE_INFINITY;
          Round whole = Round.of(objective, vectors, luck, same, Long.MAX_VALUE, forever, clock);
          double seconds = proposed + clock.getAsDouble() - again;
          throw tooSmall(budget, count, count * whole.dearest(), seconds);
        }
        return new Result(searcher.best(), spent);
      }
      check(round.values());
      searcher.observe(round.values());
      longest = Math.max(longest, spent.seconds() - before);
      progress.round(number + 1, Arrays.stream(round.values()).max().orElseThrow(), spent);
    }
  }

  /**
   * Returns if a budget has the evaluations without which a search finds nothing.
   *
   * @param count those of its first round, as a rule
   * @throws SearchBudgetException if it has fewer
   */
  public static void requireEvaluations(long count, SearchBudget budget) {
    if (count > budget.evaluations()) {
      throw tooSmall(budget, count, 0, 0);
    }
  }

  /** The refusal; requests and seconds that were not measured are 0. */
  private static SearchBudgetException tooSmall(
      SearchBudget budget, long count, long requests, double seconds) {
    SearchBudget least =
        new SearchBudget(
            Math.max(budget.evaluations(), count),
            Math.max(budget.requests(), requests),
            Math.max(budget.seconds(), Math.ceil(seconds)));
    return new SearchBudgetException(
        "the search's budget of "
            + describe(budget)
            + " ends within the first round of "
            + count
            + " evaluations; the least that would do is "
            + describe(least),
        least);
  }

  /** What the vectors of a round were worth, and what that took. */
  private record Round(double[] values, long requests, long dearest, boolean complete) {

    static Round of(
        Objective objective,
        float[][] vectors,
        long luck,
        boolean same,
        long part,
        double deadline,
        DoubleSupplier clock) {
      int count = vectors.length;
      Allowance[] allowances = new Allowance[count];
      Arrays.setAll(allowances, p -> new Allowance(part, deadline, clock));
      double[] values = new double[count];
      IntStream.range(0, count)
          .parallel()
          .forEach(
              p -> values[p] = objective.value(vectors[p], luck + (same ? 0 : p), allowances[p]));
      return new Round(
          values,
          Arrays.stream(allowances).mapToLong(a -> a.taken).sum(),
          Arrays.stream(allowances).mapToLong(a -> a.taken).max().orElse(0),
          Arrays.stream(allowances).noneMatch(a -> a.refused));
    }
  }

  private static void check(double[] values) {
    for (int p = 0; p < values.length; p++) {
      if (!Double.isFinite(values[p])) {
        throw new IllegalStateException(
            "the objective of vector "
                + p
                + " of the round is "
                + values[p]
                + "; expected a finite number");
      }
    }
  }

  private static String describe(SearchBudget budget) {
    StringBuilder text = new StringBuilder();
    append(text, budget.evaluations() < Long.MAX_VALUE, budget.evaluations() + " evaluations");
    append(text, budget.requests() < Long.MAX_VALUE, budget.requests() + " requests");
    append(text, budget.seconds() < Double.POSITIVE_INFINITY, budget.seconds() + " seconds");
    return text.toString();
  }

  private static void append(StringBuilder text, boolean limited, String limit) {
    if (limited) {
      text.append(text.isEmpty() ? "" : ", ").append(limit);
    }
  }
}
