package org.unifiedrl.report;

import java.util.ArrayList;
import java.util.List;

/** Numbers along a stretch of a drawing, evenly or by their logarithms. */
final class Axis {

  private final double low;
  private final double high;
  private final double from;
  private final double to;
  private final boolean logarithmic;
  private final List<Double> ticks;

  private Axis(
      double low, double high, double from, double to, boolean logarithmic, List<Double> ticks) {
    this.low = low;
    this.high = high;
    this.from = from;
    this.to = to;
    this.logarithmic = logarithmic;
    this.ticks = ticks;
  }

  /**
   * An even axis that holds two numbers.
   *
   * @param from coordinate of its lower end
   * @param to that of its upper end
   * @param most ticks at most
   */
  static Axis linear(double low, double high, double from, double to, int most) {
    // Numbers that only rounding tells apart are one: steps between them would be none.
    boolean apart = high - low > 1e-12 * Math.max(Math.abs(low), Math.abs(high));
    double span = apart ? high - low : Math.max(1e-9, Math.abs(high) * 0.2);
    double margin = apart ? 0 : span / 2;
    double step = step(span, most);
    List<Double> ticks = new ArrayList<>();
    for (double k = Math.ceil((low - margin) / step - 1e-9);
        k * step <= high + margin + 1e-9 * span;
        k++) {
      ticks.add(k * step + 0.0); // no negative zero
    }
    return new Axis(low - margin, high + margin, from, to, false, ticks);
  }

  /** An axis by powers of ten that holds two positive numbers. */
  static Axis logarithmic(double low, double high, double from, double to) {
    double floor = Math.floor(Math.log10(low));
    double ceiling = Math.max(floor + 1, Math.ceil(Math.log10(high)));
    double every = Math.ceil((ceiling - floor) / 5);
    List<Double> ticks = new ArrayList<>();
    for (double power = floor; power <= ceiling; power += every) {
      ticks.add(Math.pow(10, power));
    }
    return new Axis(Math.pow(10, floor), Math.pow(10, ceiling), from, to, true, ticks);
  }

  /** 1, 2 or 5 times a power of ten, so that there are few enough. */
  private static double step(double span, int most) {
    double raw = span / most;
    double power = Math.pow(10, Math.floor(Math.log10(raw)));
    for (double factor : new double[] {1, 2, 5}) {
      if (factor * power >= raw * (1 - 1e-9)) {
        return factor * power;
      }
    }
    return 10 * power;
  }

  /** Coordinate of a number; those beyond an end stand at it. */
  double at(double value) {
    double share =
        logarithmic
            ? (Math.log10(Math.max(value, low)) - Math.log10(low))
                / (Math.log10(high) - Math.log10(low))
            : (value - low) / (high - low);
    return from + Math.max(0, Math.min(1, share)) * (to - from);
  }

  /** Whether a number lies between the ends. */
  boolean holds(double value) {
    double rounding = 1e-9 * (high - low);
    return value >= low - rounding && value <= high + rounding;
  }

  List<Double> ticks() {
    return ticks;
  }
}
