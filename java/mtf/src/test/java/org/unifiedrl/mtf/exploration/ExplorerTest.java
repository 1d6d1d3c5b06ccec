package org.unifiedrl.mtf.exploration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.FloatRange;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Philox;

class ExplorerTest {

  private static final int SIZE = 10;

  private record Rows(float[] actions, float[] low, float[] high, float[] logDensity) {}

  private static Rows draw(
      Explorer explorer, long seed, int[] users, long[] requests, float[] mean) {
    int rows = users.length;
    int size = explorer.actionSize();
    Rows d =
        new Rows(
            new float[rows * size],
            new float[rows * size],
            new float[rows * size],
            new float[rows]);
    explorer.explore(
        seed,
        users,
        new long[rows],
        requests,
        rows,
        mean,
        d.actions(),
        d.low(),
        d.high(),
        d.logDensity());
    return d;
  }

  @Property(tries = 500)
  void uniformBoxIsWellFormedAndItsDensityIsTheTruncatedBoxs(@ForAll long seed) {
    float[] mean = new float[SIZE];
    for (int k = 0; k < SIZE; k++) {
      mean[k] = Math.max(-1, Math.min(1, (float) (3 * Philox.uniform(seed, 1, k) - 1.5)));
    }
    Rows d = draw(UniformBox.symmetric(SIZE, 0.15f), seed, new int[] {5}, new long[] {9}, mean);
    double volume = 1;
    for (int k = 0; k < SIZE; k++) {
      assertThat(d.low()[k]).isBetween(-1f, 1f).isLessThan(d.high()[k]);
      assertThat(d.high()[k]).isLessThanOrEqualTo(1f);
      assertThat(d.actions()[k]).isBetween(d.low()[k], d.high()[k]);
      assertThat(d.low()[k]).isEqualTo(Math.max(mean[k] - 0.15f, -1));
      assertThat(d.high()[k]).isEqualTo(Math.min(mean[k] + 0.15f, 1));
      volume *= d.high()[k] - d.low()[k];
    }
    assertThat((double) d.logDensity()[0]).isCloseTo(-Math.log(volume), within(1e-4));
  }

  @Test
  void drawsAreKeyedBySeedUserAndRequestOnly() {
    for (Explorer explorer :
        new Explorer[] {
          UniformBox.symmetric(SIZE, 0.15f),
          Gaussian.isotropic(SIZE, 0.2f),
          TruncatedGaussian.isotropic(SIZE, 0.15f, 0.1f)
        }) {
      float[] mean = new float[3 * SIZE];
      Rows all = draw(explorer, 3, new int[] {1, 2, 1}, new long[] {7, 7, 8}, mean);
      Rows one = draw(explorer, 3, new int[] {1}, new long[] {8}, mean);
      assertThat(one.actions())
          .containsExactly(java.util.Arrays.copyOfRange(all.actions(), 20, 30));
      assertThat(one.logDensity()[0]).isEqualTo(all.logDensity()[2]);
      assertThat(all.actions()[0])
          .isNotEqualTo(all.actions()[10])
          .isNotEqualTo(all.actions()[20])
          .isNotEqualTo(all.actions()[1]);
      Rows other = draw(explorer, 4, new int[] {1}, new long[] {8}, mean);
      assertThat(other.actions()).isNotEqualTo(one.actions());
    }
  }

  /** With memory, draws depend on the user's requests so far, not on who else is there. */
  @Test
  void rolloutsOfExplorersWithMemoryCanBeRepeated() {
    for (Explorer explorer :
        new Explorer[] {
          SobolBox.symmetric(SIZE, 0.15f), OrnsteinUhlenbeck.isotropic(SIZE, 0.2f, 0.8)
        }) {
      float[] mean = new float[SIZE];
      Draws many = Draws.of(explorer, 3, 9, 3, mean);
      Draws few = Draws.of(explorer, 3, 4, 3, mean);
      assertThat(Draws.of(explorer, 3, 9, 3, mean).actions()).isEqualTo(many.actions());
      for (int request = 0; request < 3; request++) {
        for (int user = 0; user < 4; user++) {
          assertThat(few.logDensity()[request * 4 + user])
              .isEqualTo(many.logDensity()[request * 9 + user]);
          for (int k = 0; k < SIZE; k++) {
            assertThat(few.action(request * 4 + user, k))
                .isEqualTo(many.action(request * 9 + user, k));
          }
        }
      }
      assertThat(Draws.of(explorer, 4, 9, 3, mean).actions()).isNotEqualTo(many.actions());
    }
  }

