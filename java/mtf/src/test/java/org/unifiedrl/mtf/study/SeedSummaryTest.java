package org.unifiedrl.mtf.study;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class SeedSummaryTest {

  /** Values of scipy 1.17: stats.ttest_1samp(x, 0) and its confidence interval. */
  @Test
  void isTheOneSampleTTest() {
    SeedSummary summary = SeedSummary.of(1.2, -0.4, 3.1, 2.2, 0.9);
    assertThat(summary.seeds()).isEqualTo(5);
    assertThat(summary.mean()).isCloseTo(1.4, within(1e-15));
    assertThat(summary.low()).isCloseTo(-0.24959162826088765, within(1e-10));
    assertThat(summary.high()).isCloseTo(3.0495916282608873, within(1e-10));
    assertThat(summary.p()).isCloseTo(0.07797242810933054, within(1e-14));
    // By hand: squares .04 + 3.24 + 2.89 + .64 + .25 = 7.06, over 4.
    assertThat(summary.deviation()).isCloseTo(Math.sqrt(7.06 / 4), within(1e-15));
  }

  @Test
  void oneSeedSaysNothingOfOtherSeeds() {
    SeedSummary one = SeedSummary.of(2.5);
    assertThat(one.mean()).isEqualTo(2.5);
    assertThat(one.low()).isNaN();
    assertThat(one.p()).isNaN();
  }

  @Test
  void refusedSeedsDoNotCount() {
    SeedSummary two = SeedSummary.of(1, Double.NaN, 3);
    assertThat(two.seeds()).isEqualTo(2);
    assertThat(two.mean()).isEqualTo(2);
    assertThat(SeedSummary.of(Double.NaN).seeds()).isZero();
    assertThat(SeedSummary.of(Double.NaN).mean()).isNaN();
  }

  @Test
  void seedsThatAgreeToTheLastBitHaveNoTest() {
    assertThat(SeedSummary.of(1, 1, 1).p()).isNaN();
  }
}
