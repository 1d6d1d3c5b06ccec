package org.unifiedrl.mtf.study;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class HolmTest {

  /**
   * By hand: sorted .005, .01, .03, .04 times 4, 3, 2, 1 = .02, .03, .06, .04, then not falling.
   */
  @Test
  void stepsDown() {
    assertThat(Holm.correct(new double[] {0.01, 0.04, 0.03, 0.005}))
        .containsExactly(new double[] {0.03, 0.06, 0.06, 0.02}, within(1e-15));
  }

  @Test
  void probabilitiesStayProbabilities() {
    assertThat(Holm.correct(new double[] {0.6, 0.9})).containsExactly(1, 1);
  }

  @Test
  void whatWasNotTestedDoesNotCount() {
    double[] corrected = Holm.correct(new double[] {Double.NaN, 0.02, 0.03});
    assertThat(corrected[0]).isNaN();
    assertThat(corrected[1]).isCloseTo(0.04, within(1e-15));
    assertThat(corrected[2]).isCloseTo(0.04, within(1e-15)); // 0.03, but not below the one before
  }
}
