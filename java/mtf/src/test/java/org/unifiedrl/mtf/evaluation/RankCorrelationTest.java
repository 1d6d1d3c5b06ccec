package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class RankCorrelationTest {

  /** Ten policies, the first of which is put third. */
  @Test
  void intervalFollowsBonettAndWright() {
    double[] truths = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    double[] estimates = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    estimates[0] = 3.5; // ranks 3, 1, 2 for 1, 2, 3: rho = 1 - 6 * 6 / 990
    double rho = 1 - 36 / 990.0;
    double half = 1.959963984540054 * Math.sqrt((1 + rho * rho / 2) / 7);
    double centre = 0.5 * Math.log((1 + rho) / (1 - rho));
    Interval interval = RankCorrelation.spearmanInterval(estimates, truths);
    assertThat(interval.mean()).isCloseTo(rho, within(1e-12));
    assertThat(interval.low()).isCloseTo(Math.tanh(centre - half), within(1e-12));
    assertThat(interval.high()).isCloseTo(Math.tanh(centre + half), within(1e-12));
    Interval perfect = RankCorrelation.spearmanInterval(truths, truths);
    assertThat(perfect.mean()).isEqualTo(1);
    assertThat(perfect.high()).isEqualTo(1);
    assertThat(perfect.low()).isBetween(0.8, 1.0);
    double[] reversed = Arrays.stream(truths).map(t -> -t).toArray();
    Interval turned = RankCorrelation.spearmanInterval(reversed, truths);
    assertThat(turned).isEqualTo(new Interval(-1, -1, -perfect.low()));
    assertThat(RankCorrelation.spearmanInterval(new double[4], new double[4]).mean()).isNaN();
  }

  @Test
  void rankCorrelationKnowsTiesAndOrder() {
    double[] truth = {1, 2, 3, 4, 5};
    assertThat(RankCorrelation.spearman(new double[] {10, 20, 30, 40, 50}, truth)).isEqualTo(1);
    assertThat(RankCorrelation.spearman(new double[] {5, 4, 3, 2, 1}, truth)).isEqualTo(-1);
    // 1 - 6 SUM d^2 / (n (n^2 - 1)) with d = 1, 1, 0, 0, 0.
    assertThat(RankCorrelation.spearman(new double[] {2, 1, 3, 4, 5}, truth))
        .isCloseTo(0.9, within(1e-15));
    assertThat(RankCorrelation.spearman(new double[] {1, 1, 1, 1, 1}, truth)).isNaN();
    double[] broken = Arrays.copyOf(truth, 5);
    broken[2] = Double.NaN;
    assertThatThrownBy(() -> RankCorrelation.spearman(broken, truth)).hasMessageContaining("NaN");
  }
}
