package org.unifiedrl.mtf.fusion;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class FastMathTest {

  @Test
  void logarithmHoldsItsStatedError() {
    for (float x = 1.2e-38f; x < 3e38f; x *= 1.00037f) {
      double exact = Math.log(x);
      assertThat((double) FastMath.log(x))
          .isCloseTo(exact, within(2e-7 + 2 * Math.ulp((float) exact)));
    }
    assertThat(FastMath.log(1)).isZero();
  }

  @Test
  void exponentialAndLogisticHoldTheirStatedErrors() {
    for (float x = -87; x <= 87; x += 0.00371f) {
      double exact = Math.exp(x);
      assertThat(FastMath.exp(x) / exact).isCloseTo(1, within(3e-7));
      assertThat(FastMath.sigmoid(x) * (1 + Math.exp(-x))).isCloseTo(1, within(1e-6));
    }
    assertThat(FastMath.exp(0)).isEqualTo(1);
    assertThat(FastMath.exp(1000)).isFinite();
    assertThat(FastMath.exp(-1000)).isPositive();
    assertThat(FastMath.exp(Float.NaN)).isNaN();
  }
}
