package org.unifiedrl.report;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Locale;
import org.unifiedrl.mtf.evaluation.Interval;

/** Numbers for readers. */
final class Numbers {

  private static final double THOUSAND = 1e3;
  private static final double MILLION = 1e6;

  private Numbers() {}

  /** Four significant digits, or all of a whole number. */
  static String text(double value) {
    if (!Double.isFinite(value)) {
      return "not known";
    }
    if (value == Math.rint(value) && Math.abs(value) < 1e15) {
      return String.format(Locale.ROOT, "%,d", (long) value);
    }
    double size = Math.abs(value);
    if (size >= 1e6 || size < 1e-3) {
      return String.format(Locale.ROOT, "%.3e", value);
    }
    return new BigDecimal(value).round(new MathContext(4)).stripTrailingZeros().toPlainString();
  }

  /** At most five characters or so, for an axis. */
  static String tick(double value) {
    double size = Math.abs(value);
    if (size >= MILLION) {
      return plain(value / MILLION) + "M";
    }
    if (size >= 1e4) {
      return plain(value / THOUSAND) + "k";
    }
    if (size > 0 && size < 1e-3) {
      return String.format(Locale.ROOT, "%.0e", value).replace("e-0", "e-");
    }
    return plain(value);
  }

  private static String plain(double value) {
    String text =
        new BigDecimal(value).round(new MathContext(4)).stripTrailingZeros().toPlainString();
    return text.equals("-0") ? "0" : text;
  }

  /** An estimate with its interval, signed. */
  static String signed(Interval interval) {
    return Double.isFinite(interval.low()) && Double.isFinite(interval.high())
        ? String.format(
            Locale.ROOT, "%+.2f [%+.2f, %+.2f]", interval.mean(), interval.low(), interval.high())
        : String.format(Locale.ROOT, "%+.2f", interval.mean());
  }

  /** A coordinate of a drawing. */
  static String at(double value) {
    String text = String.format(Locale.ROOT, "%.1f", value);
    return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
  }
}
