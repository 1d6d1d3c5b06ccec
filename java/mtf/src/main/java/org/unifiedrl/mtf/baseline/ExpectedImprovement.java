package org.unifiedrl.mtf.baseline;

import org.unifiedrl.mtf.baseline.GaussianProcess.Posterior;
import org.unifiedrl.mtf.exploration.Normal;

/** How much a trial promises. Pure functions. */
final class ExpectedImprovement {

  private ExpectedImprovement() {}

  /**
   * E[max(f - incumbent, 0)] of a normal value f: {@code (m - f*) Phi(Z) + s phi(Z)}, {@code Z = (m
   * - f*) / s} (specification section 7).
   */
  static double of(Posterior posterior, double incumbent) {
    double gain = posterior.mean() - incumbent;
    double deviation = posterior.deviation();
    if (deviation <= 0) {
      return Math.max(gain, 0);
    }
    double z = gain / deviation;
    double density = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
    return Math.max(gain * Math.exp(Normal.logCdf(z)) + deviation * density, 0);
  }

  /**
   * Augmented expected improvement: less where a noisy observation would teach little, because the
   * point is well known already (Huang, Allen, Notz and Zeng, "Global optimization of stochastic
   * black-box systems via sequential kriging meta-models", 2006).
   *
   * @param noise variance of an observation's error
   */
  static double augmented(Posterior posterior, double incumbent, double noise) {
    double variance = posterior.deviation() * posterior.deviation();
    if (noise <= 0) {
      return of(posterior, incumbent);
    }
    return of(posterior, incumbent) * (1 - Math.sqrt(noise / (noise + variance)));
  }
}
