package org.unifiedrl.mtf.experiment;

import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Bounds of the exploration box relative to the served policy's action (lower_b and upper_b,
 * specification 2.1).
 *
 * @param lower one negative bound per action dimension
 * @param upper one positive bound per action dimension
 */
public record Bounds(List<Double> lower, List<Double> upper) {

  public Bounds {
    lower = List.copyOf(lower);
    upper = List.copyOf(upper);
  }

  /** The same distance to both sides. */
  static Bounds symmetric(List<Double> halfWidths) {
    return new Bounds(halfWidths.stream().map(half -> -half).toList(), halfWidths);
  }

  /**
   * The bounds of a configuration, all filled in.
   *
   * @throws IllegalArgumentException if it has bounds for another number of dimensions
   */
  static Bounds of(ExperimentConfig.Exploration settings, int actionSize) {
    return new Bounds(
        filled("lower_bounds", settings.lowerBounds(), -settings.halfWidth(), actionSize),
        filled("upper_bounds", settings.upperBounds(), settings.halfWidth(), actionSize));
  }

  private static List<Double> filled(String key, List<Double> chosen, double usual, int size) {
    if (chosen.isEmpty()) {
      return Collections.nCopies(size, usual);
    }
    if (chosen.size() != size) {
      throw new IllegalArgumentException(
          "exploration."
              + key
              + " has "
              + chosen.size()
              + " values: expected one for each of the "
              + size
              + " action dimensions, or none");
    }
    return chosen;
  }

  /** Half the width in each dimension. */
  public List<Double> halfWidths() {
    return IntStream.range(0, lower.size())
        .mapToObj(k -> (upper.get(k) - lower.get(k)) / 2)
        .toList();
  }
}
