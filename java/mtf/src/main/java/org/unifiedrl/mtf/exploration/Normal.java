package org.unifiedrl.mtf.exploration;

/** The standard normal distribution, to nearly double precision. */
public final class Normal {

  private static final double LOG_SQRT_TWO_PI = 0.5 * Math.log(2 * Math.PI);

  /** Beyond it the tail's continued fraction converges faster than the centre's series. */
  private static final double TAIL = 3;

  private Normal() {}

  /** Logarithm of the density at x. */
  public static double logDensity(double x) {
    return -0.5 * x * x - LOG_SQRT_TWO_PI;
  }

  /** ln Phi(x). Relative error of Phi below 1e-12. */
  public static double logCdf(double x) {
    if (x > 8) {
      return -0.0; // 1 - Phi(8) = 6e-16
    }
    if (x < -TAIL) {
      return logTail(-x);
    }
    return Math.log(0.5 + series(x));
  }

  /**
   * Phi(x) - 1/2, odd in x; relative error below 1e-12, so that differences over a small interval
   * about zero keep their digits.
   */
  public static double centralMass(double x) {
    if (Math.abs(x) <= TAIL) {
      return series(x);
    }
    return Math.copySign(0.5 - Math.exp(logTail(Math.abs(x))), x);
  }

  /**
   * ln(Phi(to) - Phi(from)), also where both ends lie far in one tail and the mass itself would be
   * 0; relative error of the mass below 1e-11 unless the interval is shorter than 1e-3 of the
   * tail's own scale, 1 / |x|.
   *
   * @param from lower end, below {@code to}
   */
  public static double logMass(double from, double to) {
    if (from > 0) {
      return logMass(-to, -from);
    }
    if (to > -TAIL) {
      return Math.log(centralMass(to) - centralMass(from));
    }
    double upper = logCdf(to);
    return upper + Math.log(-Math.expm1(logCdf(from) - upper));
  }

  /**
   * The x whose {@link #centralMass} is the given one, by Newton's method. The mass is concave for
   * x > 0 and its density largest at 0, so that iterates rise to the root from below, whatever the
   * mass.
   *
   * @param mass in (-1/2, 1/2)
   */
  public static double ofCentralMass(double mass) {
    double target = Math.abs(mass);
    double x = target * Math.sqrt(2 * Math.PI);
    for (int i = 0; i < 100; i++) {
      double step = (target - centralMass(x)) * Math.exp(-logDensity(x));
      x += step;
      if (!(step > 1e-14 * x)) {
        break; // reached, or past it by rounding
      }
    }
    return Math.copySign(x, mass);
  }

  /** ln Phi(-t) for t > 3: Phi(-t) = pdf(t) / (t + 1/(t + 2/(t + 3/(t + ...)))), from the tail. */
  private static double logTail(double t) {
    double fraction = t;
    for (int n = 60; n >= 1; n--) {
      fraction = t + n / fraction;
    }
    return logDensity(t) - Math.log(fraction);
  }

  /** Phi(x) - 1/2 = pdf(x) * (x + x^3/3 + x^5/(3*5) + ...), all terms of one sign. */
  private static double series(double x) {
    double term = x;
    double sum = x;
    for (int n = 3; Math.abs(term) > 1e-17 * Math.abs(sum); n += 2) {
      term *= x * x / n;
      sum += term;
    }
    return sum * Math.exp(logDensity(x));
  }
}
