package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

/**
 * Coefficients of IQL, with CORL's defaults.
 *
 * @param expectile of the logged actions' values that V estimates (tau), in (0, 1)
 * @param temperature exponent of an action's advantage in its weight (beta), at least 0
 * @param weightCap largest weight of an action, positive
 * @param valueRate Adam's learning rate of V
 */
public record IqlConfig(double expectile, double temperature, double weightCap, double valueRate) {

  /** Checks every range; messages name the key. */
  public IqlConfig {
    require("iql.expectile", expectile, expectile > 0 && expectile < 1, "in (0, 1)");
    require("iql.temperature", temperature, temperature >= 0, "at least 0");
    require("iql.weight_cap", weightCap, weightCap > 0, "positive");
    require("iql.value_rate", valueRate, valueRate > 0, "positive");
  }

  /** CORL's defaults. */
  public static IqlConfig defaults() {
    return new IqlConfig(0.7, 3, 100, 3e-4);
  }
}
