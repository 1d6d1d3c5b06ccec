package org.unifiedrl.mtf.baseline;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntFunction;
import org.unifiedrl.engine.Philox;

/**
 * Random search and grid search: points that are known beforehand are tried once each, then the
 * best of them play off. The best of many noisy values is mostly a lucky one, so what is found is
 * chosen by values of the play-off only: its vectors, the start among them, share their luck, which
 * is another one in each of its rounds, and a quarter leaves after each.
 */
public final class Screening implements Searcher {

  private static final long RANDOM = 0x524e_4400_0000L;
  private static final long ORDER = 0x4752_4400_0000L;
  private static final int ROUND = 16;
  private static final int FINALISTS = 8;

  /** Share of the budget after which the play-off begins. */
  private static final double SCREENED = 0.7;

  /** A grid's largest number of points. */
  private static final int LARGEST = 1 << 20;

  private record Candidate(float[] vector, double value) {}

  private static final Comparator<Candidate> BEST_FIRST =
      Comparator.comparingDouble((Candidate c) -> -c.value());

  private final IntFunction<float[]> plan;
  private final int points;
  private final float[] start;
  private List<Candidate> candidates = new ArrayList<>(); // the best first
  private float[][] proposed = {};
  private int tried;
  private boolean playing;

  private Screening(IntFunction<float[]> plan, int points, float[] start) {
    this.plan = plan;
    this.points = points;
    this.start = start;
  }

  /** Random search: points are uniform in the box. */
  public static Screening random(SearchBox box, float[] start, long seed) {
    int size = box.size();
    return new Screening(
        i -> {
          float[] point = new float[size];
          for (int k = 0; k < size; k++) {
            point[k] = box.at(k, Philox.uniform(seed, RANDOM + k, i));
          }
          return point;
        },
        Integer.MAX_VALUE,
        box.checked(start));
  }

  /**
   * Grid search: every combination of equally spaced values, the edges of the box included, in an
   * order that depends on the seed, so that a budget that ends early leaves no corner out.
   *
   * @param levels values of each dimension, at least 2; there are levels^A points, 2^20 at most
   */
  public static Screening grid(SearchBox box, float[] start, int levels, long seed) {
    int size = box.size();
    double all = Math.pow(levels, size);
    if (levels < 2 || all > LARGEST) {
      throw new IllegalArgumentException(
          "a grid of "
              + levels
              + " levels in "
              + size
              + " dimensions: expected 2 levels or more, and 1048576 points or fewer");
    }
    int points = (int) all;
    int[] order = new int[points];
    for (int i = 0; i < points; i++) {
      int other = (int) (Philox.uniform(seed, ORDER, i) * (i + 1)); // Fisher and Yates
      order[i] = order[other];
      order[other] = i;
    }
    return new Screening(
        i -> {
          float[] point = new float[size];
          int rest = order[i];
          for (int k = 0; k < size; k++) {
            point[k] = box.at(k, rest % levels / (double) (levels - 1));
            rest /= levels;
          }
          return point;
        },
        points,
        box.checked(start));
  }

  /** The most levels of a grid that so many evaluations can screen; below 2 if there is none. */
  public static int levels(int size, long evaluations) {
    double most = Math.min(SCREENED * evaluations, LARGEST);
    int levels = 1;
    while (Math.pow(levels + 1, size) <= most) {
      levels++;
    }
    return levels;
  }

  /** The fewest evaluations that can screen a grid of two levels, the coarsest there is. */
  public static long leastEvaluations(int size) {
    return (long) Math.ceil(Math.pow(2, size) / SCREENED);
  }

  @Override
  public boolean sharesLuck() {
    return playing;
  }

  @Override
  public float[][] propose(double spent) {
    if (!playing && tried > 0 && (tried == points || spent >= SCREENED)) {
      playing = true;
      candidates.add(new Candidate(start, 0));
      candidates.replaceAll(c -> new Candidate(c.vector(), 0));
    }
    proposed = new float[playing ? candidates.size() : Math.min(ROUND, points - tried)][];
    for (int p = 0; p < proposed.length; p++) {
      proposed[p] = playing ? candidates.get(p).vector() : plan.apply(tried + p);
    }
    return proposed.clone();
  }

  @Override
  public void observe(double[] values) {
    if (playing) {
      List<Candidate> after = new ArrayList<>();
      for (int p = 0; p < proposed.length; p++) {
        after.add(new Candidate(proposed[p], candidates.get(p).value() + values[p]));
      }
      after.sort(BEST_FIRST);
      int leaving = Math.min(after.size() / 4, after.size() - 2);
      candidates = after.subList(0, after.size() - Math.max(leaving, 0));
      return;
    }
    tried += proposed.length;
    for (int p = 0; p < proposed.length; p++) {
      candidates.add(new Candidate(proposed[p], values[p]));
    }
    candidates.sort(BEST_FIRST);
    candidates = new ArrayList<>(candidates.subList(0, Math.min(FINALISTS, candidates.size())));
  }

  @Override
  public float[] best() {
    return (candidates.isEmpty() ? start : candidates.get(0).vector()).clone();
  }
}
