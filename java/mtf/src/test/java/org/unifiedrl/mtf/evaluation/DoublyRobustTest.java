package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

class DoublyRobustTest {

  private static final PairedBootstrap BOOTSTRAP = new PairedBootstrap(1, 200);
  private static final double NO_CAP = Double.POSITIVE_INFINITY;

  private static final List<Function<PairedBootstrap, DoublyRobust>> ALL =
      List.of(
          DoublyRobust::directMethod,
          b -> DoublyRobust.plain(NO_CAP, b),
          b -> DoublyRobust.selfNormalised(NO_CAP, b),
          b -> DoublyRobust.switching(1.5, b));

  @Test
  void formulasOnThreeSteps() {
    double[] weight = {0.5, 1.2, 4};
    double[] value = {1, 2, 6};
    double[] atLogged = {2, 1, 3};
    double[] atTarget = {1.5, 2.5, 3.5};
    OffPolicyEstimate[] estimates = new OffPolicyEstimate[5];
    for (int e = 0; e < 5; e++) {
      DoublyRobust estimator =
          e < 4 ? ALL.get(e).apply(BOOTSTRAP) : DoublyRobust.plain(2, BOOTSTRAP);
      for (int i = 0; i < 3; i++) {
        estimator.add(weight[i], value[i], atLogged[i], atTarget[i], i / 2);
      }
      estimates[e] = estimator.estimate();
      assertThat(estimates[e].samples()).isEqualTo(3);
      assertThat(estimates[e].units()).isEqualTo(2);
      assertThat(estimates[e].maxWeight()).isEqualTo(4);
    }
    // Residuals -1, 1, 3: weighted -0.5, 1.2, 12; weights sum to 5.7; the model's mean is 2.5.
    assertThat(estimates[0].value()).isCloseTo(2.5, within(1e-15));
    assertThat(estimates[1].value()).isCloseTo(2.5 + 12.7 / 3, within(1e-15));
    assertThat(estimates[2].value()).isCloseTo(2.5 + 12.7 / 5.7, within(1e-15));
    assertThat(estimates[3].value()).isCloseTo(2.5 + 0.7 / 3, within(1e-15));
    assertThat(estimates[4].value()).isCloseTo(2.5 + 6.7 / 3, within(1e-15));
    double all = 5.7 * 5.7 / (0.25 + 1.44 + 16);
    assertThat(estimates[0].ess()).isCloseTo(all, within(1e-12));
    assertThat(estimates[1].ess()).isCloseTo(all, within(1e-12));
    assertThat(estimates[3].ess()).isCloseTo(1.7 * 1.7 / 1.69, within(1e-12));
    assertThat(estimates[4].ess()).isCloseTo(3.7 * 3.7 / 5.69, within(1e-12));
    assertThat(estimates[3].clippedShare()).isCloseTo(1 / 3.0, within(1e-15));
    assertThat(estimates[0].clippedShare()).isZero();
  }

  @Test
  void switchIsTheDirectMethodAtZeroAndDoublyRobustAtInfinity() {
    Random random = new Random(4);
    DoublyRobust none = DoublyRobust.switching(0, BOOTSTRAP);
    DoublyRobust all = DoublyRobust.switching(NO_CAP, BOOTSTRAP);
    DoublyRobust direct = DoublyRobust.directMethod(BOOTSTRAP);
    DoublyRobust plain = DoublyRobust.plain(NO_CAP, BOOTSTRAP);
    for (int i = 0; i < 500; i++) {
      double weight = Math.exp(2 * random.nextGaussian());
      double value = random.nextGaussian();
      double atLogged = random.nextGaussian();
      double atTarget = random.nextGaussian();
      for (DoublyRobust e : List.of(none, all, direct, plain)) {
        e.add(weight, value, atLogged, atTarget, i / 3);
      }
    }
    assertThat(all.estimate()).isEqualTo(plain.estimate());
    assertThat(none.estimate().value()).isEqualTo(direct.estimate().value());
    assertThat(none.estimate().low()).isEqualTo(direct.estimate().low());
    assertThat(none.estimate().high()).isEqualTo(direct.estimate().high());
    assertThat(none.estimate().value()).isNotEqualTo(all.estimate().value());
    // Nothing of the log is in use at 0.
    assertThat(none.estimate().refused()).isTrue();
  }

