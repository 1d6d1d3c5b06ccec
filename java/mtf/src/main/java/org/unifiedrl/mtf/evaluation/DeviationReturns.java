package org.unifiedrl.mtf.evaluation;

import java.util.Arrays;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.algorithm.CriticEnsemble;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Rollout;

/**
 * What single deviations from a served policy are worth, to hold critics against: at one request of
 * each user the action is drawn uniformly from a region around the served one, and all other
 * requests get the served one. The discounted return from that request to the end of its session is
 * an unbiased sample of Q(s, a) of the served policy. The same user with the same draws and without
 * the deviation gives Q(s, mu(s)), and the difference a sample of the deviation's advantage in
 * which most of the users' luck cancels. Immutable.
 */
public final class DeviationReturns {

  /** Keeps the deviations apart from an environment's draws under the same seed. */
  private static final long STREAM = 0x4456L << 40;

  /** Deviations are at one of a user's first requests; users that leave before it do not count. */
  private static final int REQUESTS = 6;

  private static final int SLICE = 256;

  /**
   * Whom to serve, and how.
   *
   * @param seed key of all draws
   * @param users users to serve, best those that no critic learned from
   * @param days days that each user is followed, at least 1
   * @param halfWidth half the region's width in every dimension, positive; cut at the action range
   * @param discount of future rewards (gamma), in [0, 1]
   * @param groupWeights weight of each reward group (w_i)
   */
  public record Settings(
      long seed,
      UserRange users,
      int days,
      double halfWidth,
      double discount,
      double[] groupWeights) {

    /** Checks every value. */
    public Settings {
      if (users.count() < 1
          || days < 1
          || !(halfWidth > 0)
          || !(discount >= 0 && discount <= 1)
          || groupWeights.length < 1) {
        throw new IllegalArgumentException(
            "deviations need users, days and group weights of at least 1, a positive half-width and"
                + " a discount in [0, 1]; got %d, %d, %d, %s, %s"
                    .formatted(users.count(), days, groupWeights.length, halfWidth, discount));
      }
    }
  }

  /** One deviation: the state, both actions, and both returns. */
  private record Sample(float[] state, float[] actions, double deviated, double served) {}

  /**
   * What critics say of the deviations beside what they were worth; one value for each, in the same
   * order for all critics.
   *
   * @param advantage SUM_i w_i (Qbar_i(s, a) - Qbar_i(s, mu(s)))
   * @param actualAdvantage difference of the two returns
   * @param value SUM_i w_i Qbar_i(s, a)
   * @param actualReturn return with the deviation
   */
  public record Judgement(
      double[] advantage, double[] actualAdvantage, double[] value, double[] actualReturn) {

    /** Number of deviations. */
    public int samples() {
      return advantage.length;
    }

    /**
     * Correlation of advantage and its actual samples. Their noise lowers it for all critics by the
     * same factor.
     */
    public Interval correlation(PairedBootstrap bootstrap) {
      return bootstrap.interval(
          s -> {
            double covariance = s[2] - s[0] * s[1] / s[5];
            double variances = (s[3] - s[0] * s[0] / s[5]) * (s[4] - s[1] * s[1] / s[5]);
            return variances > 0 ? covariance / Math.sqrt(variances) : Double.NaN;
          },
          advantage,
          actualAdvantage,
          products(advantage, actualAdvantage),
          products(advantage, advantage),
          products(actualAdvantage, actualAdvantage),
          ones());
    }

    /**
     * Mean squared error of the advantage over that of knowing nothing, which says 0; negative
     * where the critics know something. The samples' noise is in neither: E(x - D)^2 - E D^2 = E(x
     * - A)^2 - E A^2 for noise that the prediction does not know.
     */
    public Interval excessError(PairedBootstrap bootstrap) {
      return bootstrap.ratio(excess(), ones());
    }

    /** Excess error less that of other critics, on the same deviations. */
    public Interval excessErrorMinus(Judgement other, PairedBootstrap bootstrap) {
      double[] difference = excess();
      double[] others = other.excess();
      Arrays.setAll(difference, i -> difference[i] - others[i]);
      return bootstrap.ratio(difference, ones());
    }

    /** Root mean squared error of the value against the return, whose own noise it contains. */
    public double valueError() {
      return Math.sqrt(
          IntStream.range(0, samples())
              .mapToDouble(i -> Math.pow(value[i] - actualReturn[i], 2))
              .average()
              .orElse(Double.NaN));
    }

    private double[] excess() {
      double[] excess = new double[samples()];
      Arrays.setAll(excess, i -> advantage[i] * (advantage[i] - 2 * actualAdvantage[i]));
      return excess;
    }

    private static double[] products(double[] x, double[] y) {
      double[] products = new double[x.length];
      Arrays.setAll(products, i -> x[i] * y[i]);
      return products;
    }

    private double[] ones() {
      double[] ones = new double[samples()];
      Arrays.fill(ones, 1);
      return ones;
    }
  }

  private final Sample[] samples;

