package org.unifiedrl.mtf.study;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.unifiedrl.mtf.baseline.SearchBox;

/**
 * The settings that tuning may choose, each a dimension of the unit cube.
 *
 * @param dimensions at least one, each key once
 */
public record Space(List<Dimension> dimensions) {

  /** Checks. */
  public Space {
    dimensions = List.copyOf(dimensions);
    if (dimensions.isEmpty()) {
      throw new IllegalArgumentException("nothing to tune: expected at least one setting");
    }
    if (dimensions.stream().map(Dimension::key).distinct().count() < dimensions.size()) {
      throw new IllegalArgumentException("a setting to tune is given twice: " + dimensions);
    }
  }

  /**
   * A setting.
   *
   * @param key its path in the configuration
   * @param low least value of a range; ignored if there are choices
   * @param high largest value
   * @param logarithmic whether the range is even in the logarithm
   * @param whole whether its values are whole numbers
   * @param choices values to choose among; empty for a range
   */
  public record Dimension(
      String key,
      double low,
      double high,
      boolean logarithmic,
      boolean whole,
      List<Object> choices) {

    /** Checks. */
    public Dimension {
      choices = choices == null ? List.of() : List.copyOf(choices);
      if (choices.isEmpty() && !(low < high && Double.isFinite(high - low))) {
        throw new IllegalArgumentException(
            key + ": expected a range from a number to a larger one, found " + low + " .. " + high);
      }
      if (choices.isEmpty() && logarithmic && !(low > 0)) {
        throw new IllegalArgumentException(
            key + ": a logarithmic range begins above 0, found " + low);
      }
    }

    /** The value at a share of the dimension, from 0 to 1, to 4 digits. */
    Object at(double share) {
      if (!choices.isEmpty()) {
        return choices.get(Math.min((int) (share * choices.size()), choices.size() - 1));
      }
      double value = logarithmic ? low * Math.pow(high / low, share) : low + share * (high - low);
      return whole
          ? (Object) Math.round(value)
          // Nobody tunes the fifth digit, and settings are to be read.
          : (Object) Double.parseDouble(String.format(Locale.ROOT, "%.4g", value));
    }

    /** The share that is nearest to a value; the middle where that says nothing. */
    double share(Object value) {
      int choice = value == null ? -1 : choices.indexOf(value);
      if (choice >= 0) {
        return (choice + 0.5) / choices.size();
      }
      if (!choices.isEmpty() || !(value instanceof Number number)) {
        return 0.5;
      }
      double inside = Math.min(Math.max(number.doubleValue(), low), high);
      return logarithmic
          ? Math.log(inside / low) / Math.log(high / low)
          : (inside - low) / (high - low);
    }
  }

  /** The unit cube. */
  SearchBox box() {
    float[] low = new float[dimensions.size()];
    float[] high = new float[dimensions.size()];
    Arrays.fill(high, 1);
    return new SearchBox(low, high);
  }

  /**
   * The point that is nearest to settings.
   *
   * @param settings by key; what is missing or of another kind lies in the middle
   */
  float[] point(Map<String, Object> settings) {
    float[] point = new float[dimensions.size()];
    for (int k = 0; k < point.length; k++) {
      point[k] = (float) dimensions.get(k).share(settings.get(dimensions.get(k).key()));
    }
    return point;
  }

  /** The settings of a point, in order. */
  public Map<String, Object> settings(float[] point) {
    Map<String, Object> settings = new LinkedHashMap<>();
    for (int k = 0; k < point.length; k++) {
      settings.put(dimensions.get(k).key(), dimensions.get(k).at(point[k]));
    }
    return settings;
  }
}
