package org.unifiedrl.mtf.baseline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.baseline.GaussianProcess.Posterior;

class ExpectedImprovementTest {

  /** Integral of max(f - f*, 0) over the density, by the midpoint rule from f* on. */
  @Property(tries = 200)
  void isTheIntegral(
      @ForAll @DoubleRange(min = -3, max = 3) double mean,
      @ForAll @DoubleRange(min = 0.05, max = 2) double deviation,
      @ForAll @DoubleRange(min = -3, max = 3) double incumbent) {
    double end = Math.max(incumbent, mean) + 9 * deviation;
    int steps = 20_000;
    double width = (end - incumbent) / steps;
    double sum = 0;
    for (int i = 0; i < steps; i++) {
      double f = incumbent + (i + 0.5) * width;
      double z = (f - mean) / deviation;
      sum += (f - incumbent) * Math.exp(-0.5 * z * z) * width;
    }
    double integral = sum / (deviation * Math.sqrt(2 * Math.PI));
    assertThat(ExpectedImprovement.of(new Posterior(mean, deviation), incumbent))
        .isCloseTo(integral, within(1e-6));
  }

  @Test
  void certaintyPromisesItsGainOrNothing() {
    assertThat(ExpectedImprovement.of(new Posterior(2, 0), 1.5)).isEqualTo(0.5);
    assertThat(ExpectedImprovement.of(new Posterior(1, 0), 1.5)).isZero();
    assertThat(ExpectedImprovement.of(new Posterior(-100, 1), 0)).isZero();
  }

  /** 1 - sd of noise / sd of an observation: 1 - 0.4 / 0.5 here. */
  @Test
  void noiseTakesWhatAnObservationWouldNotTeach() {
    Posterior posterior = new Posterior(0.2, 0.3);
    double plain = ExpectedImprovement.of(posterior, 0.1);
    assertThat(ExpectedImprovement.augmented(posterior, 0.1, 0.16))
        .isCloseTo(plain * (1 - 0.4 / 0.5), within(1e-12));
    assertThat(ExpectedImprovement.augmented(posterior, 0.1, 0)).isEqualTo(plain);
    assertThat(ExpectedImprovement.augmented(new Posterior(0.2, 0), 0.1, 0.16)).isZero();
  }
}
