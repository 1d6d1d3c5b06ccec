package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.unifiedrl.mtf.baseline.ConstantVectorSearch;
import org.unifiedrl.mtf.baseline.CrossEntropy;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Simulator;
import org.unifiedrl.mtf.session.SimulatorConfig;
import org.unifiedrl.mtf.session.SimulatorRollout;
import org.unifiedrl.mtf.session.UserTotals;

/**
 * Yardsticks of a simulated world. Oracles read hidden state, so they are not policies; and they
 * are found by search, so they are not upper bounds: a better policy may exist.
 *
 * <ul>
 *   <li>best constant vector;
 *   <li>action oracle: one vector per segment and hidden bucket (intent, fatigue);
 *   <li>request oracle: ranks by the true expectations of each candidate, which no vector can
 *       express. Of several objectives it takes the one that serves training users best.
 * </ul>
 *
 * <p>Constant and personal vectors are searched with equal effort, so that what is called headroom
 * is not what a longer search finds: from one constant vector, both take the same rounds with the
 * same widths on the same users, with vectors tied in one case and free in the other.
 */
public final class Oracles {

  private static final int LANES = 64;
  private static final long STREAM = 0x4f52_0000L;
  private static final int CELLS = Simulator.SEGMENTS * SimulatorRollout.BUCKETS;

  /** Rounds after the first ones start narrower: they refine. */
  private static final double REFINEMENT = 0.6;

  /** Users that choose, in rounds' users: their noise must be small against what is chosen by. */
  private static final int CHOICE = 4;

  private static final float[] LONG_TERM = {0, 1, 4, 16};

  private Oracles() {}

  /**
   * The vectors that a search found.
   *
   * @param constant the best constant vector (A)
   * @param personal the action oracle's vectors {@code [segment][bucket][A]}
   */
  public record Vectors(float[] constant, float[][][] personal) {}

  /** What the request oracle ranks by; see {@link SimulatorRollout#serveByTrueValue}. */
  public record RequestObjective(float[] weights, float longTerm) {}

  /**
   * Searches the best constant vector and the action oracle on training users.
   *
   * @param start vector from which both searches start
   * @param reach largest distance from {@code start} in each dimension; 2 is no bound
   * @param settings budget: {@code generations} rounds for the start and twice as many for each
   *     search; every vector of a round serves {@code users} users per segment on average, a third
   *     of it for the start
   * @param progress hears the number of rounds done, of {@link #rounds}
   */
  public static Vectors search(
      Simulator world,
      float[] start,
      double reach,
      ConstantVectorSearch.Settings settings,
      IntConsumer progress) {
    Search search = new Search(world, start, reach, settings, progress);
    int generations = settings.generations();
    Tie one = c -> 0;
    float[][][] origin = all(start);
    float[][][] common =
        search.improve(origin, one, 1, 2 * generations, 0, Math.max(1, search.perRound / 3));
    float[][][] tied = search.refine(common, one, 2 * generations);
    float[][][] tiedTwice = search.refine(tied, one, 3 * generations);
    float[][][] bucket = search.refine(common, c -> c % SimulatorRollout.BUCKETS, 2 * generations);
    Tie segments = c -> c / SimulatorRollout.BUCKETS;
    float[][][] both = search.refine(bucket, segments, 3 * generations);
    // What the personal search found in common is a constant too: luck there is not headroom.
    float[][][] constant =
        search.choose(one, origin, common, tied, tiedTwice, average(bucket), average(both));
    // A constant is among the personal choices, so an oracle that found nothing is no worse.
    return new Vectors(constant[0][0], search.choose(segments, constant, bucket, both));
  }

  private static float[][][] average(float[][][] vectors) {
    float[] mean = new float[vectors[0][0].length];
    for (float[][] row : vectors) {
      for (float[] vector : row) {
        for (int k = 0; k < mean.length; k++) {
          mean[k] += vector[k] / CELLS;
        }
      }
    }
    for (int k = 0; k < mean.length; k++) {
      mean[k] = Math.max(-1, Math.min(1, mean[k])); // the sum is rounded
    }
    return all(mean);
  }

  /** Rounds of a search. */
  static int rounds(ConstantVectorSearch.Settings settings) {
    return 6 * settings.generations();
  }

  private static float[][][] all(float[] vector) {
    float[][][] vectors = new float[Simulator.SEGMENTS][SimulatorRollout.BUCKETS][];
    for (float[][] row : vectors) {
      Arrays.fill(row, vector);
    }
    return vectors;
  }

