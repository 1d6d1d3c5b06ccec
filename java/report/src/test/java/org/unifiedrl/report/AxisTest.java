package org.unifiedrl.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class AxisTest {

  @Test
  void ticksAreRoundAndFew() {
    assertThat(Axis.linear(0, 1500, 0, 300, 4).ticks()).containsExactly(0.0, 500.0, 1000.0, 1500.0);
    assertThat(Axis.linear(-1.25, 1.25, 0, 1, 5).ticks())
        .containsExactly(-1.0, -0.5, 0.0, 0.5, 1.0);
    assertThat(Axis.logarithmic(0.02, 50, 0, 1).ticks())
        .usingElementComparator((a, b) -> Math.abs(a / b - 1) < 1e-12 ? 0 : 1)
        .containsExactly(0.01, 0.1, 1.0, 10.0, 100.0);
  }

  @Test
  void numbersStandWhereTheyBelongAndThoseBeyondAtTheEnd() {
    Axis upwards = Axis.linear(0, 10, 200, 0, 5);
    assertThat(upwards.at(2.5)).isCloseTo(150, within(1e-9));
    assertThat(upwards.at(20)).isZero();
    assertThat(upwards.holds(20)).isFalse();
    assertThat(upwards.holds(10)).isTrue();
    assertThat(Axis.logarithmic(1, 100, 0, 200).at(10)).isCloseTo(100, within(1e-9));
  }

  @Test
  void aSingleNumberHasAnAxis() {
    Axis axis = Axis.linear(3, 3, 0, 100, 5);
    assertThat(axis.at(3)).isCloseTo(50, within(1e-9));
    assertThat(axis.ticks()).isNotEmpty();
  }

  @Test
  void ticksAreShort() {
    assertThat(Numbers.tick(12_500)).isEqualTo("12.5k");
    assertThat(Numbers.tick(0.1 + 0.2)).isEqualTo("0.3");
    assertThat(Numbers.tick(2e-5)).isEqualTo("2e-5");
    assertThat(Numbers.tick(-0.0)).isEqualTo("0");
    assertThat(Numbers.text(1234567)).isEqualTo("1,234,567");
    assertThat(Numbers.text(Double.NaN)).isEqualTo("not known");
  }
}
