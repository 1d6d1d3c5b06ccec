package org.unifiedrl.mtf.exploration;

import java.util.function.Supplier;
import org.unifiedrl.engine.Philox;

/**
 * Exploration of the box of {@link UniformBox} where a score promises most: of K candidates,
 * independent and uniform in the box, the one with the highest score is served, or, with
 * probability p, any one of them. With critics for a score it is Thompson sampling or an upper
 * confidence bound confined to the box (specification 9); with a novelty bonus, curiosity.
 *
 * <p>What is logged is the density of the served action given the other candidates,
 *
 * <pre>
 *   q = (p + (1 - p) K [it has the highest score]) / volume of the box,
 * </pre>
 *
 * whose inverse is an exact weight, though nobody can write down the density given the state alone:
 * for any f, {@code E[f(a) / q] = E[(1/K) SUM_c f(c)] volume}, the integral of f over the box,
 * since every candidate is served with probability {@code q volume / K} once the candidates are
 * drawn. So means weighted by 1 / q are unbiased; they vary more than with the density given the
 * state, whose inverse is the mean of 1 / q. As q is at least p / volume, weights are at most 1 / p
 * times those of the uniform box. Scores are finite, and the first of equal ones is the highest.
 */
public final class GuidedBox extends SequentialExplorer {

  /** Keeps these draws apart from others under the same seed. */
  private static final long STREAM = 0x4742L << 40;

  private static final long CHOICE = STREAM ^ (1L << 60);
  private static final long PICK = STREAM ^ (2L << 60);

  private final Box box;
  private final Supplier<ActionScore> scores;
  private final ActionScore score;
  private final int candidates;
  private final double uniform;
  private final float[] drawn; // (K, A)
  private final double[] values; // (K)
  private float[] states = {};

  /**
   * Creates the explorer.
   *
   * @param lower A lower bounds relative to the baseline, each in [-2, -{@value UniformBox#LEAST}]
   * @param upper A upper bounds, each in [{@value UniformBox#LEAST}, 2]
   * @param scores gives each rollout its score
   * @param candidates candidates of a request (K), at least 2
   * @param uniform probability that any candidate is served (p), in (0, 1]
   */
  public GuidedBox(
      float[] lower, float[] upper, Supplier<ActionScore> scores, int candidates, double uniform) {
    this(new Box(lower, upper), scores, candidates, uniform);
  }

  private GuidedBox(Box box, Supplier<ActionScore> scores, int candidates, double uniform) {
    super(box.size(), 1, true);
    if (candidates < 2 || !(uniform > 0 && uniform <= 1)) {
      throw new IllegalArgumentException(
          "guided exploration with "
              + candidates
              + " candidates, any of which is served with probability "
              + uniform
              + ": expected at least 2, and a probability above 0, without which nothing bounds the"
              + " density");
    }
    this.box = box;
    this.scores = scores;
    this.score = scores.get();
    if (score.actionSize() != box.size()) {
      throw new IllegalArgumentException(
          "the score is of "
              + score.actionSize()
              + " action dimensions, the box of "
              + box.size()
              + ": they must be as many");
    }
    this.candidates = candidates;
    this.uniform = uniform;
    this.drawn = new float[candidates * box.size()];
    this.values = new double[candidates];
  }

  @Override
  public Explorer forRollout() {
    return new GuidedBox(box, scores, candidates, uniform);
  }

  @Override
  public void see(float[] requestStates) {
    states = requestStates;
  }

  @Override
  double draw(
      long seed,
      int user,
      long request,
      int row,
      boolean first,
      double[] memory,
      int at,
      float[] baseline,
      float[] actions,
      float[] low,
      float[] high) {
    int size = box.size();
    long key = user & 0xFFFFFFFFL;
    if (first) {
      memory[at] = Philox.uniform(seed, CHOICE ^ key, request);
    }
    double logVolume = 0;
    for (int k = 0; k < size; k++) {
      int place = row * size + k;
      float mean = IndependentExplorer.checked(baseline[place], row, k);
      low[place] = box.low(k, mean);
      high[place] = box.high(k, mean);
      logVolume += Math.log(high[place] - low[place]);
    }
    for (int c = 0; c < candidates; c++) {
      for (int k = 0; k < size; k++) {
        int place = row * size + k;
        long counter = STREAM ^ ((long) (c * size + k) << 33) ^ key;
        float share = Philox.uniformFloat((int) Philox.bits(seed, counter, request));
        drawn[c * size + k] = Box.place(low[place], high[place], share);
      }
    }
    score.score(memory[at], states, row * score.stateSize(), drawn, candidates, values);
    int best = 0;
    for (int c = 1; c < candidates; c++) {
      best = values[c] > values[best] ? c : best;
    }
    // One number decides both: below p its place there says which candidate, above p the best.
    double pick = Philox.uniform(seed, PICK ^ key, request);
    int served = pick < uniform ? (int) (pick / uniform * candidates) : best;
    System.arraycopy(drawn, served * size, actions, row * size, size);
    return Math.log(uniform + (served == best ? (1 - uniform) * candidates : 0)) - logVolume;
  }
}
