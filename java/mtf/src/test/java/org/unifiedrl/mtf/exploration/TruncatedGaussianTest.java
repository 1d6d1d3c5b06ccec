package org.unifiedrl.mtf.exploration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.FloatRange;
import org.junit.jupiter.api.Test;

class TruncatedGaussianTest {

  /** Midpoint rule: error h^2 f'' / 24, below 1e-5 at 4000 steps for sigma above 0.02. */
  @Property(tries = 100)
  void densityIntegratesToOneOverTheBox(
      @ForAll @FloatRange(min = -1, max = 1) float mean,
      @ForAll @FloatRange(min = 0.02f, max = 2) float sigma,
      @ForAll @FloatRange(min = 0.01f, max = 2) float below,
      @ForAll @FloatRange(min = 0.01f, max = 2) float above) {
    double low = Math.max(mean - below, -1);
    double high = Math.min(mean + above, 1);
    int steps = 4000;
    double width = (high - low) / steps;
    double total = 0;
    for (int i = 0; i < steps; i++) {
      double action = low + (i + 0.5) * width;
      total += Math.exp(TruncatedGaussian.logDensity(action, mean, sigma, low, high)) * width;
    }
    assertThat(total).isCloseTo(1, within(1e-4));
    assertThat(TruncatedGaussian.logDensity(low - 0.01, mean, sigma, low, high))
        .isEqualTo(Double.NEGATIVE_INFINITY);
  }

  /** The density of two dimensions is a density on the plane, edge of the action range included. */
  @Test
  void loggedDensityOfTwoDimensionsIsTheProduct() {
    TruncatedGaussian explorer =
        new TruncatedGaussian(
            new float[] {-0.3f, -0.2f}, new float[] {0.1f, 0.4f}, new float[] {0.2f, 0.1f});
    Draws draws = Draws.of(explorer, 3, 500, 1, new float[] {0.2f, 0.9f});
    for (int i = 0; i < 500; i++) {
      double log = TruncatedGaussian.logDensity(draws.action(i, 0), 0.2f, 0.2f, -0.1f, 0.3f);
      log += TruncatedGaussian.logDensity(draws.action(i, 1), 0.9f, 0.1f, 0.7f, 1);
      assertThat((double) draws.logDensity()[i]).isCloseTo(log, within(2e-5));
    }
    assertThat(draws.low()).startsWith(0.2f - 0.3f, 0.9f - 0.2f);
    assertThat(draws.high()).startsWith(0.2f + 0.1f, 1);
  }

  /** Kolmogorov and Smirnov: sqrt(n) D exceeds 1.95 once in a thousand. The seed is fixed. */
  @Test
  void samplesFollowTheDensity() {
    int n = 20_000;
    for (float[] c :
        new float[][] {
          {0, 0.15f, 0.2f}, {0.95f, 0.3f, 0.1f}, {-1, 0.3f, 0.2f}, {0.2f, 0.5f, 0.05f}
        }) {
      double mean = c[0];
      double sigma = c[2];
      Draws draws =
          Draws.of(TruncatedGaussian.isotropic(1, c[1], c[2]), 11, n, 1, new float[] {c[0]});
      double low = draws.low()[0];
      double high = draws.high()[0];
      double below = Normal.centralMass((low - mean) / sigma);
      double all = Normal.centralMass((high - mean) / sigma) - below;
      double distance =
          Draws.kolmogorov(
              draws.actions(), x -> (Normal.centralMass((x - mean) / sigma) - below) / all);
      assertThat(distance * Math.sqrt(n)).isLessThan(1.95);
      for (float action : draws.actions()) {
        assertThat(action).isBetween((float) low, (float) high);
      }
    }
  }

  @Property(tries = 300)
  void staysInItsBoxWithAFiniteDensity(
      @ForAll long seed,
      @ForAll @FloatRange(min = -1, max = 1) float mean,
      @ForAll @FloatRange(min = -6, max = 0.3f) float logHalfWidth,
      @ForAll @FloatRange(min = -3, max = 2) float logSigma) {
    float halfWidth = Math.max((float) Math.pow(10, logHalfWidth), UniformBox.LEAST);
    float sigma = (float) Math.pow(10, logSigma);
    Draws draws =
        Draws.of(TruncatedGaussian.isotropic(1, halfWidth, sigma), seed, 4, 1, new float[] {mean});
    for (int i = 0; i < 4; i++) {
      assertThat(draws.actions()[i]).isBetween(draws.low()[i], draws.high()[i]).isBetween(-1f, 1f);
      assertThat(draws.low()[i]).isLessThan(draws.high()[i]);
      assertThat(draws.logDensity()[i]).isFinite();
    }
  }

  /** Much wider than the box it is uniform: exp(-(h / sigma)^2 / 2) from it. */
  @Test
  void wideOnesAreUniform() {
    Draws draws = Draws.of(TruncatedGaussian.isotropic(2, 0.15f, 50), 1, 100, 1, new float[2]);
    for (float log : draws.logDensity()) {
      assertThat((double) log).isCloseTo(-2 * Math.log(0.3), within(1e-5));
    }
  }

  @Test
  void badSettingsAreNamed() {
    assertThatThrownBy(() -> TruncatedGaussian.isotropic(2, 0, 0.1f))
        .hasMessageContaining("dimension 0");
    assertThatThrownBy(() -> TruncatedGaussian.isotropic(2, 0.1f, 0)).hasMessageContaining("sigma");
    float[] two = {-0.1f, -0.1f};
    assertThatThrownBy(
            () -> new TruncatedGaussian(two, new float[] {0.1f, 0.1f}, new float[] {0.1f}))
        .hasMessageContaining("1 sigmas");
  }
}
