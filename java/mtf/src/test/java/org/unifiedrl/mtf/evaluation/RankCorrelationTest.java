package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class RankCorrelationTest {

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
