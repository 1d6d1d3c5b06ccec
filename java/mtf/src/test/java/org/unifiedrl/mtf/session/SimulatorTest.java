package org.unifiedrl.mtf.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.baseline.ConstantVectorSearch;
import org.unifiedrl.mtf.baseline.EqualWeights;
import org.unifiedrl.mtf.evaluation.Oracles;

class SimulatorTest {

  private static final Simulator WORLD = new Simulator();

  private record Row(List<Float> state, List<Float> scores, List<Float> rewards, boolean last) {}

  private static Map<String, Row> log(int lanes, int days, float[] action) {
    Map<String, Row> rows = new HashMap<>();
    SimulatorRollout rollout = WORLD.rollout(5, new Environment.UserRange(100, 60), days, lanes);
    int size = WORLD.actionSize();
    float[] actions = new float[lanes * size];
    for (int i = 0; i < lanes; i++) {
      System.arraycopy(action, 0, actions, i * size, size);
    }
    while (rollout.active() > 0) {
      int active = rollout.active();
      List<List<Float>> states = new ArrayList<>();
      List<String> keys = new ArrayList<>();
      for (int i = 0; i < active; i++) {
        states.add(slice(rollout.states(), i, WORLD.stateSize()));
        keys.add(rollout.users()[i] + " " + rollout.sessions()[i] + " " + rollout.times()[i]);
      }
      rollout.serve(actions);
      for (int i = 0; i < active; i++) {
        Row row =
            new Row(
                states.get(i),
                slice(rollout.candidateScores(), i, 200),
                slice(rollout.rewards(), i, 2),
                rollout.last()[i]);
        assertThat(rows.put(keys.get(i), row)).as("times are unique").isNull();
      }
      rollout.advance();
    }
    return rows;
  }

  private static List<Float> slice(float[] values, int row, int size) {
    List<Float> list = new ArrayList<>();
    for (int k = 0; k < size; k++) {
      list.add(values[row * size + k]);
    }
    return list;
  }

  @Test
  void numberOfLanesChangesNothing() {
    float[] action = EqualWeights.of(WORLD).action();
    assertThat(log(7, 3, action)).isEqualTo(log(1, 3, action)).isEqualTo(log(64, 3, action));
  }

  /** What a request was, whatever was shown; responses by the shown item's place. */
  private record Met(List<Float> scores, Map<Integer, List<Float>> responses) {}

  /** Requests by user, day and number in the session. */
  private static Map<String, Met> requests(float[] action, int days) {
    Map<String, Met> requests = new HashMap<>();
    SimulatorRollout rollout = WORLD.rollout(5, new Environment.UserRange(100, 400), days, 1);
    long session = -1;
    int request = 0;
    while (rollout.active() > 0) {
      request = rollout.sessions()[0] == session ? request + 1 : 0;
      session = rollout.sessions()[0];
      int user = rollout.users()[0];
      long day = session % days;
      rollout.serve(action);
      Map<Integer, List<Float>> responses = new HashMap<>();
      for (int p = 0; p < rollout.pageItems()[0]; p++) {
        responses.put(rollout.pageCandidates()[p], slice(rollout.pageResponses(), p, 5));
      }
      requests.put(
          user + " " + day + " " + request,
          new Met(slice(rollout.candidateScores(), 0, 200), responses));
      rollout.advance();
    }
    return requests;
  }