  private DeviationReturns(Sample[] samples) {
    this.samples = samples;
  }

  /**
   * Serves the users twice, by the common pool's threads; the result does not depend on how many
   * those are.
   *
   * @param served gives each thread an instance of the served policy
   */
  public static DeviationReturns collect(
      Environment environment, Supplier<? extends Policy> served, Settings settings) {
    int slices = (settings.users().count() + SLICE - 1) / SLICE;
    Sample[] samples =
        IntStream.range(0, slices)
            .parallel()
            .mapToObj(
                s -> {
                  UserRange users = settings.users().slice(s * SLICE, SLICE);
                  Run with = new Run(environment, settings, users, true);
                  Run without = new Run(environment, settings, users, false);
                  with.serve(served.get());
                  without.serve(served.get());
                  return IntStream.range(0, users.count())
                      .filter(u -> with.states[u] != null)
                      .mapToObj(
                          u ->
                              new Sample(
                                  with.states[u],
                                  with.actions[u],
                                  with.returns[u],
                                  without.returns[u]));
                })
            .flatMap(stream -> stream)
            .toArray(Sample[]::new);
    return new DeviationReturns(samples);
  }

  /** Number of deviations. */
  public int size() {
    return samples.length;
  }

  /** What critics say of them. */
  public Judgement judge(CriticEnsemble critics) {
    Judgement found =
        new Judgement(new double[size()], actualAdvantages(), new double[size()], actualReturns());
    double[] values = new double[2];
    for (int i = 0; i < size(); i++) {
      Sample sample = samples[i];
      critics.means(sample.state(), 0, sample.actions(), 2, values);
      found.value()[i] = values[0] / critics.rewardScale();
      found.advantage()[i] = (values[0] - values[1]) / critics.rewardScale();
    }
    return found;
  }

  double[] actualReturns() {
    return Arrays.stream(samples).mapToDouble(Sample::deviated).toArray();
  }

  double[] actualAdvantages() {
    return Arrays.stream(samples).mapToDouble(s -> s.deviated() - s.served()).toArray();
  }

  /** Users served once. */
  private static final class Run {

    private final Environment environment;
    private final Settings settings;
    private final UserRange users;
    private final boolean deviate;
    private final int[] requests; // of each user so far
    private final boolean[] over; // whether the session with the deviation is
    private final double[] factors; // discount of each user's next reward
    private final double[] returns;
    private final float[][] states; // at the deviation, null before it
    private final float[][] actions; // the deviated one, then the served one

    Run(Environment environment, Settings settings, UserRange users, boolean deviate) {
      this.environment = environment;
      this.settings = settings;
      this.users = users;
      this.deviate = deviate;
      requests = new int[users.count()];
      over = new boolean[users.count()];
      factors = new double[users.count()];
      returns = new double[users.count()];
      states = new float[users.count()][];
      actions = new float[users.count()][];
    }

    void serve(Policy policy) {
      int width = Math.min(64, users.count());
      int size = environment.actionSize();
      int groups = environment.rewardGroups().size();
      float[] served = new float[width * size];
      Rollout rollout = environment.rollout(settings.seed(), users, settings.days(), width);
      while (rollout.active() > 0) {
        policy.act(rollout.states(), rollout.active(), served);
        for (int lane = 0; lane < rollout.active(); lane++) {
          int user = rollout.users()[lane];
          int u = user - users.first();
          if (requests[u]++ == chosen(user)) {
            factors[u] = 1;
            keep(rollout, lane, user, served, size);
          }
        }
        rollout.serve(served);
        for (int lane = 0; lane < rollout.active(); lane++) {
          int u = rollout.users()[lane] - users.first();
          if (factors[u] > 0 && !over[u]) {
            for (int g = 0; g < groups; g++) {
              double reward = rollout.rewards()[lane * groups + g];
              returns[u] += factors[u] * settings.groupWeights()[g] * reward;
            }
            factors[u] *= settings.discount();
            over[u] = rollout.last()[lane];
          }
        }
        rollout.advance();
      }
    }

    /** The number of the user's request that gets another action. */
    private int chosen(int user) {
      return (int) (REQUESTS * Philox.uniform(settings.seed(), STREAM, user));
    }

    private void keep(Rollout rollout, int lane, int user, float[] served, int size) {
      int u = user - users.first();
      int s = environment.stateSize();
      states[u] = Arrays.copyOfRange(rollout.states(), lane * s, (lane + 1) * s);
      actions[u] = new float[2 * size];
      for (int k = 0; k < size; k++) {
        float mean = served[lane * size + k];
        double low = Math.max(mean - settings.halfWidth(), -1);
        double high = Math.min(mean + settings.halfWidth(), 1);
        double share = Philox.uniform(settings.seed(), STREAM + 1 + k, user);
        actions[u][k] = (float) Math.min(low + (high - low) * share, high);
        actions[u][size + k] = mean;
        if (deviate) {
          served[lane * size + k] = actions[u][k];
        }
      }
    }
  }
}