  /** Which of the tied searches a cell (segment and bucket) belongs to. */
  @FunctionalInterface
  private interface Tie {
    int of(int cell);
  }

  private static final class Search {
    private final Simulator world;
    private final float[] centre;
    private final double reach;
    private final ConstantVectorSearch.Settings settings;
    private final UserRange rounds; // users that shape vectors
    private final UserRange choice; // users by whom one of the results is chosen
    private final int perRound;
    private final IntConsumer progress;
    private int done;

    Search(
        Simulator world,
        float[] centre,
        double reach,
        ConstantVectorSearch.Settings settings,
        IntConsumer progress) {
      this.progress = progress;
      this.world = world;
      this.centre = centre;
      this.reach = reach;
      this.settings = settings;
      int available = world.trainUsers().count();
      int users = (int) Math.min((long) settings.users() * Simulator.SEGMENTS, available / 2);
      if (users < 1) {
        throw new IllegalArgumentException(
            "a search for oracles needs at least 2 training users, got " + available);
      }
      int chooses = Math.min(CHOICE * users, available - users);
      choice = world.trainUsers().slice(available - chooses, chooses);
      rounds = world.trainUsers().slice(0, available - chooses);
      perRound = users;
    }

    float[][][] refine(float[][][] from, Tie tie, int round) {
      return improve(from, tie, REFINEMENT, settings.generations(), round, perRound);
    }

    /**
     * Searches a shift of the vectors in {@code from}, common to the cells that are tied: the
     * average of the search's means over the second half of the rounds, which wander with the users
     * drawn.
     */
    float[][][] improve(float[][][] from, Tie tie, double width, int count, int round, int served) {
      CrossEntropy[] searches = new CrossEntropy[CELLS];
      float[][] found = new float[CELLS][centre.length];
      int averaged = (count + 1) / 2;
      for (int c = 0; c < CELLS; c++) {
        if (searches[tie.of(c)] == null) {
          searches[tie.of(c)] =
              new CrossEntropy(
                  new float[centre.length],
                  2,
                  settings.deviation() * width,
                  settings.population(),
                  settings.elite(),
                  settings.seed(),
                  STREAM + 0x100L * tie.of(c));
        }
      }
      for (int g = round; g < round + count; g++) {
        for (CrossEntropy search : searches) {
          if (search != null) {
            search.sample(g);
          }
        }
        float[][][][] sampled = new float[settings.population()][][][];
        for (int p = 0; p < sampled.length; p++) {
          int vector = p;
          sampled[p] = shifted(from, c -> searches[tie.of(c)].vector(vector));
        }
        int offset = (int) ((long) g * served % (rounds.count() - served + 1));
        double[][] values = values(sampled, rounds.slice(offset, served));
        for (int s = 0; s < searches.length; s++) {
          if (searches[s] != null) {
            searches[s].update(worth(values, tie, s));
            float[] mean = searches[s].mean();
            for (int k = 0; g >= round + count - averaged && k < mean.length; k++) {
              found[s][k] += mean[k] / averaged;
            }
          }
        }
        progress.accept(++done);
      }
      return shifted(from, c -> found[tie.of(c)]);
    }

    private float[][][] shifted(float[][][] from, Cells shifts) {
      float[][][] vectors = new float[Simulator.SEGMENTS][SimulatorRollout.BUCKETS][centre.length];
      for (int c = 0; c < CELLS; c++) {
        int segment = c / SimulatorRollout.BUCKETS;
        int bucket = c % SimulatorRollout.BUCKETS;
        float[] shift = shifts.vector(c);
        for (int k = 0; k < centre.length; k++) {
          double low = Math.max(-1, centre[k] - reach);
          double high = Math.min(1, centre[k] + reach);
          double sum = (double) from[segment][bucket][k] + shift[k];
          vectors[segment][bucket][k] = (float) Math.max(low, Math.min(high, sum));
        }
      }
      return vectors;
    }

    /** Worth of each assembled set for one search: the sum over segments that it has cells in. */
    private static double[] worth(double[][] values, Tie tie, int search) {
      double[] sums = new double[values.length];
      for (int segment = 0; segment < Simulator.SEGMENTS; segment++) {
        boolean part = false;
        for (int b = 0; b < SimulatorRollout.BUCKETS; b++) {
          part |= tie.of(segment * SimulatorRollout.BUCKETS + b) == search;
        }
        for (int p = 0; part && p < values.length; p++) {
          sums[p] += values[p][segment];
        }
      }
      return sums;
    }

