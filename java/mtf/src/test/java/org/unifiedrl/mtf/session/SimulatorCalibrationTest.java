package org.unifiedrl.mtf.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.baseline.EqualWeights;

/**
 * Responses to unranked candidates against KuaiRand-Pure. All 40 candidates of each user's first
 * request are shown, with the hidden dial at 0 (it shifts, by design, around these rates).
 */
class SimulatorCalibrationTest {

  private static final int USERS = 20_000;
  private static final int ITEMS = 40;
  private static final int N = USERS * ITEMS;
  private static final float[] DURATION = new float[N];
  private static final float[] PLAY = new float[N];
  private static final boolean[][] OUTCOME = new boolean[4][N];
  private static final float[][] SCORE = new float[4][N];

  /** A world in which everybody sees one page of all candidates. */
  static Simulator onePage(double reliability) {
    SimulatorConfig d = SimulatorConfig.defaults();
    return new Simulator(
        new SimulatorConfig(
            d.worldSeed(),
            1_000_000,
            1_000_000,
            ITEMS,
            ITEMS,
            0,
            reliability,
            0,
            1,
            .01,
            .2,
            1,
            2,
            50,
            0,
            0,
            0,
            1,
            1200,
            0,
            0));
  }

  @BeforeAll
  static void serve() {
    Simulator world = onePage(0);
    float[] action = EqualWeights.of(world).action();
    SimulatorRollout rollout = world.rollout(1, new Environment.UserRange(0, USERS), 1, 1);
    int row = 0;
    while (rollout.active() > 0) {
      rollout.serve(action);
      for (int p = 0; p < ITEMS; p++, row++) {
        float[] response = rollout.pageResponses();
        DURATION[row] = world.duration[rollout.itemsOfLastLane()[rollout.pageCandidates()[p]]];
        PLAY[row] = response[p * 5 + 1];
        int b = 0;
        for (int k : new int[] {0, 2, 3, 4}) {
          OUTCOME[b][row] = response[p * 5 + k] == 1;
          SCORE[b++][row] = rollout.pageScores()[p * 5 + k];
        }
      }
      rollout.advance();
    }
    assertThat(row).isEqualTo(N);
  }

  /**
   * Per duration bucket. Sampling: the rarest cell has 6,000 rows, standard error at most .0065.
   * Systematic: the probit approximation of the averaged logistic (.01), favourite topics (.005),
   * and finishing that must not exceed valid consumption (.02 where both are near .3).
   */
  @Test
  void ratesByDurationAreTheLogs() {
    for (int d = 0; d < Calibration.BUCKET_ROWS.length; d++) {
      double n = 0;
      double[] sums = new double[3];
      for (int i = 0; i < N; i++) {
        if (DURATION[i] > Calibration.BUCKET_EDGES[d]
            && DURATION[i] <= Calibration.BUCKET_EDGES[d + 1]) {
          n++;
          for (int b = 0; b < 3; b++) {
            sums[b] += OUTCOME[b][i] ? 1 : 0;
          }
        }
      }
      System.out.printf(
          "duration bucket %d: rows %.0f valid %.3f (%.3f) finish %.3f (%.3f) like %.4f (%.4f)%n",
          d,
          n,
          sums[0] / n,
          Calibration.VALID[d],
          sums[1] / n,
          Calibration.FINISH[d],
          sums[2] / n,
          Calibration.LIKE[d]);
      double share = Calibration.BUCKET_ROWS[d] / Arrays.stream(Calibration.BUCKET_ROWS).sum();
      assertThat(n / N).isCloseTo(share, within(.02));
      assertThat(sums[0] / n).as("valid").isCloseTo(Calibration.VALID[d], within(.03));
      assertThat(sums[1] / n).as("finish").isCloseTo(Calibration.FINISH[d], within(.035));
      assertThat(sums[2] / n)
          .as("like")
          .isCloseTo(Calibration.LIKE[d], within(.25 * Calibration.LIKE[d]));
    }
  }

  /** The log has ln(play) of mean 2.05 and deviation 1.54, and 10 % of rows without play. */
  @Test
  void playTimesHaveTheLogsSpread() {
    double n = 0;
    double sum = 0;
    double squares = 0;
    for (float play : PLAY) {
      if (play > 0) {
        double x = Math.log(play);
        n++;
        sum += x;
        squares += x * x;
      }
    }
    double mean = sum / n;
    double deviation = Math.sqrt(squares / n - mean * mean);
    System.out.printf("ln play: mean %.3f sd %.3f, no play %.3f%n", mean, deviation, 1 - n / N);
    assertThat(mean).isCloseTo(2.05, within(.2));
    assertThat(deviation).isCloseTo(1.54, within(.2));
    assertThat(1 - n / N).isCloseTo(.10, within(.02));
  }

