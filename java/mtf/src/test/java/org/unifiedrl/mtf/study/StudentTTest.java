package org.unifiedrl.mtf.study;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StudentTTest {

  /** Values of scipy 1.17: 2 * stats.t.sf(t, freedom). */
  @ParameterizedTest
  @CsvSource({
    "1, 0.1, 0.936548965138893",
    "1, 1, 0.5",
    "1, 12, 0.052929352119179755",
    "2, 0.1, 0.9294654384141402",
    "2, 2.5, 0.12961172022151082",
    "3, 1, 0.3910022189557705",
    "3, 12, 0.0012450158007893362",
    "4, 2.5, 0.06676654481198814",
    "9, 2.5, 0.033861827682985735",
    "9, 12, 7.699886222985653e-07",
    "30, 1, 0.3253086154260302",
    "30, 12, 5.580185415199261e-13"
  })
  void tailsAreThoseOfAnIndependentImplementation(int freedom, double t, double p) {
    // The tail is 1 minus a sum of about 1: its error is a few units of 1e-16, not relative.
    assertThat(StudentT.twoSided(t, freedom)).isCloseTo(p, within(2e-15));
    assertThat(StudentT.twoSided(-t, freedom)).isEqualTo(StudentT.twoSided(t, freedom));
  }

  /** Values of scipy 1.17: stats.t.isf(0.025, freedom). */
  @ParameterizedTest
  @CsvSource({
    "1, 12.706204736174705",
    "2, 4.302652729749464",
    "3, 3.1824463052837086",
    "4, 2.7764451051977943",
    "9, 2.2621571627982053",
    "30, 2.042272456301238"
  })
  void quantilesAreThoseOfAnIndependentImplementation(int freedom, double t) {
    assertThat(StudentT.critical(0.05, freedom)).isCloseTo(t, within(1e-11 * t));
  }

  @Test
  void atNothingNothingIsSignificant() {
    assertThat(StudentT.twoSided(0, 1)).isEqualTo(1);
    assertThat(StudentT.twoSided(0, 2)).isEqualTo(1);
    assertThat(StudentT.twoSided(1e9, 5)).isBetween(0.0, 1e-15);
  }
}
