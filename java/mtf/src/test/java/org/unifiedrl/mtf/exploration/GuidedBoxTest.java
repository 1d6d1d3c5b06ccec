package org.unifiedrl.mtf.exploration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.policy.Policy;

/** Densities of explorers that choose: exact weights, bounded below, in the box. */
class GuidedBoxTest {

  private static final int USERS = 100_000;
  private static final float[] MEAN = {0.2f, -0.95f}; // the box of the second dimension is cut
  private static final double VOLUME = 0.6 * 0.35;

  /** Scores by a function of the action and the session's number. */
  private interface Scoring {
    double of(double choice, float x, float y);
  }

  private static Supplier<ActionScore> score(int size, Scoring scoring) {
    return () ->
        new ActionScore() {
          @Override
          public int stateSize() {
            return 0;
          }

          @Override
          public int actionSize() {
            return size;
          }

          @Override
          public void score(
              double choice,
              float[] state,
              int stateAt,
              float[] actions,
              int count,
              double[] scores) {
            for (int c = 0; c < count; c++) {
              scores[c] = scoring.of(choice, actions[c * size], actions[c * size + size - 1]);
            }
          }
        };
  }

  private static GuidedBox guided(Scoring scoring, int candidates, double uniform) {
    float[] half = {0.3f, 0.3f};
    return new GuidedBox(new float[] {-0.3f, -0.3f}, half, score(2, scoring), candidates, uniform);
  }

  /** Always inside; 1 / q integrates what it weighs over the box, cell by cell. */
  private static void assertWeightsAreExact(Draws d, double uniform) {
    int cells = 4;
    double[] sums = new double[cells * cells];
    double[] squares = new double[cells * cells];
    int rows = d.logDensity().length;
    for (int row = 0; row < rows; row++) {
      int cell = 0;
      for (int k = 0; k < 2; k++) {
        float low = d.low()[row * 2 + k];
        float high = d.high()[row * 2 + k];
        assertThat(d.action(row, k)).isBetween(low, high);
        int place = (int) (cells * (d.action(row, k) - low) / (high - low));
        cell = cell * cells + Math.min(place, cells - 1);
      }
      double weight = Math.exp(-d.logDensity()[row]);
      assertThat(weight).isLessThanOrEqualTo(VOLUME / uniform * (1 + 1e-4));
      sums[cell] += weight;
      squares[cell] += weight * weight;
    }
    for (int cell = 0; cell < sums.length; cell++) {
      double mean = sums[cell] / rows;
      double error = Math.sqrt((squares[cell] / rows - mean * mean) / rows);
      assertThat(mean).as("cell %d", cell).isCloseTo(VOLUME / sums.length, within(5 * error));
    }
  }

  @Test
  void weightsAreExactWhateverTheScore() {
    Draws peak = Draws.of(guided((choice, x, y) -> -x * x - 4 * y * y, 8, 0.2), 3, USERS, 1, MEAN);
    assertWeightsAreExact(peak, 0.2);
    double far = 0;
    for (int row = 0; row < USERS; row++) {
      far += Math.abs(peak.action(row, 0)) > 0.25 ? 1 : 0;
    }
    // A uniform box has x in [-0.1, 0.5], of which 0.25 / 0.6 is there.
    assertThat(far / USERS).as("it does choose").isLessThan(0.36);
    assertWeightsAreExact(
        Draws.of(guided((choice, x, y) -> Math.sin(50 * choice * x), 4, 0.1), 3, USERS, 1, MEAN),
        0.1);
  }

  /** With the action itself for a score, the density given the state is known: K x^(K-1). */
  @Test
  void theBestOfKIsDistributedAsItShould() {
    GuidedBox guided =
        new GuidedBox(
            new float[] {-0.5f}, new float[] {0.5f}, score(1, (choice, x, y) -> x), 5, 0.2);
    Draws d = Draws.of(guided, 3, USERS, 1, new float[] {0});
    double distance =
        Draws.kolmogorov(d.actions(), x -> 0.2 * (x + 0.5) + 0.8 * Math.pow(x + 0.5, 5));
    assertThat(distance).isLessThan(1.95 / Math.sqrt(USERS)); // one in a thousand is above
    // And the mean of 1 / q near a point is its inverse.
    double inverse = 0;
    double near = 0;
    for (int row = 0; row < USERS; row++) {
      if (Math.abs(d.action(row, 0) - 0.3) < 0.02) {
        inverse += Math.exp(-d.logDensity()[row]);
        near++;
      }
    }
    // Weights are 1 / 4.2 or 5, some 60 % off each, of 5,000 rows; the density is curved by 1 %.
    double density = 0.2 + 0.8 * 5 * Math.pow(0.8, 4);
    assertThat(inverse / near).isCloseTo(1 / density, within(0.12 / density));
  }

  @Test
  void withoutAGuideItIsTheUniformBox() {
    Draws d = Draws.of(guided((choice, x, y) -> x, 3, 1), 3, 1000, 1, MEAN);
    for (float density : d.logDensity()) {
      assertThat((double) density).isCloseTo(-Math.log(VOLUME), within(1e-5));
    }
  }

