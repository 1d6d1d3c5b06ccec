package org.unifiedrl.mtf.study;

/**
 * Student's t distribution with a whole number of degrees of freedom, whose distribution function
 * is a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4).
 */
final class StudentT {

  private StudentT() {}

  /**
   * P(|T| >= t), the p value of a two-sided test.
   *
   * @param t of either sign
   * @param freedom degrees of freedom, at least 1
   */
  static double twoSided(double t, int freedom) {
    double angle = Math.atan(Math.abs(t) / Math.sqrt(freedom));
    double cosine = Math.cos(angle);
    boolean odd = freedom % 2 == 1;
    // Even: 1 + 1/2 cos^2 + (1 3)/(2 4) cos^4 + ..; odd: cos + 2/3 cos^3 + (2 4)/(3 5) cos^5 + ..
    double term = odd ? cosine : 1;
    double sum = freedom == 1 ? 0 : term;
    for (int k = odd ? 3 : 2; k <= freedom - 2; k += 2) {
      term *= cosine * cosine * (k - 1) / k;
      sum += term;
    }
    double series = Math.sin(angle) * sum;
    double inside = odd ? 2 / Math.PI * (angle + series) : series;
    return Math.max(0, 1 - inside);
  }

  /** The t with P(|T| >= t) = {@code p}, for p in (0, 1). */
  static double critical(double p, int freedom) {
    double low = 0;
    double high = 1;
    while (twoSided(high, freedom) > p) {
      high *= 2;
    }
    for (int i = 0; i < 200 && low < high; i++) {
      double middle = (low + high) / 2;
      if (middle == low || middle == high) {
        break;
      }
      if (twoSided(middle, freedom) > p) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return high;
  }
}