  /**
   * Common random numbers: every request that two policies both reach has the same candidates with
   * the same scores; and in a session's first request, before anything differs, an item that both
   * show gets the same response.
   */
  @Test
  void twoPoliciesMeetTheSameRequestsAndTheSameLuck() {
    int days = 3;
    Map<String, Met> one = requests(EqualWeights.of(WORLD).action(), days);
    Map<String, Met> other = requests(new float[10], days);
    int later = 0;
    int items = 0;
    for (Map.Entry<String, Met> entry : one.entrySet()) {
      Met met = other.get(entry.getKey());
      if (met == null) {
        continue;
      }
      assertThat(met.scores()).as(entry.getKey()).isEqualTo(entry.getValue().scores());
      if (!entry.getKey().endsWith(" 0")) {
        later++;
        continue;
      }
      for (Map.Entry<Integer, List<Float>> response : entry.getValue().responses().entrySet()) {
        if (met.responses().containsKey(response.getKey())) {
          assertThat(met.responses().get(response.getKey()))
              .as(entry.getKey())
              .isEqualTo(response.getValue());
          items++;
        }
      }
    }
    assertThat(later).as("later requests in common").isGreaterThan(400);
    assertThat(items).as("items shown by both in a first request").isGreaterThan(1000);
  }

  /**
   * With the value dial at 0, satisfaction is the smoothed reward of what happened on the page over
   * the user's norm: the first request gives the norm, and from then on all is determined.
   */
  @Test
  void satisfactionIsMadeOfWhatHappened() {
    Simulator world = new Simulator(SimulatorConfig.defaults().withDials(0, 1, 1));
    SimulatorRollout rollout = world.rollout(3, new Environment.UserRange(0, 300), 1, 1);
    float[] action = EqualWeights.of(world).action();
    double rate = world.config().satisfactionRate();
    int user = -1;
    double norm = Double.NaN;
    double expected = 1;
    int checked = 0;
    while (rollout.active() > 0) {
      boolean first = rollout.users()[0] != user;
      user = rollout.users()[0];
      rollout.serve(action);
      double reward = (rollout.rewards()[0] + rollout.rewards()[1]) / 8;
      if (first) {
        norm = reward / ((rollout.satisfaction(0) - 1) / rate + 1);
        expected = rollout.satisfaction(0);
      } else if (norm > 0.05 && reward / norm < 8) { // known well, and the page below its limit
        expected += rate * (reward / norm - expected);
        assertThat((double) rollout.satisfaction(0)).isCloseTo(expected, within(0.02 * expected));
        expected = rollout.satisfaction(0);
        checked++;
      } else {
        expected = rollout.satisfaction(0);
      }
      rollout.advance();
    }
    assertThat(checked).isGreaterThan(500);
  }

  /**
   * Users come back the next day with probability sigmoid(r0 + r1 (satisfaction - 1)) of the
   * session's end: in each third of users by satisfaction within three standard errors, and the
   * most satisfied third more often than the least.
   */
  @Test
  void returningDependsOnHowTheSessionEnded() {
    int count = 12_000;
    double[] end = new double[count];
    boolean[] back = new boolean[count];
    SimulatorRollout rollout = WORLD.rollout(6, new Environment.UserRange(0, count), 2, 64);
    float[] actions = new float[640];
    while (rollout.active() > 0) {
      rollout.serve(actions);
      for (int i = 0; i < rollout.active(); i++) {
        if (rollout.sessions()[i] % 2 == 1) {
          back[rollout.users()[i]] = true;
        } else {
          end[rollout.users()[i]] = rollout.satisfaction(i);
        }
      }
      rollout.advance();
    }
    Integer[] order = new Integer[count];
    Arrays.setAll(order, u -> u);
    Arrays.sort(order, (a, b) -> Double.compare(end[a], end[b]));
    double[] rates = new double[3];
    int third = count / 3;
    for (int t = 0; t < 3; t++) {
      double expected = 0;
      for (int i = t * third; i < (t + 1) * third; i++) {
        double x = WORLD.config().returnIntercept() + end[order[i]] - 1;
        expected += Calibration.sigmoid(x) / third;
        rates[t] += (back[order[i]] ? 1.0 : 0) / third;
      }
      assertThat(rates[t]).isCloseTo(expected, within(3 * Math.sqrt(.25 / third)));
    }
    assertThat(rates[2]).isGreaterThan(rates[0] + .1);
  }

  @Test
  void statesRewardsAndScoresAreSane() {
    for (Row row : log(8, 4, EqualWeights.of(WORLD).action()).values()) {
      assertThat(row.state()).allMatch(x -> x >= -6 && x <= 10);
      assertThat(row.rewards()).allMatch(x -> x >= 0 && x < 100);
      assertThat(row.scores()).allMatch(x -> x > 0 && x <= 1);
    }
  }

