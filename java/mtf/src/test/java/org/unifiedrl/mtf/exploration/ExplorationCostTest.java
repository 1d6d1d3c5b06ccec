package org.unifiedrl.mtf.exploration;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.baseline.ConstantVectorSearch;
import org.unifiedrl.mtf.baseline.EqualWeights;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.evaluation.PairedBootstrap;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.Simulator;

/**
 * What exploration costs its users. The paper's gain of bounded over Gaussian exploration must not
 * be read as one of shape: its box of +-0.15 has a standard deviation of 0.087, its Gaussian 0.2.
 */
class ExplorationCostTest {

  private static final Simulator WORLD = new Simulator();
  private static final UserRange USERS = WORLD.judgeUsers().slice(0, 20_000);

  private static double[] returns(Explorer explorer, float[] centre) {
    int size = WORLD.actionSize();
    int lanes = 64;
    float[] baseline = new float[lanes * size];
    for (int lane = 0; lane < lanes; lane++) {
      System.arraycopy(centre, 0, baseline, lane * size, size);
    }
    float[] actions = baseline.clone();
    Rollout rollout = WORLD.rollout(4, USERS, 1, lanes);
    while (rollout.active() > 0) {
      if (explorer != null) {
        explorer.explore(
            4,
            rollout.users(),
            rollout.sessions(),
            rollout.times(),
            rollout.active(),
            baseline,
            actions,
            new float[lanes * size],
            new float[lanes * size],
            new float[lanes]);
      }
      rollout.serve(actions);
      rollout.advance();
    }
    return rollout.totals().returns();
  }

  @Test
  void atEqualVarianceShapeCostsNothingAndASmallerBoxCostsLess() {
    // A good vector, away from the edges, where clipping would change the variances.
    float[] centre =
        ConstantVectorSearch.search(
                WORLD,
                EqualWeights.of(WORLD).action(),
                new ConstantVectorSearch.Settings(
                    16, 4, 8, 500, 1, 0.5, 2, ConstantVectorSearch.Objective.RETURN),
                (generation, best, requests) -> {})
            .action();
    for (int k = 0; k < centre.length; k++) {
      centre[k] = Math.max(-0.4f, Math.min(0.4f, centre[k]));
    }
    float halfWidth = 0.45f;
    int size = centre.length;
    double[] none = returns(null, centre);
    double[] small = returns(UniformBox.symmetric(size, halfWidth / 3), centre);
    double[] box = returns(UniformBox.symmetric(size, halfWidth), centre);
    float sigma = (float) (halfWidth / Math.sqrt(3));
    double[] normal = returns(Gaussian.isotropic(size, sigma), centre);
    PairedBootstrap bootstrap = new PairedBootstrap(1, 1_000);
    Interval smallLoss = bootstrap.lift(none, small);
    Interval boxLoss = bootstrap.lift(none, box);
    Interval normalLoss = bootstrap.lift(none, normal);
    System.out.printf(
        "cost of exploring, %% of the return: box +-0.15 %s, box +-0.45 %s, normal %s%n",
        smallLoss, boxLoss, normalLoss);
    assertThat(boxLoss.high()).as("exploring widely costs").isNegative();
    assertThat(boxLoss.low()).isLessThan(normalLoss.high());
    assertThat(normalLoss.low()).isLessThan(boxLoss.high());
    assertThat(bootstrap.lift(box, small).above(0)).as("the smaller box loses less").isTrue();
    double[] wide = returns(Gaussian.isotropic(size, 2 * sigma), centre);
    assertThat(bootstrap.lift(wide, box).above(0))
        .as("a normal of twice the deviation loses more")
        .isTrue();
  }
}
