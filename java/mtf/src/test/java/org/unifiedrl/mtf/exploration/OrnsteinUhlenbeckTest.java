package org.unifiedrl.mtf.exploration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.FloatRange;
import org.junit.jupiter.api.Test;

class OrnsteinUhlenbeckTest {

  private static final int USERS = 4_000;

  /**
   * Variance sigma^2 at every request, the first included, and correlation rho^lag: five standard
   * errors over independent users.
   */
  @Test
  void isStationaryWithTheCorrelationOfItsProcess() {
    double sigma = 0.1; // ten deviations from the edges
    double rho = 0.8;
    Draws draws = Draws.of(OrnsteinUhlenbeck.isotropic(2, 0.1f, rho), 5, USERS, 12, new float[2]);
    for (int request = 0; request < 12; request++) {
      for (int lag = 0; lag <= request; lag++) {
        double sum = 0;
        for (int user = 0; user < USERS; user++) {
          double now = draws.action(request * USERS + user, 1);
          sum += now * draws.action((request - lag) * USERS + user, 1);
        }
        double expected = Math.pow(rho, lag);
        double error = Math.sqrt((1 + expected * expected) / USERS);
        assertThat(sum / USERS / (sigma * sigma)).isCloseTo(expected, within(5 * error));
      }
    }
    double across = 0;
    for (int row = 0; row < USERS; row++) {
      across += draws.action(row, 0) * draws.action(row, 1) / (sigma * sigma);
    }
    assertThat(across / USERS).isCloseTo(0, within(5 / Math.sqrt(USERS)));
  }

  /** Kolmogorov and Smirnov at every request: sqrt(n) D exceeds 1.95 once in a thousand. */
  @Test
  void everyRequestAloneIsGaussian() {
    Draws draws = Draws.of(OrnsteinUhlenbeck.isotropic(1, 0.1f, 0.9), 6, USERS, 5, new float[1]);
    for (int request = 0; request < 5; request++) {
      float[] now =
          java.util.Arrays.copyOfRange(draws.actions(), request * USERS, (request + 1) * USERS);
      double distance = Draws.kolmogorov(now, x -> 0.5 + Normal.centralMass(x / 0.1f));
      assertThat(distance * Math.sqrt(USERS)).isLessThan(1.95);
    }
  }

  /** While nothing is clipped the noise before is the action before, so the log can be checked. */
  @Test
  void loggedDensityIsThatGivenTheNoiseBefore() {
    double rho = 0.7;
    float[] mean = {0.1f};
    Draws draws = Draws.of(OrnsteinUhlenbeck.isotropic(1, 0.1f, rho), 7, 100, 4, mean);
    double deviation = 0.1f * Math.sqrt(1 - rho * rho);
    for (int user = 0; user < 100; user++) {
      assertThat((double) draws.logDensity()[user])
          .isCloseTo(Gaussian.logDensity(draws.actions()[user], 0.1f, 0.1f), within(1e-5));
      for (int request = 1; request < 4; request++) {
        int row = request * 100 + user;
        double before = draws.actions()[row - 100] - 0.1f;
        assertThat((double) draws.logDensity()[row])
            .isCloseTo(
                Gaussian.logDensity(draws.actions()[row], 0.1f + rho * before, deviation),
                within(1e-4));
      }
    }
  }

  /** The mean weight of another policy of the same measure is 1, clipped actions included. */
  @Test
  void importanceWeightsAverageToOneAtEveryRequest() {
    Draws draws =
        Draws.of(OrnsteinUhlenbeck.isotropic(1, 0.2f, 0.5), 8, 40_000, 4, new float[] {0.9f});
    for (int request = 0; request < 4; request++) {
      double sum = 0;
      double squares = 0;
      int clipped = 0;
      for (int user = 0; user < 40_000; user++) {
        int row = request * 40_000 + user;
        clipped += draws.actions()[row] == 1 ? 1 : 0;
        double weight =
            Math.exp(Gaussian.logDensity(draws.actions()[row], 0.9, 0.1) - draws.logDensity()[row]);
        sum += weight;
        squares += weight * weight;
      }
      double mean = sum / 40_000;
      double error = Math.sqrt((squares / 40_000 - mean * mean) / 40_000);
      assertThat(clipped).isGreaterThan(8_000);
      assertThat(error).isLessThan(0.05);
      assertThat(mean).isCloseTo(1, within(5 * error));
    }
  }

  @Property(tries = 200)
  void staysInTheActionRange(
      @ForAll long seed,
      @ForAll @FloatRange(min = -1, max = 1) float mean,
      @ForAll @FloatRange(min = 0.01f, max = 2) float sigma) {
    Draws draws =
        Draws.of(OrnsteinUhlenbeck.isotropic(1, sigma, 0.95), seed, 2, 5, new float[] {mean});
    for (int i = 0; i < 10; i++) {
      assertThat(draws.actions()[i]).isBetween(-1f, 1f);
      assertThat(draws.logDensity()[i]).isFinite();
    }
    assertThat(draws.low()).containsOnly(-1);
    assertThat(draws.high()).containsOnly(1);
  }

  /** A new session of the same user, and a rollout of its own, start without memory. */
  @Test
  void sessionsStartAnewAndLanesMayMove() {
    Explorer explorer = OrnsteinUhlenbeck.isotropic(1, 0.1f, 0.9);
    Explorer alone = explorer.forRollout();
    float first = one(alone, 5, 50, 0);
    float second = one(alone, 5, 50, 1);
    float third = one(alone, 5, 51, 2);
    assertThat(one(explorer.forRollout(), 5, 50, 0)).isEqualTo(first);
    assertThat(one(explorer.forRollout(), 5, 50, 1)).isNotEqualTo(second);
    assertThat(one(explorer.forRollout(), 5, 51, 2)).isEqualTo(third);

    // The same requests with another user in front, who then leaves.
    Explorer together = explorer.forRollout();
    float[] actions = new float[2];
    explore(together, new int[] {4, 5}, new long[] {40, 50}, 0, actions);
    assertThat(actions[1]).isEqualTo(first);
    explore(together, new int[] {5}, new long[] {50}, 1, actions);
    assertThat(actions[0]).isEqualTo(second);
  }

  private static float one(Explorer explorer, int user, long session, long request) {
    float[] actions = new float[1];
    explore(explorer, new int[] {user}, new long[] {session}, request, actions);
    return actions[0];
  }

  private static void explore(
      Explorer explorer, int[] users, long[] sessions, long request, float[] actions) {
    int rows = users.length;
    long[] requests = new long[rows];
    java.util.Arrays.fill(requests, request);
    explorer.explore(
        1,
        users,
        sessions,
        requests,
        rows,
        new float[rows],
        actions,
        new float[rows],
        new float[rows],
        new float[rows]);
  }

  @Test
  void badSettingsAreNamed() {
    assertThatThrownBy(() -> OrnsteinUhlenbeck.isotropic(2, 0.1f, 1))
        .hasMessageContaining("correlation of successive noise is 1.0");
    assertThatThrownBy(() -> OrnsteinUhlenbeck.isotropic(2, 0, 0.5)).hasMessageContaining("sigma");
  }
}
