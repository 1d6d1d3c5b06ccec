package org.unifiedrl.mtf.baseline;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.baseline.GaussianProcess.Kernel;

/**
 * Bayesian optimisation: a Gaussian process of what was observed says where a trial promises most.
 * Its length scales, signal and noise are those of highest posterior density. The incumbent is the
 * tried point with the best posterior mean, not the one with the luckiest value, and trials promise
 * what noise leaves of their expected improvement. The last tenth of the budget tries incumbents
 * again. Trials meet their own luck each, since the process takes their errors for independent.
 */
public final class BayesianOptimisation implements Searcher {

  private static final long DESIGN = 0x4249_0000_0000L;
  private static final long CANDIDATES = 0x4249_0100_0000L;
  private static final long ORDER = 0x4249_0200_0000L;

  private static final int UNIFORM = 200; // candidates of a proposal
  private static final int NEAR = 100; // candidates near the best tried points
  private static final int CLIMBERS = 3; // candidates that are improved
  private static final int CLIMB = 40; // steps of each
  private static final double EXPLOITED = 0.9; // share of the budget

  private final SearchBox box;
  private final long seed;
  private final float[] start;
  private final List<float[]> vectors = new ArrayList<>();
  private final List<double[]> points = new ArrayList<>(); // vectors, box to [0, 1]
  private final List<Double> values = new ArrayList<>();
  private float[][] proposed = {};
  private double[] logs; // of the kernel
  private int fitted; // observations at the last fit
  private int proposals;

  /**
   * Starts a search. The first round is the start and a Latin hypercube of twice as many points as
   * there are dimensions; each further round is one vector.
   *
   * @param start in the box
   * @param seed key of all draws
   */
  public BayesianOptimisation(SearchBox box, float[] start, long seed) {
    this.box = box;
    this.seed = seed;
    this.start = box.checked(start);
    logs = prior(box.size());
  }

  @Override
  public boolean sharesLuck() {
    return false;
  }

  @Override
  public float[][] propose(double spent) {
    if (points.isEmpty()) {
      proposed = design();
    } else {
      Model model = model();
      float[] vector =
          spent >= EXPLOITED ? vectors.get(model.incumbent()) : vector(mostPromising(model));
      proposed = new float[][] {vector};
    }
    return proposed.clone();
  }

  @Override
  public void observe(double[] observed) {
    for (int p = 0; p < proposed.length; p++) {
      double[] point = new double[box.size()];
      for (int k = 0; k < point.length; k++) {
        point[k] = (proposed[p][k] - (double) box.low(k)) / box.width(k);
      }
      vectors.add(proposed[p]);
      points.add(point);
      values.add(observed[p]);
    }
  }

  @Override
  public float[] best() {
    return points.isEmpty() ? start.clone() : vectors.get(model().incumbent()).clone();
  }

  /** The start, and a Latin hypercube: in each dimension each of equal slices has one point. */
  private float[][] design() {
    int size = box.size();
    int count = 2 * size;
    float[][] vectors = new float[count + 1][size];
    vectors[count] = start.clone();
    for (int k = 0; k < size; k++) {
      int[] slices = new int[count];
      for (int i = 0; i < count; i++) {
        int other = (int) (Philox.uniform(seed, ORDER + k, i) * (i + 1)); // Fisher and Yates
        slices[i] = slices[other];
        slices[other] = i;
      }
      for (int i = 0; i < count; i++) {
        vectors[i][k] = box.at(k, (slices[i] + Philox.uniform(seed, DESIGN + k, i)) / count);
      }
    }
    return vectors;
  }

  /** The process of the observations, which it sees with mean 0 and variance 1. */
  private record Model(GaussianProcess process, Kernel kernel, double[] means, int incumbent) {

    double promise(double[] point) {
      return ExpectedImprovement.augmented(process.at(point), means[incumbent], kernel.noise());
    }
  }

  private Model model() {
    int n = points.size();
    double[][] at = points.toArray(double[][]::new);
    double mean = values.stream().mapToDouble(v -> v).average().orElse(0);
    double variance = values.stream().mapToDouble(v -> (v - mean) * (v - mean)).average().orElse(0);
    double scale = variance > 0 ? Math.sqrt(variance) : 1;
    double[] standard = values.stream().mapToDouble(v -> (v - mean) / scale).toArray();
    // A fit costs n^3 a step; one more observation among many changes little.
    if (n >= fitted + Math.max(1, n / 20)) {
      logs = fit(at, standard, logs, fitted == 0 ? 60 : 15);
      fitted = n;
    }
    Kernel kernel = Kernel.ofLogarithms(logs);
    GaussianProcess process = new GaussianProcess(kernel, at, standard);
    double[] means = new double[n];
    Arrays.setAll(means, i -> process.mean(at[i]));
    return new Model(process, kernel, means, leaders(means, 1)[0]);
  }

