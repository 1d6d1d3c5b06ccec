package org.unifiedrl.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * How large the parts of UnifiedRL's losses are beside one another, from its metrics and its
 * coefficients (specification section 0).
 */
final class Shares {

  private static final ObjectMapper JSON = new ObjectMapper();

  private Shares() {}

  /** Share of the next state's value that attenuation takes away, 1 - mean phi; or NaN. */
  static double attenuated(Line line) {
    return 1 - line.value("attenuation");
  }

  /**
   * Share of the actor's objective that is the box penalty: eta d / (|SUM w_i Q_i| + eta d + lambda
   * SUM w_i sd_i); NaN if a part is not told.
   */
  static double penalty(Map<String, String> settings, Line line) {
    double penalty = number(settings, "training.eta") * line.value("box_distance");
    double value = weighted(settings, line, "q_mean");
    double deviation =
        number(settings, "training.lambda") * weighted(settings, line, "q_deviation");
    return penalty / (Math.abs(value) + penalty + deviation);
  }

  private static double weighted(Map<String, String> settings, Line line, String name) {
    double[] weights = weights(settings);
    List<Double> groups =
        line.values().entrySet().stream()
            .filter(entry -> entry.getKey().startsWith(name + "/"))
            .map(Map.Entry::getValue)
            .toList();
    if (groups.size() != weights.length) {
      // Without groups of its own only equal weights say what the sum is.
      boolean equal = Arrays.stream(weights).allMatch(w -> w == weights[0]);
      return weights.length > 0 && equal
          ? weights.length * weights[0] * line.value(name)
          : Double.NaN;
    }
    double sum = 0;
    for (int i = 0; i < weights.length; i++) {
      sum += weights[i] * groups.get(i);
    }
    return sum;
  }

  private static double[] weights(Map<String, String> settings) {
    try {
      return JSON.readValue(settings.getOrDefault("training.group_weights", "[]"), double[].class);
    } catch (JsonProcessingException e) {
      return new double[0];
    }
  }

  private static double number(Map<String, String> settings, String key) {
    try {
      return Double.parseDouble(settings.getOrDefault(key, "NaN"));
    } catch (NumberFormatException e) {
      return Double.NaN;
    }
  }
}
