package org.unifiedrl.mtf.fusion;

/**
 * The fusion formula (specification 1.3, Eq. 1) and the choice of a page.
 *
 * <pre>final(item) = PROD_i (score_i(item) + bias_i) ^ power_i</pre>
 *
 * evaluated as {@code SUM_i power_i * ln(max(score_i + bias_i, 1e-6))}: the order is the same, and
 * products of tiny scores do not underflow. Logarithms are {@link FastMath#log} (absolute error
 * 2e-7 each). A candidate with a score that is NaN gets NaN.
 *
 * <p>Scores lie task by task ("struct of arrays"): score i of candidate c is at {@code offset + i *
 * stride + c}.
 *
 * <p>Immutable, so it may be shared by threads. No method allocates.
 */
public final class Fusion {

  /** Smallest {@code score + bias} that is told apart from zero. */
  public static final float EPSILON = 1e-6f;

  private static final float LOG_EPSILON = FastMath.log(EPSILON);

  private final ActionMap map;

  /** Creates the fusion of {@code map.scores()} scores. */
  public Fusion(ActionMap map) {
    this.map = map;
  }

  /** The map from actions to powers and biases. */
  public ActionMap map() {
    return map;
  }

  /**
   * Log-space fused scores under a normalised action.
   *
   * @param scores k rows of {@code candidates} predicted scores
   * @param offset position of score 0 of candidate 0
   * @param stride distance between rows, at least {@code candidates}
   * @param candidates number of candidates n
   * @param actions holds the 2k action values
   * @param actionOffset position of the first one
   * @param fused receives n values at {@code 0 .. n - 1}
   */
  public void fuse(
      float[] scores,
      int offset,
      int stride,
      int candidates,
      float[] actions,
      int actionOffset,
      float[] fused) {
    int k = map.scores();
    for (int i = 0; i < k; i++) {
      float power = (float) map.power(i, actions[actionOffset + i]);
      float bias = (float) map.bias(i, actions[actionOffset + k + i]);
      term(scores, offset + i * stride, candidates, power, bias, i == 0, fused);
    }
  }

  /**
   * The same under an action for each candidate.
   *
   * @param actions holds n times 2k action values, candidate by candidate
   * @param actionOffset position of the first one
   */
  public void fuseEach(
      float[] scores,
      int offset,
      int stride,
      int candidates,
      float[] actions,
      int actionOffset,
      float[] fused) {
    int k = map.scores();
    for (int c = 0; c < candidates; c++) {
      int at = actionOffset + c * 2 * k;
      float sum = 0;
      for (int i = 0; i < k; i++) {
        float power = (float) map.power(i, actions[at + i]);
        float bias = (float) map.bias(i, actions[at + k + i]);
        float term = power * logarithm(scores[offset + i * stride + c] + bias);
        sum = i == 0 ? term : sum + term;
      }
      fused[c] = sum;
    }
  }

  /**
   * Sets ({@code first}) or adds one score's term. A loop of its own, so that it compiles alone.
   */
  private static void term(
      float[] scores, int from, int n, float power, float bias, boolean first, float[] fused) {
    if (first) {
      for (int c = 0; c < n; c++) {
        fused[c] = power * logarithm(scores[from + c] + bias);
      }
    } else {
      for (int c = 0; c < n; c++) {
        fused[c] += power * logarithm(scores[from + c] + bias);
      }
    }
  }

  /** NaN passes through, so that {@link #top} sees it; {@link FastMath#log} would hide it. */
  private static float logarithm(float x) {
    return x >= EPSILON ? FastMath.log(x) : x < EPSILON ? LOG_EPSILON : x;
  }

  /**
   * The {@code size} candidates of highest fused score, best first; ties go to the lower index, and
   * NaN is never chosen.
   *
   * @param fused fused scores of {@code candidates} candidates
   * @param page receives the chosen indices at {@code 0 .. returned - 1}; its length is at least
   *     {@code size}
   * @return number chosen: {@code size}, or fewer if there are fewer candidates that are not NaN
   */
  public static int top(float[] fused, int candidates, int size, int[] page) {
    int chosen = 0;
    for (int c = 0; c < candidates; c++) {
      float value = fused[c];
      int at = chosen;
      if (chosen == size) {
        if (size == 0 || !(value > fused[page[size - 1]])) {
          continue;
        }
        at = size - 1;
      } else if (Float.isNaN(value)) {
        continue;
      } else {
        chosen++;
      }
      while (at > 0 && value > fused[page[at - 1]]) {
        page[at] = page[at - 1];
        at--;
      }
      page[at] = c;
    }
    return chosen;
  }
}