  /**
   * A log that holds every action exactly as often as its propensity says: with right weights any
   * model gives the truth, and with a right model any weights do.
   */
  @Test
  void exactWhenTheModelOrThePropensitiesAre() {
    double[][] logging = {{0.1, 0.4, 0.5}, {0.6, 0.2, 0.2}};
    double[][] target = {{0.7, 0.2, 0.1}, {0.1, 0.1, 0.8}};
    double[][] reward = {{1, 5, -2}, {4, 0, 3}};
    double truth = 0;
    for (int s = 0; s < 2; s++) {
      for (int a = 0; a < 3; a++) {
        truth += 0.5 * target[s][a] * reward[s][a];
      }
    }
    Random random = new Random(8);
    for (int repeat = 0; repeat < 20; repeat++) {
      double[][] wrong = new double[2][3];
      for (double[] row : wrong) {
        for (int a = 0; a < 3; a++) {
          row[a] = 10 * random.nextGaussian();
        }
      }
      for (int e = 1; e <= 2; e++) { // DR, SNDR
        DoublyRobust rightWeights = ALL.get(e).apply(BOOTSTRAP);
        DoublyRobust rightModel = ALL.get(e).apply(BOOTSTRAP);
        DoublyRobust bothWrong = ALL.get(e).apply(BOOTSTRAP);
        for (int s = 0; s < 2; s++) {
          for (int a = 0; a < 3; a++) {
            for (int i = 0; i < Math.round(10 * logging[s][a]); i++) {
              double weight = target[s][a] / logging[s][a];
              double guess = weight * (0.1 + random.nextDouble());
              double r = reward[s][a];
              rightWeights.add(weight, r, wrong[s][a], dot(target[s], wrong[s]), s);
              rightModel.add(guess, r, r, dot(target[s], reward[s]), s);
              bothWrong.add(guess, r, wrong[s][a], dot(target[s], wrong[s]), s);
            }
          }
        }
        assertThat(rightWeights.estimate().value()).isCloseTo(truth, within(1e-12));
        assertThat(rightModel.estimate().value()).isCloseTo(truth, within(1e-12));
        assertThat(bothWrong.estimate().value()).isNotCloseTo(truth, within(1e-3));
      }
    }
  }

  private static double dot(double[] x, double[] y) {
    return x[0] * y[0] + x[1] * y[1] + x[2] * y[2];
  }

  @Test
  void differenceIsPairedAndRefusedWithItsParts() {
    Random random = new Random(6);
    for (Function<PairedBootstrap, DoublyRobust> kind : ALL) {
      DoublyRobust before = kind.apply(BOOTSTRAP);
      DoublyRobust after = kind.apply(BOOTSTRAP);
      DoublyRobust far = kind.apply(BOOTSTRAP);
      for (int i = 0; i < 2000; i++) {
        double user = i / 4 % 9;
        before.add(1, user, user, user, i / 4);
        after.add(0.5 + random.nextDouble(), user + 0.1, user, user + 0.1, i / 4);
        // Five steps of weight: within the threshold of SWITCH, below one percent of 2,000.
        far.add(i % 400 == 0 ? 1.4 : 0, user, user, user, i / 4);
      }
      Interval difference = after.minus(before);
      double values = after.estimate().value() - before.estimate().value();
      assertThat(difference.mean()).isCloseTo(values, within(1e-12));
      double width = before.estimate().high() - before.estimate().low();
      assertThat(difference.high() - difference.low()).isLessThan(0.1 * width);
      assertThat(far.estimate().refusal().orElseThrow())
          .contains("effective sample size 5.000 of 2000 steps");
      assertThat(far.minus(before).mean()).isNaN();
    }
  }

  @Test
  void refusesBrokenSteps() {
    DoublyRobust estimator = DoublyRobust.plain(NO_CAP, BOOTSTRAP);
    assertThatThrownBy(estimator::estimate).hasMessageContaining("no logged steps");
    assertThatThrownBy(() -> estimator.add(-1, 1, 1, 1, 42)).hasMessageContaining("unit 42");
    assertThatThrownBy(() -> estimator.add(Double.NaN, 1, 1, 1, 4)).hasMessageContaining("NaN");
    assertThatThrownBy(() -> estimator.add(1, 1, NO_CAP, 1, 4)).hasMessageContaining("finite");
    assertThatThrownBy(() -> DoublyRobust.plain(0, BOOTSTRAP)).hasMessageContaining("cap is 0");
    assertThatThrownBy(() -> DoublyRobust.switching(-1, BOOTSTRAP))
        .hasMessageContaining("threshold is -1");
  }
}
