package org.unifiedrl.mtf.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.baseline.ConstantVectorSearch;
import org.unifiedrl.mtf.baseline.EqualWeights;

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

  @Test
  void twoPoliciesMeetTheSameUsersAndCandidates() {
    Map<String, Row> one = log(8, 1, EqualWeights.of(WORLD).action());
    Map<String, Row> other = log(8, 1, new float[10]);
    int first = 0;
    for (Map.Entry<String, Row> entry : one.entrySet()) {
      Row row = other.get(entry.getKey());
      if (row != null && row.state().equals(entry.getValue().state())) {
        assertThat(row.scores()).isEqualTo(entry.getValue().scores());
        first++;
      }
    }
    assertThat(first).as("every user's first request").isGreaterThanOrEqualTo(60);
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
    double satisfied = sum(Oracles.evaluateByTrueValue(WORLD, 8, 1, users, 1).requests());
    assertThat(satisfied).isGreaterThan(1.3 * unranked);
  }

  /**
   * With all dials at 0 the best constant vector is optimal for the return: no vector per segment
   * and hidden bucket, searched on training users, beats it on judged users beyond noise.
   */
  @Test
  void withoutDialsNoPersonalOracleBeatsTheBestConstant() {
    Simulator plain = new Simulator(SimulatorConfig.defaults().withDials(0, 0, 0));
    // Near-linear fusion of calibrated scores in the reward's proportions: Bayes' ranking.
    float[] linear = new float[10];
    double[] rewards = {1, 0.01 * Simulator.WATCH_UNIT, 0.2, 1, 2};
    for (int i = 0; i < 5; i++) {
      linear[i] = (float) plain.actionMap().actionOfPower(i, 1.5 * rewards[i]);
      linear[5 + i] = 1;
    }
    // That ranking is optimal up to the curvature of the logarithm and the nesting of finish and
    // valid; a search from it removes what a constant vector can remove of those.
    ConstantVectorSearch.Settings search =
        new ConstantVectorSearch.Settings(
            16, 4, 5, 1800, 1, 0.2, 3, ConstantVectorSearch.Objective.RETURN);
    float[] constant =
        ConstantVectorSearch.search(plain, linear, search, (g, best, requests) -> {}).action();
    ConstantVectorSearch.Settings settings =
        new ConstantVectorSearch.Settings(
            16, 4, 3, 600, 1, 0.2, 3, ConstantVectorSearch.Objective.RETURN);
    float[][][] oracle = Oracles.actionOracle(plain, constant, 2, settings);
    Environment.UserRange judged = plain.judgeUsers().slice(0, 12_000);
    Oracles.Lift lift =
        Oracles.lift(
            Oracles.evaluate(plain, oracle, 4, judged, 1).returns(),
            ConstantVectorSearch.evaluate(plain, constant, 4, judged, 1).returns(),
            1);
    System.out.println("dials 0, personal oracle over the best constant: " + lift);
    assertThat(lift.low()).isLessThanOrEqualTo(0);
  }

  @Test
  void dialsMakeRoomForPersonalFusion() {
    ConstantVectorSearch.Settings settings =
        new ConstantVectorSearch.Settings(
            16, 4, 4, 400, 1, 0.4, 3, ConstantVectorSearch.Objective.VALID_CONSUMPTIONS);
    Oracles.Headroom headroom = Oracles.headroom(WORLD, settings, 6_000, 1);
    System.out.println(headroom);
    assertThat(headroom.oracleOverConstant().low()).isPositive();
    assertThat(headroom.requestOracle()).isGreaterThan(headroom.actionOracle());
  }

  @Test
  void badInputIsNamed() {
    SimulatorRollout rollout = WORLD.rollout(1, new Environment.UserRange(0, 1), 1, 1);
    float[] action = new float[10];
    action[3] = Float.NaN;
    assertThatThrownBy(() -> rollout.serve(action)).hasMessageContaining("lane 0, dimension 3");
    assertThatThrownBy(() -> SimulatorConfig.defaults().withDials(-1, 0, 0))
        .hasMessageContaining("value is -1.0");
    assertThatThrownBy(() -> WORLD.rollout(1, WORLD.trainUsers(), 0, 1))
        .hasMessageContaining("days 0");
    assertThat(WORLD.rollout(1, new Environment.UserRange(0, 0), 1, 4).active()).isZero();
  }
}
