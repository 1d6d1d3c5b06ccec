package org.unifiedrl.mtf.exploration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.exploration.ExplorationEfficiency.Result;

/** The paper's claim, that bounded exploration is 2^10 times as efficient, and what it is of. */
class ExplorationEfficiencyTest {

  private static final int SIZE = 10;
  private static final float[] CENTRE = new float[SIZE];

  private static Result measure(Explorer explorer, int users) {
    return ExplorationEfficiency.measure(explorer, CENTRE, 0.15, users, 10, 1);
  }

  @Test
  void thePapersGaussianPutsOneSampleIn419IntoItsBox() {
    double share = ExplorationEfficiency.gaussianShare(0.2, 0.15, SIZE);
    assertThat(1 / share).isCloseTo(418.9, within(0.1));
    assertThat(Math.log(1 / share) / Math.log(2)).isCloseTo(8.71, within(0.01));

    Result gaussian = measure(Gaussian.isotropic(SIZE, 0.2f), 100_000);
    assertThat(gaussian.samples()).isEqualTo(1_000_000);
    assertThat(gaussian.standardError() / share).isLessThan(0.03);
    assertThat(gaussian.share()).isCloseTo(share, within(4 * gaussian.standardError()));
    assertThat(gaussian.deviation()[3]).isCloseTo(0.2, within(0.001));

    Result box = measure(UniformBox.symmetric(SIZE, 0.15f), 1_000);
    assertThat(box.share()).isEqualTo(1);
    assertThat(box.volume()).isCloseTo(Math.pow(0.3, SIZE), within(1e-15));
    assertThat(box.density()).isCloseTo(1 / Math.pow(0.3, SIZE), within(1e-3));
    assertThat(box.times(gaussian)).isCloseTo(418.9, within(418.9 * 0.1));
  }

  /** A smaller variance, not the box's shape, is most of it: 2.4 is left of the factor. */
  @Test
  void atEqualVarianceTheBoxGainsAFactorOfTwo() {
    Result box = measure(UniformBox.symmetric(SIZE, 0.15f), 10_000);
    assertThat(box.deviation()[0]).isCloseTo(0.15 / Math.sqrt(3), within(0.001));
    double share = ExplorationEfficiency.gaussianShare(0.15 / Math.sqrt(3), 0.15, SIZE);
    assertThat(1 / share).isCloseTo(2.39, within(0.01));
    Result control = measure(box.control(), 10_000);
    // Measured deviations are 0.3 % off at most, which moves the share by as many percent.
    assertThat(control.share()).isCloseTo(share, within(0.02));
    assertThat(box.times(control)).isCloseTo(2.39, within(0.12));
  }

  @Test
  void everyExplorerOfTheBoxIsInsideAndOrnsteinUhlenbeckIsAsTheGaussian() {
    assertThat(measure(SobolBox.symmetric(SIZE, 0.15f), 500).share()).isEqualTo(1);
    Result truncated = measure(TruncatedGaussian.isotropic(SIZE, 0.15f, 0.1f), 500);
    assertThat(truncated.share()).isEqualTo(1);
    assertThat(truncated.deviation()[0]).isLessThan(0.15 / Math.sqrt(3));
    Result ou = measure(OrnsteinUhlenbeck.isotropic(SIZE, 0.1f, 0.85), 20_000);
    double share = ExplorationEfficiency.gaussianShare(0.1, 0.15, SIZE);
    // A session's ten requests count as one sample at worst.
    assertThat(ou.share()).isCloseTo(share, within(4 * Math.sqrt(10) * ou.standardError()));
  }

  @Test
  void theRegionEndsAtTheActionRange() {
    float[] edge = {1};
    Result box =
        ExplorationEfficiency.measure(UniformBox.symmetric(1, 0.3f), edge, 0.15, 4_000, 1, 1);
    assertThat(box.volume()).isCloseTo(0.15, within(1e-12));
    assertThat(box.share()).isCloseTo(0.5, within(5 * box.standardError()));
    Result other =
        ExplorationEfficiency.measure(UniformBox.symmetric(1, 0.3f), edge, 0.1, 10, 1, 1);
    assertThatThrownBy(() -> box.times(other)).hasMessageContaining("regions differ");
    assertThatThrownBy(
            () ->
                ExplorationEfficiency.measure(UniformBox.symmetric(2, 0.3f), edge, 0.15, 10, 1, 1))
        .hasMessageContaining("expected 2 values");
  }
}
