package org.unifiedrl.mtf.exploration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import org.junit.jupiter.api.Test;

class NormalTest {

  @Test
  void centralMassesMatchPublishedValues() {
    assertThat(Normal.centralMass(0)).isZero();
    assertThat(Normal.centralMass(1)).isCloseTo(0.3413447460685429, within(1e-15));
    assertThat(Normal.centralMass(-1.96)).isCloseTo(-0.4750021048517795, within(1e-13));
    assertThat(Normal.centralMass(5)).isCloseTo(0.5 - 2.866515718791939e-7, within(1e-15));
    assertThat(Normal.centralMass(3.0000001))
        .isCloseTo(Normal.centralMass(2.9999999), within(1e-8));
    // A tiny interval keeps its digits: pdf(0) times its width.
    assertThat(Normal.centralMass(1e-9) * 1e9).isCloseTo(0.3989422804014327, within(1e-13));
  }

  @Test
  void massesOfIntervalsKeepTheirDigitsInTheTails() {
    // ln(Phi(-10) - Phi(-11)), ln(Phi(-40) - Phi(-41)) and ln(Phi(1) - Phi(-2)) by 50 digits.
    assertThat(Normal.logMass(-11, -10)).isCloseTo(-53.23131022558313, within(1e-10));
    assertThat(Normal.logMass(40, 41)).isCloseTo(-804.6084420137538, within(1e-10));
    assertThat(Normal.logMass(-2, 1)).isCloseTo(-0.2001662943244626, within(1e-13));
    // Both ways of computing it, left and right of where they meet.
    assertThat(Normal.logMass(-3.2, -3 - 1e-9))
        .isCloseTo(Normal.logMass(-3.2, -3 + 1e-9), within(1e-7));
    assertThat(Normal.logMass(-Double.MAX_VALUE, 5)).isCloseTo(Normal.logCdf(5), within(1e-15));
  }

  /** The mass's error of 1e-16 is an error of 1e-16 / pdf(x) in x. */
  @Property(tries = 2000)
  void quantileInvertsTheMass(@ForAll @DoubleRange(min = -6, max = 6) double x) {
    double error = 1e-13 * Math.abs(x) + 3e-16 * Math.exp(-Normal.logDensity(x));
    assertThat(Normal.ofCentralMass(Normal.centralMass(x))).isCloseTo(x, within(error));
  }
}
