package org.unifiedrl.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class PhiloxTest {

  /** Known answers published with Random123 (kat_vectors, philox4x32 10 rounds). */
  @Test
  void publishedKnownAnswers() {
    assertBlock(0L, 0L, 0L, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
    assertBlock(-1L, -1L, -1L, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
    assertBlock(
        0x299f31d0a4093822L,
        0x0370734413198a2eL,
        0x85a308d3243f6a88L,
        0xd16cfe09,
        0x94fdcceb,
        0x5001e420,
        0x24126ea1);
  }

  private static void assertBlock(long key, long high, long low, int... expected) {
    int[] words = new int[6];
    Philox.block(key, high, low, words, 1);
    assertThat(words).containsExactly(0, expected[0], expected[1], expected[2], expected[3], 0);
    assertThat(Philox.bits(key, high, low))
        .isEqualTo((expected[0] & 0xFFFFFFFFL) | ((long) expected[1] << 32));
  }

  @Test
  void uniformRangesAreHalfOpenAndOpen() {
    assertThat(Philox.uniformFloat(0)).isZero();
    assertThat(Philox.uniformFloat(-1)).isLessThan(1f).isEqualTo(1f - 0x1p-24f);
    assertThat(Philox.openFloat(0)).isEqualTo(0x1p-24f);
    assertThat(Philox.openFloat(-1)).isEqualTo(1f - 0x1p-24f);
    assertThat(Philox.uniformDouble(0)).isZero();
    assertThat(Philox.uniformDouble(-1)).isEqualTo(1 - 0x1p-53);
    assertThat(Philox.openDouble(0)).isEqualTo(0x1p-53);
    assertThat(Philox.openDouble(-1)).isEqualTo(1 - 0x1p-53);
  }

  /** n = 200,000: five standard errors of each sample moment. */
  @Test
  void momentsOfUniformAndNormal() {
    int n = 200_000;
    double uniformSum = 0;
    double sum = 0;
    double squares = 0;
    double fourth = 0;
    for (int i = 0; i < n; i++) {
      uniformSum += Philox.uniform(7, 3, i);
      double z = Philox.normal(7, 4, i);
      sum += z;
      squares += z * z;
      fourth += z * z * z * z;
    }
    assertThat(uniformSum / n).isCloseTo(0.5, within(5 * Math.sqrt(1.0 / 12 / n)));
    assertThat(sum / n).isCloseTo(0, within(5 * Math.sqrt(1.0 / n)));
    assertThat(squares / n).isCloseTo(1, within(5 * Math.sqrt(2.0 / n)));
    assertThat(fourth / n).isCloseTo(3, within(5 * Math.sqrt(96.0 / n)));
  }

  @Test
  void extremeNormalsAreFinite() {
    assertThat(Philox.normal(0, 0)).isCloseTo(Math.sqrt(48 * Math.log(2)), within(1e-6));
    assertThat(Philox.normal(-1, -1)).isFinite();
  }
}
