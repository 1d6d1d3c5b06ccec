package org.unifiedrl.mtf.fusion;

/**
 * Map between a normalised action in [-1, 1]^2k and the k powers and k biases of the fusion formula
 * (specification 1.3, Eq. 1): dimension i sets power i, dimension k + i sets bias i.
 *
 * <p>The paper does not give the map. Powers are affine in the action; biases are exponential,
 * since a bias matters relative to the score it is added to, which spans decades.
 */
public final class ActionMap {

  private final double[] powerLow;
  private final double[] powerHigh;
  private final double[] biasLow;
  private final double[] biasHigh;
  private final double[] logBiasLow;
  private final double[] logBiasHigh;

  /**
   * Creates a map for k scores.
   *
   * @param powerLow power at action -1, k values
   * @param powerHigh power at action +1, k values, each above {@code powerLow}
   * @param biasLow bias at action -1, k values, each positive
   * @param biasHigh bias at action +1, k values, each above {@code biasLow}
   */
  public ActionMap(double[] powerLow, double[] powerHigh, double[] biasLow, double[] biasHigh) {
    int k = powerLow.length;
    if (k == 0 || powerHigh.length != k || biasLow.length != k || biasHigh.length != k) {
      throw new IllegalArgumentException(
          "power and bias bounds must have one value per score: got "
              + k
              + ", "
              + powerHigh.length
              + ", "
              + biasLow.length
              + ", "
              + biasHigh.length);
    }
    for (int i = 0; i < k; i++) {
      if (!(powerLow[i] < powerHigh[i])) {
        throw new IllegalArgumentException(
            "score " + i + ": power range [" + powerLow[i] + ", " + powerHigh[i] + "] is empty");
      }
      if (!(biasLow[i] > 0 && biasLow[i] < biasHigh[i])) {
        throw new IllegalArgumentException(
            "score "
                + i
                + ": bias range ["
                + biasLow[i]
                + ", "
                + biasHigh[i]
                + "] must be positive and not empty");
      }
    }
    this.powerLow = powerLow.clone();
    this.powerHigh = powerHigh.clone();
    this.biasLow = biasLow.clone();
    this.biasHigh = biasHigh.clone();
    this.logBiasLow = new double[k];
    this.logBiasHigh = new double[k];
    for (int i = 0; i < k; i++) {
      logBiasLow[i] = Math.log(biasLow[i]);
      logBiasHigh[i] = Math.log(biasHigh[i]);
    }
  }

  /** Number of predicted scores k. */
  public int scores() {
    return powerLow.length;
  }

  /** Number of action dimensions, 2k. */
  public int actionSize() {
    return 2 * powerLow.length;
  }

  /** Powers at action -1, k values; a copy, as of all four bounds. */
  public double[] powerLow() {
    return powerLow.clone();
  }

  /** Powers at action +1. */
  public double[] powerHigh() {
    return powerHigh.clone();
  }

  /** Biases at action -1. */
  public double[] biasLow() {
    return biasLow.clone();
  }

  /** Biases at action +1. */
  public double[] biasHigh() {
    return biasHigh.clone();
  }

  /** Power of score {@code i} at normalised action {@code a}. */
  public double power(int i, double a) {
    return powerLow[i] + (powerHigh[i] - powerLow[i]) * (a + 1) / 2;
  }

  /** Bias of score {@code i} at normalised action {@code a}. */
  public double bias(int i, double a) {
    return Math.exp(logBiasLow[i] + (logBiasHigh[i] - logBiasLow[i]) * (a + 1) / 2);
  }

  /** Normalised action that sets score {@code i}'s power; the inverse of {@link #power}. */
  public double actionOfPower(int i, double power) {
    return 2 * (power - powerLow[i]) / (powerHigh[i] - powerLow[i]) - 1;
  }

  /** Normalised action that sets score {@code i}'s bias; the inverse of {@link #bias}. */
  public double actionOfBias(int i, double bias) {
    return 2 * (Math.log(bias) - logBiasLow[i]) / (logBiasHigh[i] - logBiasLow[i]) - 1;
  }
}
