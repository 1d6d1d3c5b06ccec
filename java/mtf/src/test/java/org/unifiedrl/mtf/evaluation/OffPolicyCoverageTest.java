package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/**
 * Estimators in worlds whose true values are known by summation: their errors average to nothing,
 * and their 95 % intervals hold the truth about as often as they say.
 */
class OffPolicyCoverageTest {

  private static final int REPETITIONS = 300;
  private static final double NO_CAP = Double.POSITIVE_INFINITY;

  // Four contexts, three actions.
  private static final double[][] LOGGING = {
    {0.2, 0.3, 0.5}, {0.5, 0.25, 0.25}, {0.3, 0.4, 0.3}, {0.15, 0.6, 0.25}
  };
  private static final double[][] TARGET = {
    {0.5, 0.3, 0.2}, {0.1, 0.3, 0.6}, {0.3, 0.1, 0.6}, {0.5, 0.3, 0.2}
  };
  private static final double[][] REWARD = {{3, 1, 0}, {0, 2, 1}, {1, 0, 3}, {2, 1, -1}};

  private static double truth() {
    double value = 0;
    for (int s = 0; s < 4; s++) {
      for (int a = 0; a < 3; a++) {
        value += 0.25 * TARGET[s][a] * REWARD[s][a];
      }
    }
    return value;
  }

  private static int draw(SplittableRandom random, double[] probabilities) {
    double left = random.nextDouble();
    int drawn = 0;
    while (drawn < probabilities.length - 1 && left >= probabilities[drawn]) {
      left -= probabilities[drawn++];
    }
    return drawn;
  }

  /** Errors and covered repetitions of one estimator. */
  private static final class Tally {
    private double sum;
    private double squares;
    private int covered;

    void add(OffPolicyEstimate estimate, double truth) {
      assertThat(estimate.refused()).isFalse();
      sum += estimate.value() - truth;
      squares += (estimate.value() - truth) * (estimate.value() - truth);
      covered += estimate.low() <= truth && truth <= estimate.high() ? 1 : 0;
    }

    double bias() {
      return sum / REPETITIONS;
    }

    double standardError() {
      return Math.sqrt((squares / REPETITIONS - bias() * bias()) / REPETITIONS);
    }

    double coverage() {
      return (double) covered / REPETITIONS;
    }

    @Override
    public String toString() {
      return "bias %.4f +- %.4f, coverage %.3f".formatted(bias(), standardError(), coverage());
    }
  }

  /**
   * 400 steps of 200 units that differ.
   *
   * @param known whether the model's context tells the four contexts apart
   */
  private static Map<String, Tally> bandit(boolean known) {
    Map<String, Tally> tallies = new LinkedHashMap<>();
    for (int repeat = 0; repeat < REPETITIONS; repeat++) {
      SplittableRandom random = new SplittableRandom(100 + repeat);
      int rows = 400;
      int size = known ? 4 : 1;
      float[] contexts = new float[rows * size];
      float[] actions = new float[rows * 3];
      float[] targets = new float[rows * 3];
      double[] values = new double[rows];
      double[] weights = new double[rows];
      long[] units = new long[rows];
      PairedBootstrap bootstrap = new PairedBootstrap(repeat, 200);
      Map<String, OffPolicyEstimator> estimators = new LinkedHashMap<>();
      Ipw ipw = new Ipw(bootstrap);
      Snipw snipw = new Snipw(bootstrap);
      estimators.put("ipw", ipw);
      estimators.put("snipw", snipw);
      double mood = 0;
      for (int i = 0; i < rows; i++) {
        units[i] = i / 2;
        mood = i % 2 == 0 ? 0.7 * gaussian(random) : mood;
        int s = random.nextInt(4);
        int a = draw(random, LOGGING[s]);
        contexts[known ? i * 4 + s : i] = 1;
        actions[i * 3 + a] = 1;
        for (int b = 0; b < 3; b++) {
          targets[i * 3 + b] = (float) TARGET[s][b];
        }
        values[i] = REWARD[s][a] + mood + gaussian(random);
        weights[i] = TARGET[s][a] / LOGGING[s][a];
        ipw.add(TARGET[s][a], LOGGING[s][a], values[i], units[i]);
        snipw.add(TARGET[s][a], LOGGING[s][a], values[i], units[i]);
      }
      LoggedSteps log = new LoggedSteps(contexts, size, actions, 3, values, units);
      CrossFit models = CrossFit.ridge(log, Features.bilinear(size, 3), 5, 1e-3, repeat);
      Map<String, DoublyRobust> modelled = new LinkedHashMap<>();
      modelled.put("dm", DoublyRobust.directMethod(bootstrap));
      modelled.put("dr", DoublyRobust.plain(NO_CAP, bootstrap));
      modelled.put("sndr", DoublyRobust.selfNormalised(NO_CAP, bootstrap));
      modelled.put("switch", DoublyRobust.switching(2, bootstrap));
      modelled.values().forEach(e -> models.judge(targets, weights, e));
      estimators.putAll(modelled);
      // The direct method again, its interval without what the log says about the model's error.
      DoublyRobust bare = DoublyRobust.directMethod(bootstrap);
      for (int i = 0; i < rows; i++) {
        RewardModel model = models.model(i);
        bare.add(
            weights[i],
            values[i],
            model.expected(contexts, i * size, actions, i * 3),
            model.expected(contexts, i * size, targets, i * 3),
            units[i]);
      }
      estimators.put("bare dm", bare);
      estimators.forEach(
          (name, e) -> tallies.computeIfAbsent(name, n -> new Tally()).add(e.estimate(), truth()));
    }
    return tallies;
  }