  // Normal priors of the kernel's logarithms, for points in [0, 1]^A and values of variance 1.

  private static double[] prior(int size) {
    double[] centre = new double[size + 2];
    Arrays.fill(centre, 0, size, Math.log(0.5 * Math.sqrt(size)));
    centre[size + 1] = Math.log(0.1);
    return centre;
  }

  private static double deviation(int size, int k) {
    return k == size + 1 ? 2 : 1;
  }

  /** Logarithms of highest posterior density, by iRprop- (Igel and Hüsken, 2000). */
  static double[] fit(double[][] points, double[] values, double[] from, int steps) {
    int size = from.length - 2;
    double[] centre = prior(size);
    double[] at = from.clone();
    double[] best = at;
    double highest = Double.NEGATIVE_INFINITY;
    double[] step = new double[at.length];
    double[] before = new double[at.length];
    Arrays.fill(step, 0.1);
    for (int s = 0; s < steps; s++) {
      GaussianProcess process = new GaussianProcess(Kernel.ofLogarithms(at), points, values);
      double density = process.logLikelihood();
      double[] gradient = process.logLikelihoodGradient();
      for (int k = 0; k < at.length; k++) {
        double z = (at[k] - centre[k]) / deviation(size, k);
        density -= 0.5 * z * z;
        gradient[k] -= z / deviation(size, k);
      }
      if (density > highest) {
        highest = density;
        best = at.clone();
      }
      for (int k = 0; k < at.length; k++) {
        double turn = gradient[k] * before[k];
        step[k] = turn > 0 ? Math.min(1.2 * step[k], 1) : turn < 0 ? 0.5 * step[k] : step[k];
        before[k] = turn < 0 ? 0 : gradient[k];
        at[k] += Math.signum(before[k]) * step[k];
        at[k] = Math.max(Math.log(1e-6), Math.min(at[k], Math.log(1e3)));
      }
    }
    return best;
  }

  private double[] mostPromising(Model model) {
    int size = box.size();
    long round = (long) proposals++ << 32;
    int[] leaders = leaders(model.means(), CLIMBERS);
    List<double[]> found = new ArrayList<>();
    double[] promises = new double[UNIFORM + NEAR + leaders.length];
    for (int c = 0; c < promises.length; c++) {
      double[] point = new double[size];
      if (c >= UNIFORM) {
        point = points.get(leaders[c % leaders.length]).clone();
      }
      // Wide and narrow neighbourhoods, and the leaders themselves: to try again is a choice too.
      double reach = c < UNIFORM + NEAR ? 0.2 * Math.pow(0.5, c % 5) : 0;
      for (int k = 0; k < size; k++) {
        long counter = round | c;
        point[k] =
            c < UNIFORM
                ? Philox.uniform(seed, CANDIDATES + k, counter)
                : moved(point[k], reach * Philox.normal(seed, CANDIDATES + k, counter));
      }
      found.add(point);
      promises[c] = model.promise(point);
    }
    double[] best = found.get(0);
    double highest = -1;
    int[] climbers = leaders(promises, CLIMBERS);
    for (int climber = 0; climber < climbers.length; climber++) {
      double[] at = found.get(climbers[climber]);
      double promise = promises[climbers[climber]];
      double reach = 0.1;
      for (int s = 0; s < CLIMB; s++) {
        double[] point = at.clone();
        for (int k = 0; k < size; k++) {
          long counter = round | (promises.length + (long) climber * CLIMB + s);
          point[k] = moved(point[k], reach * Philox.normal(seed, CANDIDATES + k, counter));
        }
        double there = model.promise(point);
        // The one-fifth rule: steps that succeed grow, others shrink.
        reach *= there > promise ? 1.5 : 0.9;
        if (there > promise) {
          at = point;
          promise = there;
        }
      }
      if (promise > highest) {
        highest = promise;
        best = at;
      }
    }
    return best;
  }

  private static double moved(double x, double by) {
    return Math.max(0, Math.min(1, x + by));
  }

  /** Places of the largest values. */
  private static int[] leaders(double[] values, int count) {
    Integer[] order = new Integer[values.length];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, (a, b) -> Double.compare(values[b], values[a]));
    return Arrays.stream(order).limit(count).mapToInt(Integer::intValue).toArray();
  }

  private float[] vector(double[] point) {
    float[] vector = new float[point.length];
    for (int k = 0; k < vector.length; k++) {
      vector[k] = box.at(k, point[k]);
    }
    return vector;
  }
}