  /** 20,000 draws per dimension: five standard errors of the mean and of the variance. */
  @Test
  void momentsAreThoseOfTheDistributions() {
    int n = 20_000;
    int[] users = new int[n];
    long[] requests = new long[n];
    for (int i = 0; i < n; i++) {
      users[i] = i % 100;
      requests[i] = i;
    }
    float[] mean = new float[n * 2];
    check(
        draw(
            new UniformBox(new float[] {-0.1f, -0.3f}, new float[] {0.2f, 0.1f}),
            1,
            users,
            requests,
            mean),
        0,
        n,
        0.05,
        0.3 * 0.3 / 12);
    check(draw(Gaussian.isotropic(2, 0.1f), 1, users, requests, mean), 1, n, 0, 0.01);
  }

  /** Logs of earlier versions must stay reproducible: the same keys give the same draws. */
  @Test
  void drawsStayThoseOfEarlierVersions() {
    int[] users = {7};
    long[] requests = {123};
    float[] mean = {0.2f, -0.95f};
    Rows uniform = draw(UniformBox.symmetric(2, 0.15f), 42, users, requests, mean);
    Rows normal = draw(Gaussian.isotropic(2, 0.2f), 42, users, requests, mean);
    assertThat(uniform.actions()).containsExactly(0.30457956f, -0.8254763f);
    assertThat(normal.actions()).containsExactly(0.22612302f, -1f);
  }

  private static void check(Rows d, int dimension, int n, double mean, double variance) {
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < n; i++) {
      double x = d.actions()[2 * i + dimension] - mean;
      sum += x;
      squares += x * x;
    }
    assertThat(sum / n).isCloseTo(0, within(5 * Math.sqrt(variance / n)));
    assertThat(squares / n).isCloseTo(variance, within(5 * variance * Math.sqrt(2.0 / n)));
  }

  /** Density inside plus the two point masses must be a probability: midpoint rule, error 1e-6. */
  @Property(tries = 100)
  void gaussianDensityAndEdgeMassesSumToOne(
      @ForAll @FloatRange(min = -1, max = 1) float mean,
      @ForAll @FloatRange(min = 0.05f, max = 2) float sigma) {
    double total = Math.exp(Gaussian.logDensity(-1, mean, sigma));
    total += Math.exp(Gaussian.logDensity(1, mean, sigma));
    int steps = 4000;
    for (int i = 0; i < steps; i++) {
      total += Math.exp(Gaussian.logDensity(-1 + (i + 0.5) * 2 / steps, mean, sigma)) * 2 / steps;
    }
    assertThat(total).isCloseTo(1, within(1e-5));
  }

  @Test
  void normalTailsMatchPublishedValues() {
    assertThat(Normal.logCdf(0)).isCloseTo(Math.log(0.5), within(1e-15));
    assertThat(Math.exp(Normal.logCdf(1.96))).isCloseTo(0.9750021048517795, within(1e-13));
    assertThat(Math.exp(Normal.logCdf(-2))).isCloseTo(0.02275013194817921, within(1e-14));
    assertThat(Normal.logCdf(-5)).isCloseTo(Math.log(2.866515718791939e-7), within(1e-10));
    assertThat(Normal.logCdf(-10)).isCloseTo(-53.23128515051247, within(1e-9));
    assertThat(Normal.logCdf(-3.0000001)).isCloseTo(Normal.logCdf(-2.9999999), within(1e-6));
  }

  @Test
  void gaussianEdgesCarryTheTailMass() {
    float[] mean = {1f, -1f};
    boolean edge = false;
    for (int request = 0; request < 50; request++) {
      Rows d = draw(Gaussian.isotropic(2, 0.2f), 1, new int[] {1}, new long[] {request}, mean);
      assertThat(d.low()).containsExactly(-1, -1);
      assertThat(d.high()).containsExactly(1, 1);
      if (d.actions()[0] == 1 && d.actions()[1] == -1) {
        edge = true;
        assertThat((double) d.logDensity()[0]).isCloseTo(2 * Math.log(0.5), within(1e-6));
      }
    }
    assertThat(edge).isTrue();
  }

  @Test
  void badInputIsNamed() {
    Explorer explorer = UniformBox.symmetric(2, 0.15f);
    assertThatThrownBy(
            () -> draw(explorer, 1, new int[] {1}, new long[] {1}, new float[] {0, Float.NaN}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("row 0, dimension 1 is NaN");
    assertThatThrownBy(() -> UniformBox.symmetric(2, 0)).hasMessageContaining("dimension 0");
    // Narrower than the spacing of floats near 1: the box would be empty, its density infinite.
    assertThatThrownBy(() -> UniformBox.symmetric(2, 1e-8f)).hasMessageContaining("1e-6");
    Rows narrow =
        draw(
            UniformBox.symmetric(2, UniformBox.LEAST),
            1,
            new int[] {1},
            new long[] {1},
            new float[] {1, -1});
    assertThat(narrow.logDensity()[0]).isFinite();
    assertThatThrownBy(() -> UniformBox.symmetric(0, 0.1f)).hasMessageContaining("1 .. 255");
    assertThatThrownBy(() -> Gaussian.isotropic(2, Float.NaN)).hasMessageContaining("sigma");
  }
}
