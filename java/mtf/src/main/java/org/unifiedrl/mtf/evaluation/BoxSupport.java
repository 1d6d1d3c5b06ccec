package org.unifiedrl.mtf.evaluation;

import java.util.Locale;
import java.util.Optional;

/**
 * How far a policy's actions stay where a log explored in boxes has any: what no importance weight
 * tells. A kernel truncated to the box judges a policy outside it as one near its edge, at an
 * effective sample size that may look good; and a model of the values extrapolates.
 *
 * <p>A step is far outside if some dimension lies more than a third of its box's width beyond an
 * edge: one standard deviation of the default kernel, and the distance at which UnifiedRL's own
 * attenuation has fallen to 1/e (theta = 1 / 0.3). One thread at a time.
 */
public final class BoxSupport {

  private static final double FAR = 1 / 3.0;

  /**
   * Share of the steps that may be far outside: if the values there are wrong by a fifth, the mean
   * is by a hundredth.
   */
  public static final double MAXIMUM_FAR_SHARE = 0.05;

  private long steps;
  private long far;

  /**
   * Adds one step, whose action and edges are the {@code actionSize} values at {@code offset}.
   *
   * @param target the judged policy's action
   */
  public void add(float[] target, float[] low, float[] high, int offset, int actionSize) {
    boolean outside = false;
    for (int at = offset; at < offset + actionSize; at++) {
      double excess = Math.max((double) target[at] - high[at], (double) low[at] - target[at]);
      outside |= excess > FAR * ((double) high[at] - low[at]);
    }
    steps++;
    far += outside ? 1 : 0;
  }

  /** Share of the steps whose action is far outside, in [0, 1]; 0 without steps. */
  public double farShare() {
    return steps == 0 ? 0 : (double) far / steps;
  }

  /** Why the log cannot judge the policy, if so. */
  public Optional<String> refusal() {
    if (farShare() <= MAXIMUM_FAR_SHARE) {
      return Optional.empty();
    }
    return Optional.of(
        String.format(
            Locale.ROOT,
            "in %.3g %% of %d steps the policy's action lies more than a third of a box's width outside"
                + " the explored box, at most %.3g %% may: explore nearer to it",
            100 * farShare(),
            steps,
            100 * MAXIMUM_FAR_SHARE));
  }
}
