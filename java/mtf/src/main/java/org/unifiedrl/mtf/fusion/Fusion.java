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

  private static final int EPSILON_BITS = Float.floatToRawIntBits(EPSILON);
  private static final int ONE_BITS = Float.floatToRawIntBits(1);

  /** What one step of a float's bits is worth in its logarithm, on average. */
  private static final float LN_2_BY_STEP = 0.6931472f / (1 << 23);

  /**
   * Bits less a logarithm are off by 0 to ln 2 times max(log2(1 + m) - m) = 0.0597; the rest is for
   * rounding, here and in {@link FastMath#log}, of sums up to 90 times as large.
   */
  private static final float ROUGHNESS = 0.0605f;

  /** Pages that take a larger share of the candidates are fused as a whole. */
  private static final int PRUNED_FROM = 4;

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
      fused[c] = one(scores, offset + c, stride, actions, actionOffset + c * 2 * k);
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
   * The page that {@link #fuse} and {@link #top} give, in about half their time: a float's bits are
   * nearly its logarithm, and only those candidates are fused that may be among the best by it.
   *
   * @param size most candidates to choose
   * @param fused receives the fused scores of those that are chosen, at their indices; n values
   * @param page receives the chosen indices; its length is at least {@code size}
   * @return number chosen, as of {@link #top}
   */
  public int rank(
      float[] scores,
      int offset,
      int stride,
      int candidates,
      float[] actions,
      int actionOffset,
      int size,
      float[] fused,
      int[] page) {
    if (size == 0) {
      return 0;
    }
    if (candidates / PRUNED_FROM < size) {
      fuse(scores, offset, stride, candidates, actions, actionOffset, fused);
      return top(fused, candidates, size, page);
    }
    int k = map.scores();
    float spread = 0;
    for (int i = 0; i < k; i++) {
      float power = (float) map.power(i, actions[actionOffset + i]);
      float bias = (float) map.bias(i, actions[actionOffset + k + i]);
      rough(scores, offset + i * stride, candidates, power, bias, i == 0, fused);
      spread += ROUGHNESS * Math.abs(power);
    }
    int chosen = top(fused, candidates, size, page);
    // Below it even the least of the candidates that are chosen so far is better.
    float least = chosen < size ? Float.NaN : fused[page[size - 1]] - spread;
    for (int c = 0; c < candidates; c++) {
      fused[c] =
          fused[c] < least ? Float.NaN : one(scores, offset + c, stride, actions, actionOffset);
    }
    return top(fused, candidates, size, page);
  }

  private float one(float[] scores, int at, int stride, float[] actions, int actionOffset) {
    int k = map.scores();
    float sum = 0;
    for (int i = 0; i < k; i++) {
      float power = (float) map.power(i, actions[actionOffset + i]);
      float bias = (float) map.bias(i, actions[actionOffset + k + i]);
      float term = power * logarithm(scores[at + i * stride] + bias);
      sum = i == 0 ? term : sum + term;
    }
    return sum;
  }

  /** As {@link #term}, roughly; NaN where a score is not finite, which tells nothing then. */
  private static void rough(
      float[] scores, int from, int n, float power, float bias, boolean first, float[] sums) {
    float slope = power * LN_2_BY_STEP;
    if (first) {
      for (int c = 0; c < n; c++) {
        sums[c] = roughTerm(scores[from + c] + bias, slope);
      }
    } else {
      for (int c = 0; c < n; c++) {
        sums[c] += roughTerm(scores[from + c] + bias, slope);
      }
    }
  }

  private static float roughTerm(float x, float slope) {
    int bits = x >= EPSILON ? Float.floatToRawIntBits(x) : EPSILON_BITS;
    return slope * (bits - ONE_BITS) + 0 * x;
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
