package org.unifiedrl.mtf.baseline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Philox;

class BudgetedSearchTest {

  private static final SearchBox BOX = SearchBox.actions(3);

  /** What was chosen for its luck plays off with other luck. */
  @Test
  void aPlayOffHasLuckThatNoScreenedVectorHad() {
    Set<Long> alone = ConcurrentHashMap.newKeySet();
    Set<Long> shared = ConcurrentHashMap.newKeySet();
    Screening screening = Screening.random(BOX, new float[3], 1);
    BudgetedSearch.search(
        screening,
        (vector, luck, allowance) -> {
          (screening.sharesLuck() ? shared : alone).add(luck);
          return vector[0];
        },
        SearchBudget.ofEvaluations(320),
        (round, best, spent) -> {});
    assertThat(alone).hasSize(224);
    assertThat(shared).hasSizeGreaterThan(3).doesNotContainAnyElementsOf(alone);
  }

  @Test
  void everyLuckMeetsOtherUsersUntilAllPlacesWereMet() {
    for (int[] trial : new int[][] {{1000, 1000}, {500, 700}, {64, 96}, {7, 30}, {3, 1}}) {
      long stride = ConstantVectorSearch.stride(trial[0], trial[1]);
      Set<Long> places = new HashSet<>();
      for (long luck = 0; luck < trial[1]; luck++) {
        places.add(luck * stride % trial[1]);
      }
      assertThat(places).hasSize(trial[1]);
    }
    assertThat(ConstantVectorSearch.stride(500, 99_501)).isEqualTo(500);
  }

  /** Trials cost 1 to 100 requests, by surprise; what is served is what the accounts say. */
  @Property(tries = 200)
  void noBudgetIsExceeded(
      @ForAll long seed,
      @ForAll @IntRange(min = 0, max = 3) int method,
      @ForAll @IntRange(min = 40, max = 200) int evaluations,
      @ForAll @IntRange(min = 20, max = 3000) int requests) {
    AtomicLong served = new AtomicLong();
    AtomicLong refused = new AtomicLong();
    AtomicLong tried = new AtomicLong();
    BudgetedSearch.Objective objective =
        (vector, luck, allowance) -> {
          tried.incrementAndGet();
          int ticks = 1 + (int) (10 * Philox.uniform(seed, 1, Float.floatToIntBits(vector[0])));
          for (int tick = 0; tick < ticks; tick++) {
            if (!allowance.take(ticks)) {
              assertThat(allowance.take(1)).isFalse();
              refused.incrementAndGet();
              return Double.NaN;
            }
            served.addAndGet(ticks);
          }
          return vector[0];
        };
    BudgetedSearch.Spent[] last = {new BudgetedSearch.Spent(0, 0, 0)};
    Searcher searcher =
        switch (method) {
          case 0 -> new CmaEs(BOX, new float[3], 0.5, seed);
          case 1 -> Screening.random(BOX, new float[3], seed);
          case 2 -> new CoordinateSearch(BOX, new float[3], 5);
          default -> new CrossEntropy(new float[3], 2, 0.5, 12, 4, seed, 1);
        };
    try {
      BudgetedSearch.Result result =
          BudgetedSearch.search(
              searcher,
              objective,
              new SearchBudget(evaluations, requests, Double.POSITIVE_INFINITY),
              (round, best, spent) -> {
                assertThat(spent.evaluations()).isGreaterThan(last[0].evaluations());
                last[0] = spent;
              });
      assertThat(result.spent().evaluations()).isEqualTo(tried.get());
      assertThat(result.requests()).isEqualTo(served.get());
    } catch (SearchBudgetException e) {
      // The first round is then served again, for the least that would do.
      assertThat(refused).hasPositiveValue();
      assertThat(e).hasMessageContaining("ends within the first round");
      assertThat(e.least().evaluations()).isEqualTo(evaluations);
      assertThat(e.least().requests()).isGreaterThan(requests);
      assertThat(last[0].evaluations()).isZero();
      return;
    }
    assertThat(tried.get()).isLessThanOrEqualTo(evaluations);
    assertThat(served.get()).isLessThanOrEqualTo(requests);
  }