  /** P(like | play) rises as in the log: each bucket within 40 %, since durations mix otherwise. */
  @Test
  void likesFollowThePlayTime() {
    double[] n = new double[8];
    double[] likes = new double[8];
    for (int i = 0; i < N; i++) {
      if (PLAY[i] > 0) {
        int bucket = 0;
        while (bucket < 7 && PLAY[i] > Calibration.PLAY_EDGES[bucket]) {
          bucket++;
        }
        n[bucket]++;
        likes[bucket] += OUTCOME[2][i] ? 1 : 0;
      }
    }
    for (int k = 0; k < 8; k++) {
      double rate = likes[k] / n[k];
      System.out.printf(
          "P(like | play bucket %d) %.4f (%.4f)%n", k, rate, Calibration.LIKE_GIVEN_PLAY[k]);
      assertThat(rate)
          .as("play bucket " + k)
          .isCloseTo(Calibration.LIKE_GIVEN_PLAY[k], within(.4 * Calibration.LIKE_GIVEN_PLAY[k]));
    }
  }

  /** Real predictors reach .75 / .62 (all rows / within a user), .84 / .81, .88 / .63, .71-.81. */
  @Test
  void predictorsAreAsGoodAsRealOnes() {
    double[] all = new double[4];
    double[] within = new double[4];
    for (int b = 0; b < 4; b++) {
      all[b] = auc(SCORE[b], OUTCOME[b], 0, N);
      double weighted = 0;
      double weight = 0;
      for (int u = 0; u < USERS; u++) {
        double auc = auc(SCORE[b], OUTCOME[b], u * ITEMS, (u + 1) * ITEMS);
        if (!Double.isNaN(auc)) {
          weighted += auc;
          weight++;
        }
      }
      within[b] = weighted / weight;
      System.out.printf("behaviour %d: AUC %.3f, within users %.3f%n", b, all[b], within[b]);
    }
    assertThat(all[0]).isCloseTo(.75, within(.03));
    assertThat(within[0]).isCloseTo(.62, within(.03));
    assertThat(all[1]).isCloseTo(.84, within(.04));
    assertThat(within[1]).isCloseTo(.81, within(.04));
    assertThat(all[2]).isCloseTo(.88, within(.04));
    assertThat(within[2]).isCloseTo(.63, within(.04));
    assertThat(all[3]).isBetween(.71, .85);
  }

  /** With reliability 0 the scores are calibrated: deciles within .02, the probit approximation. */
  @Test
  void scoresAreCalibratedWithoutDistortion() {
    double[] n = new double[10];
    double[] predicted = new double[10];
    double[] happened = new double[10];
    for (int i = 0; i < N; i++) {
      int bin = (int) (10 * SCORE[0][i]);
      n[bin]++;
      predicted[bin] += SCORE[0][i];
      happened[bin] += OUTCOME[0][i] ? 1 : 0;
    }
    for (int k = 0; k < 10; k++) {
      if (n[k] > 2000) {
        assertThat(happened[k] / n[k]).isCloseTo(predicted[k] / n[k], within(.02));
      }
    }
  }

  @Test
  void quantileTablesMatchTheirDistributions() {
    float[] normal = Calibration.normalQuantiles(1000);
    assertThat(normal[975]).isCloseTo(1.9686f, within(1e-3f)); // Phi(1.9686) = .9755
    assertThat(normal[0]).isEqualTo(-normal[999], within(1e-2f));
    float[] likes = Calibration.likeLogitQuantiles(4096);
    double mean = 0;
    for (float logit : likes) {
      mean += 1 / (1 + Math.exp(-logit)) / likes.length;
    }
    assertThat(mean).isCloseTo(.085 / 4.285, within(.001)); // mean of Beta(.085, 4.2)
  }

  private static double auc(float[] scores, boolean[] outcomes, int from, int to) {
    Integer[] order = new Integer[to - from];
    Arrays.setAll(order, i -> from + i);
    Arrays.sort(order, (a, b) -> Float.compare(scores[a], scores[b]));
    double ranks = 0;
    double positives = 0;
    for (int i = 0; i < order.length; i++) {
      if (outcomes[order[i]]) {
        ranks += i + 1;
        positives++;
      }
    }
    double negatives = order.length - positives;
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives);
  }
}
