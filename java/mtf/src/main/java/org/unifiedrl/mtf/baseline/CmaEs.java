package org.unifiedrl.mtf.baseline;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Philox;

/**
 * Evolution strategy with covariance matrix adaptation: (mu/mu_w, lambda)-CMA-ES with active update
 * and the default constants of Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv 1604.00772),
 * whose equations and symbols the comments name.
 *
 * <ul>
 *   <li>The box: the objective is continued beyond its edges by reflection, so that the strategy
 *       itself meets none, and every evaluated vector is its reflection into the box.
 *   <li>Noise: each fourth generation is evaluated twice, which counts like any evaluation. Where
 *       the two orders of its vectors hardly agree, later generations are evaluated twice as often
 *       and averaged, up to 16 times; where they agree well, half as often (after Hansen,
 *       Niederberger, Guzzella and Koumoutsakos, "A method for handling uncertainty in evolutionary
 *       optimization", 2009). An objective whose two values are equal has no noise and is not
 *       examined again.
 * </ul>
 */
public final class CmaEs implements Searcher {

  private static final long DRAWS = 0x434d_4100_0000L;
  private static final int EXAMINED = 4;
  private static final int MOST_REPEATS = 16;
  private static final double DISAGREE = 0.3;
  private static final double AGREE = 0.7;

  /** Smallest standard deviation: floats near 1 are 6e-8 apart. */
  private static final double LEAST = 1e-7;

  private final SearchBox box;
  private final long seed;
  private final int n;
  private final int lambda;
  private final int mu;
  private final double[] weights; // (lambda): w_i, the last ones negative
  private final double muEff;
  private final double cSigma;
  private final double dSigma;
  private final double cC;
  private final double c1;
  private final double cMu;
  private final double chiN; // E||N(0, I)||

  private final double[] mean; // m, not reflected
  private double sigma;
  private final double[] pathSigma; // p_sigma
  private final double[] pathC; // p_c
  private final double[][] covariance; // C
  private double[][] axes; // B, columns
  private double[] lengths; // D, the square roots of C's eigenvalues

  private final double[][] steps; // (lambda, n): y_i
  private float[][] vectors = {};
  private int generation;
  private int repeats = 1;
  private int done; // rounds of this generation that were observed
  private boolean noisy = true; // until the contrary is seen
  private final double[][] halves; // (2, lambda): sums over the first and the second half of them

  /**
   * Starts a search.
   *
   * @param start first mean, in the box
   * @param deviation first standard deviation of every dimension, positive; about a quarter of the
   *     box's width is usual
   * @param seed key of all draws
   */
  public CmaEs(SearchBox box, float[] start, double deviation, long seed) {
    this(box, start, deviation, 4 + (int) (3 * Math.log(box.size())), seed);
  }

  /**
   * Starts a search with another population than the usual 4 + 3 ln n (Eq. 48).
   *
   * @param population vectors per generation (lambda), at least 4
   */
  public CmaEs(SearchBox box, float[] start, double deviation, int population, long seed) {
    if (!(deviation > 0 && deviation < Double.POSITIVE_INFINITY) || population < 4) {
      throw new IllegalArgumentException(
          "CMA-ES needs a positive deviation and a population of at least 4; got "
              + deviation
              + ", "
              + population);
    }
    this.box = box;
    this.seed = seed;
    n = box.size();
    lambda = population;
    mu = lambda / 2;
    weights = new double[lambda];
    double positive = 0;
    double positiveSquares = 0;
    double negative = 0;
    double negativeSquares = 0;
    for (int i = 0; i < lambda; i++) {
      weights[i] = Math.log((lambda + 1) / 2.0) - Math.log(i + 1); // Eq. 49
      if (i < mu) {
        positive += weights[i];
        positiveSquares += weights[i] * weights[i];
      } else {
        negative += weights[i];
        negativeSquares += weights[i] * weights[i];
      }
    }
    muEff = positive * positive / positiveSquares;
    double muEffNegative = negative * negative / negativeSquares;
    cSigma = (muEff + 2) / (n + muEff + 5); // Eq. 55
    dSigma = 1 + 2 * Math.max(0, Math.sqrt((muEff - 1) / (n + 1)) - 1) + cSigma;
    cC = (4 + muEff / n) / (n + 4 + 2 * muEff / n); // Eq. 56
    c1 = 2 / ((n + 1.3) * (n + 1.3) + muEff); // Eq. 57
    cMu = Math.min(1 - c1, 2 * (0.25 + muEff + 1 / muEff - 2) / ((n + 2) * (n + 2) + muEff));
    double scale =
        Math.min(
            Math.min(1 + c1 / cMu, 1 + 2 * muEffNegative / (muEff + 2)), // Eq. 50, 51
            (1 - c1 - cMu) / (n * cMu)); // Eq. 52
    for (int i = 0; i < lambda; i++) {
      weights[i] *= i < mu ? 1 / positive : scale / -negative; // Eq. 53
    }
    chiN = Math.sqrt(n) * (1 - 1 / (4.0 * n) + 1 / (21.0 * n * n));
    mean = new double[n];
    float[] checked = box.checked(start);
    for (int k = 0; k < n; k++) {
      mean[k] = checked[k];
    }
    sigma = deviation;
    pathSigma = new double[n];
    pathC = new double[n];
    covariance = identity(n);
    axes = identity(n);
    lengths = new double[n];
    Arrays.fill(lengths, 1);
    steps = new double[lambda][n];
    halves = new double[2][lambda];
  }

