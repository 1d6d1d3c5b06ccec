package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.baseline.ConstantVectorSearch;
import org.unifiedrl.mtf.baseline.EqualWeights;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Simulator;
import org.unifiedrl.mtf.session.SimulatorConfig;
import org.unifiedrl.mtf.session.UserTotals;

class HeadroomTest {

  /** One budget for all worlds, so that what one dial shows is not what another budget finds. */
  private static final ConstantVectorSearch.Settings SEARCH =
      new ConstantVectorSearch.Settings(
          16, 4, 4, 250, 1, 0.5, 3, ConstantVectorSearch.Objective.VALID_CONSUMPTIONS);

  /** Lift of the action oracle over the best constant vector, on many users that neither met. */
  private static Interval personalGain(double value, double reliability, double hidden) {
    return personalGain(value, reliability, hidden, SEARCH);
  }

  private static Interval personalGain(
      double value, double reliability, double hidden, ConstantVectorSearch.Settings settings) {
    Simulator world =
        new Simulator(SimulatorConfig.defaults().withDials(value, reliability, hidden));
    Oracles.Vectors found =
        Oracles.search(world, EqualWeights.of(world).action(), 2, settings, done -> {});
    Environment.UserRange judged = world.judgeUsers().slice(0, 40_000);
    UserTotals constant = ConstantVectorSearch.evaluate(world, found.constant(), 4, judged, 1);
    UserTotals personal = Oracles.evaluate(world, found.personal(), 4, judged, 1);
    Interval lift =
        new PairedBootstrap(1, 500)
            .lift(constant.validConsumptions(), personal.validConsumptions());
    System.out.printf("dials %.0f %.0f %.0f: %s%n", value, reliability, hidden, lift);
    return lift;
  }

  /**
   * Without dials nothing distinguishes users but luck, so personal vectors gain nothing: the whole
   * interval is below half a percent, a tenth of what value or hidden state bring.
   */
  @Test
  void withoutDialsPersonalVectorsGainNothing() {
    Interval lift = personalGain(0, 0, 0);
    assertThat(lift.low()).isLessThanOrEqualTo(0);
    assertThat(lift.high()).isLessThan(0.5);
  }

  @Test
  void differentValuesMakeRoom() {
    assertThat(personalGain(3, 0, 0).low()).isPositive();
  }

  /** The least of the three, so it takes twice the rounds to be found. */
  @Test
  void unevenReliabilityMakesRoom() {
    ConstantVectorSearch.Settings longer =
        new ConstantVectorSearch.Settings(
            16, 4, 8, 250, 1, 0.5, 3, ConstantVectorSearch.Objective.VALID_CONSUMPTIONS);
    assertThat(personalGain(0, 3, 0, longer).low()).isPositive();
  }

  /** At 1: at 3 the best constant vector is far from the start and takes a longer search. */
  @Test
  void hiddenStateMakesRoom() {
    assertThat(personalGain(0, 0, 1).low()).isPositive();
  }

  @Test
  void yardsticksAreInOrderAndRegretIsMeasuredAgainstThem() {
    Simulator world = new Simulator();
    Headroom headroom =
        Headroom.measure(
            world,
            SEARCH,
            new AbTest.Settings(4, world.judgeUsers().slice(0, 6_000), 1, 2, 64, 500),
            done -> {});
    System.out.println(headroom);
    assertThat(headroom.constantOverEqual().low()).isPositive();
    assertThat(headroom.oracleOverConstant().low()).isPositive();
    assertThat(headroom.requestOracle()).isGreaterThan(headroom.actionOracle());
    Headroom.Regret regret =
        headroom.regret(() -> new ConstantPolicy(world.stateSize(), headroom.constantVector()));
    assertThat(regret.overBestConstant()).isEqualTo(new Interval(0, 0, 0));
    assertThat(regret.overActionOracle()).isEqualTo(headroom.oracleOverConstant());
    assertThat(regret.overRequestOracle()).isEqualTo(headroom.requestOverConstant());
  }
}
