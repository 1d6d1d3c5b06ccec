package org.unifiedrl.mtf.study;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.baseline.BayesianOptimisation;
import org.unifiedrl.mtf.baseline.SearchBox;

/**
 * How settings are chosen within a budget of whole trainings. Every tuner spends as many gradient
 * steps and tries the settings as they are in its first round; which trials it makes depends only
 * on the seed and on what earlier trials were worth.
 */
public enum Tuner {
  /** The start and points at random, each trained to the end. */
  RANDOM {
    @Override
    Choice tune(SearchBox box, float[] start, int budget, long seed, Trials trials) {
      List<float[]> points = random(box, start, budget, seed);
      return best(points, trials.values(points, 1));
    }
  },

  /**
   * Successive halving by thirds: the start and many points at random for a ninth of the steps, the
   * best third of them for a third, the best third of those to the end.
   */
  HALVING {
    @Override
    Choice tune(SearchBox box, float[] start, int budget, long seed, Trials trials) {
      // n points cost n/9, and the rungs above as much each: 3 n / 9 in all, plus what rounds up.
      int first = 3 * budget;
      while (first > 1 && cost(first) > budget) {
        first--;
      }
      List<float[]> points = random(box, start, first, seed);
      for (int rung = 0; rung < SHARES.length - 1; rung++) {
        double[] values = trials.values(points, SHARES[rung]);
        List<float[]> all = points;
        points =
            IntStream.range(0, all.size())
                .boxed()
                .sorted(Comparator.comparingDouble(i -> -values[i]))
                .limit(third(all.size()))
                .map(all::get)
                .toList();
      }
      return best(points, trials.values(points, 1));
    }
  },

  /** A Gaussian process of what was observed says where a trial promises most. */
  BAYESIAN {
    @Override
    Choice tune(SearchBox box, float[] start, int budget, long seed, Trials trials) {
      BayesianOptimisation process = new BayesianOptimisation(box, start, seed);
      List<float[]> points = new ArrayList<>();
      List<Double> values = new ArrayList<>();
      while (points.size() < budget) {
        // As if all of the budget were left: trials have no luck of their own, so that the
        // repetitions
        // at its end, which average noise, would say nothing.
        List<float[]> round = List.of(process.propose(0));
        if (round.size() > budget - points.size()) {
          throw new IllegalArgumentException(
              "Bayesian optimisation of "
                  + box.size()
                  + " settings begins with "
                  + round.size()
                  + " trials, and the budget is "
                  + budget
                  + ": give more, or another tuner");
        }
        double[] observed = trials.values(round, 1);
        process.observe(observed);
        for (int i = 0; i < observed.length; i++) {
          points.add(round.get(i));
          values.add(observed[i]);
        }
      }
      // Trials meet the same users and the same luck, so what was seen is what counts.
      return best(points, values.stream().mapToDouble(v -> v).toArray());
    }
  };

  /** Shares of the steps on the rungs of successive halving. */
  static final double[] SHARES = {1 / 9.0, 1 / 3.0, 1};

  private static final long POINTS = 0x5455_4e45L;

  /** Tries points. */
  interface Trials {
    /**
     * What points are worth, higher is better, finite.
     *
     * @param share of the training steps
     */
    double[] values(List<float[]> points, double share);
  }

  /**
   * What was chosen.
   *
   * @param point the point
   * @param value what its whole training was worth
   */
  public record Choice(float[] point, double value) {}

  /**
   * Chooses.
   *
   * @param box the unit cube
   * @param start one of the first trials
   * @param budget whole trainings that may be spent, at least 1
   */
  abstract Choice tune(SearchBox box, float[] start, int budget, long seed, Trials trials);

  /** The least budget that it can work with. */
  public int least(int dimensions) {
    return this == BAYESIAN ? 2 * dimensions + 1 : this == HALVING ? 2 : 1;
  }

  /** What successive halving from {@code first} points costs, in whole trainings. */
  static double cost(int first) {
    int second = third(first);
    return first * SHARES[0] + second * SHARES[1] + third(second);
  }

  private static int third(int count) {
    return Math.max(1, count / 3);
  }

  private static List<float[]> random(SearchBox box, float[] start, int count, long seed) {
    List<float[]> points = new ArrayList<>();
    points.add(start);
    for (int i = 1; i < count; i++) {
      float[] point = new float[box.size()];
      for (int k = 0; k < point.length; k++) {
        point[k] = box.at(k, Philox.uniform(seed, POINTS + k, i));
      }
      points.add(point);
    }
    return points;
  }

  private static Choice best(List<float[]> points, double[] values) {
    int best = 0;
    for (int i = 1; i < values.length; i++) {
      best = values[i] > values[best] ? i : best;
    }
    return new Choice(points.get(best).clone(), values[best]);
  }
}