  /** The number that scores may depend on is one for a session and differs between them. */
  @Test
  void aSessionHasOneChoice() {
    double[] seen = new double[40];
    int[] at = {0};
    GuidedBox guided =
        guided(
            (choice, x, y) -> {
              if (at[0] % 2 == 0) {
                seen[at[0] / 2] = choice;
              }
              at[0]++;
              return x;
            },
            2,
            0.5);
    Draws.of(guided, 3, 10, 4, MEAN);
    for (int request = 1; request < 4; request++) {
      for (int user = 0; user < 10; user++) {
        assertThat(seen[request * 10 + user]).isEqualTo(seen[user]);
      }
    }
    assertThat(Arrays.stream(seen).distinct().count()).isEqualTo(10);
  }

  /** Perturbed policies: one constant each, some outside the box. */
  private static PerturbedBox perturbed(double uniform) {
    float[] half = {0.3f, 0.3f};
    return new PerturbedBox(
        new float[] {-0.3f, -0.3f},
        half,
        number ->
            new Policy() {
              @Override
              public int stateSize() {
                return 0;
              }

              @Override
              public int actionSize() {
                return 2;
              }

              @Override
              public void act(float[] states, int rows, float[] actions) {
                actions[0] = 0.2f + 0.4f * (float) Math.sin((double) (number % 1000));
                actions[1] = -0.9f;
              }
            },
        uniform);
  }

  /** A network of a session, which is closed when no request will ask for it any more. */
  private static final class Counted implements Policy, AutoCloseable {
    private final AtomicInteger open;

    Counted(AtomicInteger open) {
      this.open = open;
      open.incrementAndGet();
    }

    @Override
    public int stateSize() {
      return 1;
    }

    @Override
    public int actionSize() {
      return 2;
    }

    @Override
    public void act(float[] states, int rows, float[] actions) {
      Arrays.fill(actions, 0, 2, 0.1f);
    }

    @Override
    public void close() {
      open.decrementAndGet();
    }
  }

  @Test
  void perturbedPoliciesOfFinishedSessionsAreClosed() {
    AtomicInteger open = new AtomicInteger();
    int most = 0;
    float[] half = {0.3f, 0.3f};
    Explorer explorer =
        new PerturbedBox(new float[] {-0.3f, -0.3f}, half, number -> new Counted(open), 0.2)
            .forRollout();
    int rows = 40;
    int[] users = IntStream.range(0, rows).toArray();
    float[] out = new float[rows * 2];
    for (int session = 0; session < 50; session++) {
      long[] sessions = new long[rows];
      Arrays.fill(sessions, session * 1000L);
      for (int row = 0; row < rows; row++) {
        sessions[row] += row;
      }
      long[] requests = new long[rows];
      Arrays.fill(requests, session);
      explorer.see(new float[rows]);
      explorer.explore(
          3,
          users,
          sessions,
          requests,
          rows,
          new float[rows * 2],
          out,
          new float[rows * 2],
          new float[rows * 2],
          new float[rows]);
      most = Math.max(most, open.get());
    }
    assertThat(most).isBetween(rows, 2 * rows + 1);
  }

  @Test
  void weightsOfPerturbedPoliciesAreExactToo() {
    assertWeightsAreExact(Draws.of(perturbed(0.2), 3, USERS, 1, MEAN), 0.2);
    // A session's actions are near each other: half as far as two sessions', or less.
    Draws d = Draws.of(perturbed(0.01), 3, 5_000, 2, MEAN);
    double same = 0;
    double other = 0;
    for (int user = 0; user < 4_999; user++) {
      same += Math.abs(d.action(user, 0) - d.action(5_000 + user, 0));
      other += Math.abs(d.action(user, 0) - d.action(5_000 + user + 1, 0));
    }
    assertThat(same / other).isLessThan(0.75);
  }

  @Test
  void rolloutsCanBeRepeatedAndDoNotDependOnWhoElseIsThere() {
    for (Explorer explorer :
        new Explorer[] {guided((choice, x, y) -> choice * x - y, 4, 0.2), perturbed(0.3)}) {
      Draws many = Draws.of(explorer, 3, 9, 3, MEAN);
      Draws few = Draws.of(explorer, 3, 4, 3, MEAN);
      assertThat(Draws.of(explorer, 3, 9, 3, MEAN).actions()).isEqualTo(many.actions());
      for (int request = 0; request < 3; request++) {
        for (int user = 0; user < 4; user++) {
          assertThat(few.action(request * 4 + user, 0))
              .isEqualTo(many.action(request * 9 + user, 0));
        }
      }
      assertThat(Draws.of(explorer, 4, 9, 3, MEAN).actions()).isNotEqualTo(many.actions());
    }
  }

  @Test
  void settingsWithoutABoundOfTheDensityAreRefused() {
    assertThatThrownBy(() -> guided((choice, x, y) -> x, 4, 0))
        .hasMessageContaining("nothing bounds the density");
    assertThatThrownBy(() -> guided((choice, x, y) -> x, 1, 0.2))
        .hasMessageContaining("1 candidates");
    assertThatThrownBy(() -> perturbed(0)).hasMessageContaining("nothing bounds the density");
    assertThatThrownBy(
            () ->
                new GuidedBox(
                    new float[] {-1}, new float[] {1}, score(2, (choice, x, y) -> x), 4, 0.2))
        .hasMessageContaining("the score is of 2 action dimensions, the box of 1");
  }
}