  /** Each request takes 0.01 s by a clock that only requests move, and the search 0.5 s a round. */
  @Test
  void secondsAreKeptAndCountTheMethodsOwnTime() {
    AtomicLong hundredths = new AtomicLong();
    CoordinateSearch search = new CoordinateSearch(BOX, new float[3], 5);
    Searcher slow =
        new Searcher() {
          @Override
          public float[][] propose(double spent) {
            hundredths.addAndGet(50);
            return search.propose(spent);
          }

          @Override
          public void observe(double[] values) {
            search.observe(values);
          }

          @Override
          public float[] best() {
            return search.best();
          }
        };
    BudgetedSearch.Result result =
        BudgetedSearch.search(
            slow,
            (vector, luck, allowance) -> {
              if (!allowance.take(1)) {
                return Double.NaN;
              }
              hundredths.incrementAndGet();
              return 0;
            },
            new SearchBudget(Long.MAX_VALUE, Long.MAX_VALUE, 10),
            BudgetedSearch.Progress.NONE,
            () -> hundredths.get() / 100.0);
    assertThat(result.spent().seconds()).isCloseTo(hundredths.get() / 100.0, within(1e-9));
    assertThat(result.spent().seconds()).isBetween(9.0, 10.0);
    assertThat(result.requests()).isBetween(50L, 120L);
  }

  @Test
  void trialsShareTheirLuckWhereTheMethodComparesThem() {
    Set<Long> lucks = ConcurrentHashMap.newKeySet();
    BudgetedSearch.Objective objective =
        (vector, luck, allowance) -> {
          lucks.add(luck);
          return allowance.take(1) ? vector[0] : Double.NaN;
        };
    SearchBudget budget = SearchBudget.ofEvaluations(28);
    BudgetedSearch.search(
        new CmaEs(BOX, new float[3], 0.5, 7, 7), objective, budget, BudgetedSearch.Progress.NONE);
    assertThat(lucks).containsExactlyInAnyOrder(0L, 1L, 2L, 3L);
    lucks.clear();
    BudgetedSearch.search(
        new BayesianOptimisation(BOX, new float[3], 7),
        objective,
        SearchBudget.ofEvaluations(9),
        BudgetedSearch.Progress.NONE);
    assertThat(lucks).hasSize(9);
  }

  /** Vectors cost 1 to 10 requests: the dearest decides, since each has an equal part. */
  @Test
  void theLeastBudgetThatIsNamedIsTheLeastThatDoes() {
    BudgetedSearch.Objective objective =
        (vector, luck, allowance) -> {
          int requests = 1 + (int) (5 * (1 + vector[0]) * 0.999);
          return allowance.take(requests) ? vector[1] : Double.NaN;
        };
    long least = 1;
    try {
      search(objective, least);
    } catch (SearchBudgetException e) {
      least = e.least().requests();
    }
    assertThat(least).isGreaterThan(16);
    assertThat(search(objective, least).requests()).isBetween(16L, least);
    long less = least - 1;
    assertThatThrownBy(() -> search(objective, less)).isInstanceOf(SearchBudgetException.class);
  }

  private static BudgetedSearch.Result search(BudgetedSearch.Objective objective, long requests) {
    return BudgetedSearch.search(
        Screening.random(BOX, new float[3], 1),
        objective,
        SearchBudget.ofRequests(requests),
        BudgetedSearch.Progress.NONE);
  }

  @Test
  void aBudgetBelowOneRoundAndAValueThatIsNoNumberAreRefused() {
    assertThatThrownBy(
            () ->
                BudgetedSearch.search(
                    Screening.random(BOX, new float[3], 1),
                    (vector, luck, allowance) -> 0,
                    SearchBudget.ofEvaluations(15),
                    BudgetedSearch.Progress.NONE))
        .isInstanceOf(SearchBudgetException.class)
        .hasMessageContaining("of 15 evaluations ends within the first round of 16 evaluations")
        .hasMessageContaining("least that would do is 16 evaluations");
    assertThatThrownBy(
            () ->
                BudgetedSearch.search(
                    Screening.random(BOX, new float[3], 1),
                    (vector, luck, allowance) -> Double.NaN,
                    SearchBudget.ofEvaluations(100),
                    BudgetedSearch.Progress.NONE))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("objective of vector 0 of the round is NaN");
  }
}