    /** For each group of tied cells the best option, on training users that shaped none of them. */
    float[][][] choose(Tie tie, float[][][]... options) {
      double[][] values = values(options, choice);
      float[][][] chosen = new float[Simulator.SEGMENTS][][];
      for (int segment = 0; segment < Simulator.SEGMENTS; segment++) {
        double[] worth = worth(values, tie, tie.of(segment * SimulatorRollout.BUCKETS));
        int best = 0;
        for (int o = 1; o < options.length; o++) {
          best = worth[o] > worth[best] ? o : best;
        }
        chosen[segment] = options[best][segment];
      }
      return chosen;
    }

    /** Value of each option in each segment, on some users: {@code [option][segment]}. */
    private double[][] values(float[][][][] options, UserRange range) {
      double[][] values = new double[options.length][Simulator.SEGMENTS];
      IntStream.range(0, options.length)
          .parallel()
          .forEach(
              o -> {
                int[] segments = new int[range.count()];
                UserTotals totals =
                    serve(
                        world, options[o], null, settings.seed(), range, settings.days(), segments);
                double[] of = settings.objective().of(totals);
                for (int u = 0; u < of.length; u++) {
                  values[o][segments[u]] += of[u];
                }
              });
      return values;
    }
  }

  /** A vector of each cell. */
  @FunctionalInterface
  private interface Cells {
    float[] vector(int cell);
  }

  /**
   * The request oracle's objective that serves training users best: the reward or valid consumption
   * of the next page, with more or less weight on the user's satisfaction.
   */
  public static RequestObjective searchRequestObjective(
      Simulator world, ConstantVectorSearch.Settings settings) {
    SimulatorConfig c = world.config();
    float[][] weights = {
      {
        (float) c.validReward(),
        (float) c.watchReward(),
        (float) c.finishReward(),
        (float) c.likeReward(),
        (float) c.positiveReward()
      },
      {1, 0, 0, 0, 0}
    };
    RequestObjective[] options = new RequestObjective[weights.length * LONG_TERM.length];
    for (int o = 0; o < options.length; o++) {
      options[o] =
          new RequestObjective(weights[o / LONG_TERM.length], LONG_TERM[o % LONG_TERM.length]);
    }
    UserRange users = world.trainUsers().slice(0, settings.users());
    double[] values = new double[options.length];
    IntStream.range(0, options.length)
        .parallel()
        .forEach(
            o ->
                values[o] =
                    Arrays.stream(
                            settings
                                .objective()
                                .of(
                                    evaluate(
                                        world,
                                        options[o],
                                        settings.seed(),
                                        users,
                                        settings.days())))
                        .sum());
    int best = 0;
    for (int o = 1; o < options.length; o++) {
      best = values[o] > values[best] ? o : best;
    }
    return options[best];
  }

  /** What users do when served by an action oracle's vectors {@code [segment][bucket][A]}. */
  public static UserTotals evaluate(
      Simulator world, float[][][] vectors, long seed, UserRange users, int days) {
    return serve(world, vectors, null, seed, users, days, new int[users.count()]);
  }

  /** What users do when candidates are ranked by their true expectations. */
  public static UserTotals evaluate(
      Simulator world, RequestObjective objective, long seed, UserRange users, int days) {
    return serve(world, null, objective, seed, users, days, new int[users.count()]);
  }

  private static UserTotals serve(
      Simulator world,
      float[][][] vectors,
      RequestObjective objective,
      long seed,
      UserRange users,
      int days,
      int[] segments) {
    SimulatorRollout rollout = world.rollout(seed, users, days, LANES);
    int size = world.actionSize();
    float[] actions = new float[LANES * size];
    while (rollout.active() > 0) {
      for (int i = 0; i < rollout.active(); i++) {
        int segment = rollout.segment(i);
        segments[rollout.users()[i] - users.first()] = segment;
        if (vectors != null) {
          System.arraycopy(vectors[segment][rollout.bucket(i)], 0, actions, i * size, size);
        }
      }
      if (vectors == null) {
        rollout.serveByTrueValue(objective.weights(), objective.longTerm());
      } else {
        rollout.serve(actions);
      }
      rollout.advance();
    }
    return rollout.totals();
  }
}
