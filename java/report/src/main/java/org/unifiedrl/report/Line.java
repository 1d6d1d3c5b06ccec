package org.unifiedrl.report;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One line of metrics.
 *
 * @param step steps done by then, in all rounds
 * @param values by name, in the order of the file; those that are not numbers are left out
 */
record Line(long step, Map<String, Double> values) {

  static Line of(JsonNode node, long offset) {
    Map<String, Double> values = new LinkedHashMap<>();
    node.properties()
        .forEach(
            field -> {
              if (field.getValue().isNumber() && !field.getKey().equals("step")) {
                values.put(field.getKey(), field.getValue().asDouble());
              }
            });
    return new Line(offset + node.path("step").asLong(), values);
  }

  /** A value; NaN if there is none. */
  double value(String name) {
    return values.getOrDefault(name, Double.NaN);
  }
}