  @Override
  public float[][] propose(double spent) {
    if (done == 0) {
      sample();
    }
    return vectors.clone();
  }

  private void sample() {
    vectors = new float[lambda][];
    double[] z = new double[n];
    for (int i = 0; i < lambda; i++) {
      for (int k = 0; k < n; k++) {
        z[k] = Philox.normal(seed, DRAWS + k, ((long) generation << 32) | i) * lengths[k];
      }
      double[] x = mean.clone();
      for (int k = 0; k < n; k++) {
        steps[i][k] = dot(axes[k], z); // Eq. 39: y = B D z
        x[k] += sigma * steps[i][k]; // Eq. 40
      }
      vectors[i] = reflected(x);
    }
  }

  /** A vector's place in the box when its edges are mirrors. */
  private float[] reflected(double[] x) {
    float[] inside = new float[n];
    for (int k = 0; k < n; k++) {
      double width = box.width(k);
      double away = Math.abs(x[k] - box.low(k)) % (2 * width);
      inside[k] = box.clip(k, box.low(k) + (away > width ? 2 * width - away : away));
    }
    return inside;
  }

  /** Rounds that this generation takes. */
  private int rounds() {
    return examined() ? Math.max(2, repeats) : repeats;
  }

  private boolean examined() {
    return noisy && generation % EXAMINED == 0;
  }

  @Override
  public void observe(double[] values) {
    double[] half = halves[done < (rounds() + 1) / 2 ? 0 : 1];
    for (int i = 0; i < lambda; i++) {
      half[i] += values[i];
    }
    done++;
    if (done < rounds()) {
      return;
    }
    double[] sums = new double[lambda];
    Arrays.setAll(sums, i -> halves[0][i] + halves[1][i]);
    int[] order = order(sums);
    if (examined()) {
      examine();
    }
    done = 0;
    Arrays.fill(halves[0], 0);
    Arrays.fill(halves[1], 0);
    update(order);
    generation++;
  }

  private void examine() {
    if (Arrays.equals(halves[0], halves[1])) {
      noisy = false;
      repeats = 1;
      return;
    }
    double agreement = agreement(order(halves[0]), order(halves[1]));
    if (agreement < DISAGREE) {
      repeats = Math.min(2 * repeats, MOST_REPEATS);
    } else if (agreement > AGREE) {
      repeats = Math.max(repeats / 2, 1);
    }
  }

  /** Spearman's correlation of two orders. */
  private static double agreement(int[] one, int[] other) {
    int size = one.length;
    int[] place = new int[size];
    for (int r = 0; r < size; r++) {
      place[one[r]] = r;
    }
    double squares = 0;
    for (int r = 0; r < size; r++) {
      double d = place[other[r]] - r;
      squares += d * d;
    }
    return 1 - 6 * squares / (size * ((double) size * size - 1));
  }

  /** Vectors by value, the best first. */
  private static int[] order(double[] values) {
    return IntStream.range(0, values.length)
        .boxed()
        .sorted(Comparator.comparingDouble((Integer i) -> -values[i]))
        .mapToInt(Integer::intValue)
        .toArray();
  }