  private static double gaussian(SplittableRandom random) {
    return Math.sqrt(-2 * Math.log(1 - random.nextDouble()))
        * Math.cos(2 * Math.PI * random.nextDouble());
  }

  private static void holds(Map<String, Tally> tallies, String... names) {
    for (String name : names) {
      Tally tally = tallies.get(name);
      // The penalty of 0.001 shrinks the model by some thousandths of a reward of about 1.
      assertThat(Math.abs(tally.bias()))
          .as("%s: %s", name, tally)
          .isLessThan(4 * tally.standardError() + 2e-3);
      assertThat(tally.coverage()).as("%s: %s", name, tally).isBetween(0.88, 0.99);
    }
  }

  @Test
  void withAModelThatCanBeRight() {
    Map<String, Tally> tallies = bandit(true);
    holds(tallies, "ipw", "snipw", "dm", "dr", "sndr", "switch");
    assertThat(tallies.get("dr").standardError())
        .as("%s", tallies)
        .isLessThan(tallies.get("ipw").standardError());
    assertThat(tallies.get("bare dm").coverage()).as("%s", tallies).isLessThan(0.8);
  }

  @Test
  void withAModelThatCannot() {
    Map<String, Tally> tallies = bandit(false);
    holds(tallies, "dr", "sndr");
    Tally direct = tallies.get("dm");
    assertThat(Math.abs(direct.bias())).as("%s", direct).isGreaterThan(20 * direct.standardError());
    assertThat(direct.coverage()).as("%s", direct).isLessThan(0.5);
  }

  // Two states, two actions, up to five steps: value by recursion.
  private static final double[][] STEP_LOGGING = {{0.5, 0.5}, {0.4, 0.6}};
  private static final double[][] STEP_TARGET = {{0.65, 0.35}, {0.3, 0.7}};
  private static final double[][] STEP_REWARD = {{1, 0}, {0.5, 2}};
  private static final double[][] STAYS = {{0.9, 0.6}, {0.5, 0.8}};
  private static final double[][] TO_SECOND = {{0.3, 0.6}, {0.5, 0.9}};
  private static final int HORIZON = 5;
  private static final double DISCOUNT = 0.9;

  private static double truth(int state, int step) {
    double value = 0;
    for (int a = 0; a < 2; a++) {
      double next =
          step == HORIZON - 1
              ? 0
              : STAYS[state][a]
                  * (TO_SECOND[state][a] * truth(1, step + 1)
                      + (1 - TO_SECOND[state][a]) * truth(0, step + 1));
      value += STEP_TARGET[state][a] * (STEP_REWARD[state][a] + DISCOUNT * next);
    }
    return value;
  }

  @Test
  void perDecisionOverSessions() {
    Map<String, Tally> tallies = new LinkedHashMap<>();
    double truth = truth(0, 0);
    for (int repeat = 0; repeat < REPETITIONS; repeat++) {
      SplittableRandom random = new SplittableRandom(1000 + repeat);
      PairedBootstrap bootstrap = new PairedBootstrap(repeat, 200);
      PerDecision plain =
          new PerDecision(new PerDecision.Settings(false, NO_CAP, DISCOUNT), bootstrap);
      PerDecision normalised =
          new PerDecision(new PerDecision.Settings(true, NO_CAP, DISCOUNT), bootstrap);
      for (int session = 0; session < 400; session++) {
        int state = 0;
        boolean stays = true;
        for (int step = 0; step < HORIZON && stays; step++) {
          int a = draw(random, STEP_LOGGING[state]);
          double ratio = STEP_TARGET[state][a] / STEP_LOGGING[state][a];
          double reward = STEP_REWARD[state][a] + 0.5 * gaussian(random);
          plain.add(ratio, reward, session, session / 2);
          normalised.add(ratio, reward, session, session / 2);
          stays = random.nextDouble() < STAYS[state][a];
          state = random.nextDouble() < TO_SECOND[state][a] ? 1 : 0;
        }
      }
      tallies.computeIfAbsent("pdis", n -> new Tally()).add(plain.estimate(), truth);
      tallies.computeIfAbsent("snpdis", n -> new Tally()).add(normalised.estimate(), truth);
    }
    holds(tallies, "pdis", "snpdis");
  }
}