  @Test
  void candidatesOfARequestAreDistinct() {
    SimulatorRollout rollout = WORLD.rollout(9, new Environment.UserRange(0, 500), 1, 1);
    float[] action = EqualWeights.of(WORLD).action();
    while (rollout.active() > 0) {
      rollout.serve(action);
      Set<Integer> distinct = new HashSet<>();
      for (int item : rollout.itemsOfLastLane()) {
        distinct.add(item);
      }
      assertThat(distinct).hasSize(40);
      rollout.advance();
    }
  }

  @Test
  void totalsAddUp() {
    float[] action = EqualWeights.of(WORLD).action();
    SimulatorRollout rollout = WORLD.rollout(2, new Environment.UserRange(0, 40), 2, 1);
    double valid = 0;
    double watched = 0;
    double rewards = 0;
    int requests = 0;
    int sessions = 0;
    while (rollout.active() > 0) {
      rollout.serve(action);
      requests++;
      for (int p = 0; p < rollout.pageItems()[0]; p++) {
        valid += rollout.pageResponses()[p * 5];
        watched += rollout.pageResponses()[p * 5 + 1];
      }
      rewards += rollout.rewards()[0] + rollout.rewards()[1];
      sessions += rollout.last()[0] ? 1 : 0;
      rollout.advance();
    }
    UserTotals totals = rollout.totals();
    assertThat(sum(totals.requests())).isEqualTo(requests);
    assertThat(sum(totals.sessions())).isEqualTo(sessions).isGreaterThan(40);
    assertThat(2 * sum(totals.validConsumptions())).isEqualTo(valid);
    assertThat(Math.abs(2 * sum(totals.watchSeconds()) / watched - 1)).isLessThan(1e-6);
    assertThat(Math.abs(sum(totals.returns()) / rewards - 1)).isLessThan(1e-6);
  }

  private static double sum(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum;
  }

  /** Satisfied users stay longer: ranking by their own satisfaction lengthens sessions. */
  @Test
  void leavingDependsOnTheExperience() {
    Environment.UserRange users = new Environment.UserRange(0, 4000);
    float[] worst = new float[10];
    java.util.Arrays.fill(worst, -1); // all powers 0: the first candidates, unranked
    double unranked = sum(ConstantVectorSearch.evaluate(WORLD, worst, 1, users, 1).requests());
    double satisfied =
        sum(
            Oracles.evaluate(WORLD, new Oracles.RequestObjective(new float[5], 1), 1, users, 1)
                .requests());
    assertThat(satisfied).isGreaterThan(1.3 * unranked);
  }

  @Test
  void badInputIsNamed() {
    SimulatorRollout rollout = WORLD.rollout(1, new Environment.UserRange(0, 1), 1, 1);
    float[] action = new float[10];
    action[3] = Float.NaN;
    assertThatThrownBy(() -> rollout.serve(action)).hasMessageContaining("lane 0, dimension 3");
    assertThatThrownBy(() -> SimulatorConfig.defaults().withDials(-1, 0, 0))
        .hasMessageContaining("simulator.value is -1.0");
    assertThatThrownBy(() -> WORLD.rollout(1, WORLD.trainUsers(), 0, 1))
        .hasMessageContaining("days 0");
    assertThat(WORLD.rollout(1, new Environment.UserRange(0, 0), 1, 4).active()).isZero();
  }

  private static SimulatorConfig with(Consumer<ObjectNode> change) {
    ObjectMapper mapper = new ObjectMapper();
    ObjectNode tree = mapper.valueToTree(SimulatorConfig.defaults());
    change.accept(tree);
    return mapper.convertValue(tree, SimulatorConfig.class);
  }