  private void update(int[] order) {
    double[] step = new double[n]; // <y>_w, Eq. 41
    for (int i = 0; i < mu; i++) {
      for (int k = 0; k < n; k++) {
        step[k] += weights[i] * steps[order[i]][k];
      }
    }
    double[] whitened = whitened(step);
    double norm = 0;
    for (int k = 0; k < n; k++) {
      mean[k] += sigma * step[k]; // Eq. 42
      pathSigma[k] =
          (1 - cSigma) * pathSigma[k]
              + Math.sqrt(cSigma * (2 - cSigma) * muEff) * whitened[k]; // Eq. 43
      norm += pathSigma[k] * pathSigma[k];
    }
    norm = Math.sqrt(norm);
    double started = Math.sqrt(1 - Math.pow(1 - cSigma, 2.0 * (generation + 1)));
    boolean steady = norm / started < (1.4 + 2.0 / (n + 1)) * chiN; // h_sigma
    double[] used = new double[lambda]; // w_i°, Eq. 46
    double sum = 0;
    for (int i = 0; i < lambda; i++) {
      double[] y = whitened(steps[order[i]]);
      used[i] = weights[i] >= 0 ? weights[i] : weights[i] * n / Math.max(dot(y, y), 1e-300);
      sum += weights[i];
    }
    for (int k = 0; k < n; k++) {
      pathC[k] =
          (1 - cC) * pathC[k] + (steady ? Math.sqrt(cC * (2 - cC) * muEff) * step[k] : 0); // Eq. 45
    }
    double kept = 1 - c1 - cMu * sum + (steady ? 0 : c1 * cC * (2 - cC));
    for (int a = 0; a < n; a++) {
      for (int b = 0; b <= a; b++) {
        double rankMu = 0;
        for (int i = 0; i < lambda; i++) {
          rankMu += used[i] * steps[order[i]][a] * steps[order[i]][b];
        }
        covariance[a][b] =
            kept * covariance[a][b] + c1 * pathC[a] * pathC[b] + cMu * rankMu; // Eq. 47
        covariance[b][a] = covariance[a][b];
      }
    }
    decompose();
    sigma *= Math.exp(cSigma / dSigma * (norm / chiN - 1)); // Eq. 44
    double longest = Arrays.stream(lengths).max().orElseThrow();
    double widest = IntStream.range(0, n).mapToDouble(box::width).max().orElseThrow();
    sigma = Math.max(LEAST / longest, Math.min(sigma, widest / longest));
  }

  /** C^(-1/2) y = B D^-1 B^T y. */
  private double[] whitened(double[] y) {
    double[] inAxes = new double[n];
    for (int a = 0; a < n; a++) {
      for (int k = 0; k < n; k++) {
        inAxes[a] += axes[k][a] * y[k];
      }
      inAxes[a] /= lengths[a];
    }
    double[] whitened = new double[n];
    Arrays.setAll(whitened, k -> dot(axes[k], inAxes));
    return whitened;
  }

  /** C = B D^2 B^T by Jacobi's rotations. */
  private void decompose() {
    double[][] m = new double[n][];
    Arrays.setAll(m, k -> covariance[k].clone());
    axes = identity(n);
    for (int sweep = 0; sweep < 30; sweep++) {
      double off = 0;
      double diagonal = 0;
      for (int p = 0; p < n; p++) {
        diagonal += m[p][p] * m[p][p];
        for (int q = p + 1; q < n; q++) {
          off += m[p][q] * m[p][q];
        }
      }
      if (off <= 1e-30 * diagonal) {
        break;
      }
      for (int p = 0; p < n; p++) {
        for (int q = p + 1; q < n; q++) {
          rotate(m, p, q);
        }
      }
    }
    double largest = 0;
    for (int k = 0; k < n; k++) {
      largest = Math.max(largest, m[k][k]);
    }
    for (int k = 0; k < n; k++) {
      lengths[k] = Math.sqrt(Math.max(m[k][k], 1e-14 * largest));
    }
  }

  private void rotate(double[][] m, int p, int q) {
    if (m[p][q] == 0) {
      return;
    }
    double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
    double t = Math.copySign(1, theta) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
    double c = 1 / Math.sqrt(t * t + 1);
    double s = t * c;
    for (int k = 0; k < n; k++) {
      double kp = m[k][p];
      double kq = m[k][q];
      m[k][p] = c * kp - s * kq;
      m[k][q] = s * kp + c * kq;
      double ap = axes[k][p];
      double aq = axes[k][q];
      axes[k][p] = c * ap - s * aq;
      axes[k][q] = s * ap + c * aq;
    }
    for (int k = 0; k < n; k++) {
      double pk = m[p][k];
      double qk = m[q][k];
      m[p][k] = c * pk - s * qk;
      m[q][k] = s * pk + c * qk;
    }
  }

  private static double[][] identity(int n) {
    double[][] m = new double[n][n];
    for (int k = 0; k < n; k++) {
      m[k][k] = 1;
    }
    return m;
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int k = 0; k < a.length; k++) {
      sum += a[k] * b[k];
    }
    return sum;
  }

  @Override
  public float[] best() {
    return reflected(mean);
  }
}
