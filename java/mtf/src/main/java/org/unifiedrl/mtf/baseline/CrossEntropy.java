package org.unifiedrl.mtf.baseline;

import java.util.Comparator;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Philox;

/**
 * The search distribution of the cross-entropy method over actions: independent normals, moved in
 * each round towards the mean and the spread of the round's best vectors (Rubinstein, 1999). One
 * thread at a time.
 */
public final class CrossEntropy implements Searcher {

  private static final double SMOOTHING = 0.8;
  private static final double LEAST_DEVIATION = 0.02;

  private final int elite;
  private final long seed;
  private final long stream;
  private final double[] mean; // (A)
  private final double[] deviation; // (A)
  private final double[] low; // (A)
  private final double[] high; // (A)
  private final float[][] sampled; // (population, A)
  private int round;

  /**
   * Starts a search.
   *
   * @param start first mean, A values in [-1, 1]
   * @param reach largest distance from {@code start} in each dimension; 2 is no bound
   * @param deviation first standard deviation of every dimension
   * @param population vectors per round
   * @param elite vectors of a round that shape the next
   * @param seed key of the draws
   * @param stream keeps searches with one seed apart; dimension k draws from {@code stream + k}
   */
  public CrossEntropy(
      float[] start,
      double reach,
      double deviation,
      int population,
      int elite,
      long seed,
      long stream) {
    int size = start.length;
    this.elite = elite;
    this.seed = seed;
    this.stream = stream;
    mean = new double[size];
    this.deviation = new double[size];
    low = new double[size];
    high = new double[size];
    sampled = new float[population][size];
    for (int k = 0; k < size; k++) {
      mean[k] = start[k];
      this.deviation[k] = Math.min(deviation, reach);
      low[k] = Math.max(-1, start[k] - reach);
      high[k] = Math.min(1, start[k] + reach);
    }
  }

  /** Draws the vectors of a round; the first is the mean itself. */
  public void sample(int round) {
    for (int p = 0; p < sampled.length; p++) {
      for (int k = 0; k < mean.length; k++) {
        double noise = p == 0 ? 0 : Philox.normal(seed, stream + k, ((long) round << 32) | p);
        sampled[p][k] = (float) Math.max(low[k], Math.min(high[k], mean[k] + deviation[k] * noise));
      }
    }
  }

  @Override
  public float[][] propose(double spent) {
    sample(round++);
    return sampled.clone();
  }

  @Override
  public void observe(double[] values) {
    update(values);
  }

  @Override
  public float[] best() {
    return mean();
  }

  /** Vector {@code p} of the round, not to be changed. */
  public float[] vector(int p) {
    return sampled[p];
  }

  /** Learns what each vector of the round was worth; returns the best one's place. */
  public int update(double[] values) {
    int[] order =
        IntStream.range(0, sampled.length)
            .boxed()
            .sorted(Comparator.comparingDouble((Integer p) -> -values[p]))
            .mapToInt(Integer::intValue)
            .toArray();
    for (int k = 0; k < mean.length; k++) {
      double sum = 0;
      for (int e = 0; e < elite; e++) {
        sum += sampled[order[e]][k];
      }
      double eliteMean = sum / elite;
      double squares = 0;
      for (int e = 0; e < elite; e++) {
        double d = sampled[order[e]][k] - eliteMean;
        squares += d * d;
      }
      mean[k] += SMOOTHING * (eliteMean - mean[k]);
      double spread = Math.sqrt(squares / elite);
      deviation[k] = Math.max(deviation[k] + SMOOTHING * (spread - deviation[k]), LEAST_DEVIATION);
    }
    return order[0];
  }

  /** The mean: what has been found. */
  public float[] mean() {
    float[] action = new float[mean.length];
    for (int k = 0; k < action.length; k++) {
      action[k] = (float) mean[k];
    }
    return action;
  }
}