  /** The same behaviours are rewarded, however rewards are grouped. */
  @Test
  void groupsOfRewardsAddUpToTheSame() {
    float[] action = EqualWeights.of(WORLD).action();
    List<SimulatorRollout> rollouts = new ArrayList<>();
    for (int groups = 1; groups <= 3; groups++) {
      int q = groups;
      Simulator world = new Simulator(with(tree -> tree.put("rewardGroups", q)));
      assertThat(world.rewardGroups()).hasSize(groups);
      rollouts.add(world.rollout(3, new Environment.UserRange(0, 50), 1, 1));
    }
    int seen = 0;
    while (rollouts.get(0).active() > 0) {
      rollouts.forEach(rollout -> rollout.serve(action));
      float[] one = rollouts.get(0).rewards();
      float[] two = rollouts.get(1).rewards();
      float[] three = rollouts.get(2).rewards();
      assertThat(two[0] + two[1]).isCloseTo(one[0], within(1e-5f * one[0]));
      assertThat(three[0]).as("time").isEqualTo(two[0]);
      assertThat(three[1] + three[2]).isCloseTo(two[1], within(1e-5f * two[1]));
      float consumption = 0;
      float[] responses = rollouts.get(2).pageResponses();
      for (int p = 0; p < 8; p++) {
        consumption += responses[p * 5] + 0.2f * responses[p * 5 + 2];
      }
      assertThat(three[1]).isCloseTo(consumption, within(1e-5f));
      rollouts.forEach(SimulatorRollout::advance);
      seen++;
    }
    assertThat(seen).isGreaterThan(100);
  }

  @Test
  void anotherDomainIsAnotherConfiguration() {
    List<String> names = List.of("valid_read", "read_seconds", "read_to_end", "like", "share");
    Simulator news =
        new Simulator(
            with(
                tree -> {
                  tree.putPOJO("behaviours", names);
                  tree.putPOJO("rateShifts", List.of(0, 1.0, 0, 1.5));
                  tree.put("durationScale", 0.5);
                }));
    assertThat(news.responseNames()).isEqualTo(names);
    double[] here = rates(WORLD);
    double[] there = rates(news);
    assertThat(there[2]).as("passing the length").isGreaterThan(1.1 * here[2]);
    // Rare: a logit of 1.5 more is 4.5 times as often; among some hundred events.
    assertThat(there[4] / here[4]).isBetween(3.0, 6.0);
    double length = 0;
    for (int item = 0; item < 1000; item++) {
      length += news.duration[item] / WORLD.duration[item] / 1000;
    }
    assertThat(length).isCloseTo(0.5, within(1e-6));
  }

  /** Means of the five behaviours over the pages that some users are shown. */
  private static double[] rates(Simulator world) {
    float[] action = EqualWeights.of(world).action();
    SimulatorRollout rollout = world.rollout(3, new Environment.UserRange(0, 1500), 1, 1);
    double[] sums = new double[5];
    int pages = 0;
    while (rollout.active() > 0) {
      rollout.serve(action);
      for (int r = 0; r < 40; r++) {
        sums[r % 5] += rollout.pageResponses()[r];
      }
      pages++;
      rollout.advance();
    }
    for (int k = 0; k < 5; k++) {
      sums[k] /= 8.0 * pages;
    }
    return sums;
  }

  @Test
  void aDomainThatCannotBeIsRefused() {
    assertThatThrownBy(() -> with(tree -> tree.put("rewardGroups", 4)))
        .hasMessageContaining("simulator.reward_groups is 4; expected 1, 2 or 3");
    assertThatThrownBy(
            () -> with(tree -> tree.putPOJO("behaviours", List.of("a", "b", "c", "d", "e"))))
        .hasMessageContaining("the first of which begins with 'valid'");
    assertThatThrownBy(() -> with(tree -> tree.putPOJO("rateShifts", List.of(1, 2, 3))))
        .hasMessageContaining("simulator.rate_shifts has 3 values");
    assertThatThrownBy(() -> with(tree -> tree.put("durationScale", 0)))
        .hasMessageContaining("simulator.duration_scale is 0.0");
  }
}
