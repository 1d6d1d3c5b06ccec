package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.experiment.ExperimentConfig.Population;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;

class PopulationsTest {

  /** An environment that only has users. */
  private static Environment world(int train, int judge) {
    return (Environment)
        Proxy.newProxyInstance(
            Environment.class.getClassLoader(),
            new Class<?>[] {Environment.class},
            (proxy, method, arguments) ->
                switch (method.getName()) {
                  case "name" -> "people";
                  case "trainUsers" -> new UserRange(0, train);
                  default -> new UserRange(train, judge);
                });
  }

  private static Populations of(
      Environment world, long seed, int learn, int heldOut, int test, Population population) {
    return Populations.of(world, config(seed, learn, heldOut, test, population));
  }

  private static ExperimentConfig config(
      long seed, int learn, int heldOut, int test, Population population) {
    return Settings.of(
        List.of(
            "seed=" + seed,
            "exploration.users=" + learn,
            "exploration.held_out_users=" + heldOut,
            "evaluation.users=" + test,
            "evaluation.population=\"" + population + "\""));
  }

  private static boolean within(UserRange part, UserRange whole) {
    return part.first() >= whole.first()
        && part.first() + part.count() <= whole.first() + whole.count();
  }

  private static boolean apart(UserRange one, UserRange other) {
    return one.first() + one.count() <= other.first()
        || other.first() + other.count() <= one.first();
  }

  @Property(tries = 500)
  void whoIsLearnedFromIsNeverJudgedOrValidatedOn(
      @ForAll long seed,
      @ForAll long otherSeed,
      @ForAll @IntRange(min = 2, max = 300) int train,
      @ForAll @IntRange(min = 1, max = 300) int judge,
      @ForAll @IntRange(min = 1, max = 400) int learn,
      @ForAll @IntRange(min = 1, max = 400) int heldOut,
      @ForAll @IntRange(min = 1, max = 400) int test) {
    Environment world = world(train, judge);
    Populations one = of(world, seed, learn, heldOut, test, Population.JUDGE);
    assertThat(within(one.test(), world.judgeUsers())).isTrue();
    assertThat(one.test().count()).isEqualTo(Math.min(test, judge));
    assertThat(one.learn().count()).isBetween(1, learn);
    assertThat(one.heldOut().count()).isBetween(1, heldOut);
    assertThat(within(one.search(), world.trainUsers())).isTrue();
    assertThat(within(one.learn(), one.search())).isTrue();
    assertThat(within(one.heldOut(), world.trainUsers())).isTrue();
    assertThat(apart(one.heldOut(), one.search())).isTrue();

    // Validation of one seed does not meet what another seed learned from either.
    Populations validated = of(world, otherSeed, learn, heldOut, test, Population.VALIDATION);
    assertThat(within(validated.test(), world.trainUsers())).isTrue();
    assertThat(apart(validated.test(), one.search())).isTrue();
    assertThat(validated.test().count()).isBetween(1, test);
    if (test >= validated.heldOut().count()) {
      assertThat(within(validated.heldOut(), validated.test())).isTrue();
    }
  }

  @Test
  void seedsMeetDifferentPeopleWhereThereAreEnough() {
    Environment world = world(1_000_000, 1_000_000);
    Set<Integer> learn = new HashSet<>();
    Set<Integer> test = new HashSet<>();
    for (int seed = 1; seed <= 5; seed++) {
      Populations people = of(world, seed, 60_000, 5_000, 20_000, Population.JUDGE);
      assertThat(people).isEqualTo(of(world, seed, 60_000, 5_000, 20_000, Population.JUDGE));
      learn.add(people.learn().first());
      test.add(people.test().first());
      assertThat(people.learn().count()).isEqualTo(60_000);
      Populations other = of(world, seed, 60_000, 5_000, 20_000, Population.VALIDATION);
      assertThat(other.test().count()).isEqualTo(20_000);
    }
    assertThat(learn).hasSize(5);
    assertThat(test).hasSize(5);
  }

  @Test
  void fewUsersAreAllUsed() {
    Populations people = of(world(3_300, 2_200), 7, 60_000, 5_000, 20_000, Population.JUDGE);
    assertThat(people.learn()).isEqualTo(new UserRange(0, 2_640));
    assertThat(people.heldOut()).isEqualTo(new UserRange(2_640, 660));
    assertThat(people.test()).isEqualTo(new UserRange(3_300, 2_200));
  }

  /** Every stage of every round has its own people, whether or not there are enough of them. */
  @Property(tries = 300)
  void roundsShareNobody(
      @ForAll long seed,
      @ForAll @IntRange(min = 60, max = 2000) int train,
      @ForAll @IntRange(min = 5, max = 3000) int learn,
      @ForAll @IntRange(min = 5, max = 3000) int heldOut,
      @ForAll Population population) {
    Environment world = world(train, 100);
    ExperimentConfig config = config(seed, learn, heldOut, 50, population);
    Populations whole;
    try {
      whole = Populations.progressive(world, config);
    } catch (IllegalArgumentException e) {
      assertThat(e).hasMessageContaining("one of each of the others for every round");
      return;
    }
    assertThat(whole.learn()).isEqualTo(Populations.of(world, config).learn());
    int rounds = config.progressive().rounds();
    List<UserRange> all = new ArrayList<>(List.of(whole.test()));
    int learners = 0;
    for (int number = 1; number <= rounds; number++) {
      Populations round = whole.round(number, rounds);
      all.addAll(List.of(round.learn(), round.heldOut(), round.canary()));
      learners += round.learn().count();
      assertThat(round.test()).isEqualTo(whole.test());
      assertThat(round.learn().count() - whole.learn().count() / rounds).isBetween(0, 1);
    }
    assertThat(learners).isEqualTo(whole.learn().count());
    for (int i = 0; i < all.size(); i++) {
      assertThat(all.get(i).count()).isPositive();
      for (int j = 0; j < i; j++) {
        assertThat(apart(all.get(i), all.get(j))).isTrue();
      }
    }
  }

  @Test
  void tooFewPeopleForTheRoundsAreRefused() {
    assertThatThrownBy(
            () ->
                Populations.progressive(
                    world(20, 100), config(1, 60_000, 5_000, 50, Population.JUDGE)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("progressive.rounds is 5")
        .hasMessageContaining("held out");
  }
}
