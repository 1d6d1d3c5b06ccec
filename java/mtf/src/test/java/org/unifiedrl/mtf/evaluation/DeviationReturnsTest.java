package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.baseline.EqualWeights;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.Simulator;

class DeviationReturnsTest {

  private static final int N = 20_000;
  private static final PairedBootstrap BOOTSTRAP = new PairedBootstrap(1, 200);

  /** True advantages, predictions of them that err, and samples with noise. */
  private static DeviationReturns.Judgement judgement(double slope, double error) {
    double[] advantage = new double[N];
    double[] actual = new double[N];
    for (int i = 0; i < N; i++) {
      double truth = Philox.normal(3, 1, i);
      advantage[i] = slope * truth + error * Philox.normal(3, 2, i);
      actual[i] = truth + 2 * Philox.normal(3, 3, i);
    }
    return new DeviationReturns.Judgement(advantage, actual, advantage, actual);
  }

  /** E(x - A)^2 - E A^2 by arithmetic, A of variance 1: (slope - 1)^2 + error^2 - 1. */
  @Test
  void excessErrorAndCorrelationAreThoseOfTheTruth() {
    for (double[] critics : new double[][] {{1, 0}, {0.5, 0.5}, {0, 0.7}, {-1, 0}}) {
      DeviationReturns.Judgement judgement = judgement(critics[0], critics[1]);
      double variance = critics[0] * critics[0] + critics[1] * critics[1];
      double expected = Math.pow(critics[0] - 1, 2) + critics[1] * critics[1] - 1;
      Interval excess = judgement.excessError(BOOTSTRAP);
      // x (x - 2 D) has a standard deviation of some 5 x at most.
      assertThat(excess.mean()).isCloseTo(expected, within(5 * 6 * Math.sqrt(variance / N)));
      assertThat(excess.low()).isLessThan(excess.high());
      double correlation = critics[0] / Math.sqrt(variance * 5);
      assertThat(judgement.correlation(BOOTSTRAP).mean())
          .isCloseTo(correlation, within(5 / Math.sqrt(N)));
    }
    // The value's error against returns contains their noise: 2 for perfect critics.
    assertThat(judgement(1, 0).valueError()).isCloseTo(2, within(0.05));
  }

  @Test
  void criticsAreComparedOnTheSameDeviations() {
    DeviationReturns.Judgement good = judgement(1, 0);
    Interval difference = good.excessErrorMinus(judgement(1, 0.5), BOOTSTRAP);
    assertThat(difference.mean()).isCloseTo(-0.25, within(0.08));
    assertThat(difference.high()).isNegative();
    assertThat(good.excessErrorMinus(good, BOOTSTRAP).mean()).isZero();
  }

  /** One request as it was served. */
  private record Request(float[] action, float[] rewards, boolean last) {}

  /** A world that notes what it serves: a map for each rollout, requests by user in order. */
  private static Environment noting(Environment world, List<Map<Integer, List<Request>>> notes) {
    return proxy(
        Environment.class,
        (any, method, arguments) -> {
          Object result = method.invoke(world, arguments);
          if (!method.getName().equals("rollout")) {
            return result;
          }
          Map<Integer, List<Request>> requests = new TreeMap<>();
          notes.add(requests);
          Rollout rollout = (Rollout) result;
          return proxy(
              Rollout.class,
              (same, call, values) -> {
                Object answer = call.invoke(rollout, values);
                for (int l = 0; call.getName().equals("serve") && l < rollout.active(); l++) {
                  int a = world.actionSize();
                  int q = world.rewardGroups().size();
                  float[] served = (float[]) values[0];
                  requests
                      .computeIfAbsent(rollout.users()[l], user -> new ArrayList<>())
                      .add(
                          new Request(
                              Arrays.copyOfRange(served, l * a, (l + 1) * a),
                              Arrays.copyOfRange(rollout.rewards(), l * q, (l + 1) * q),
                              rollout.last()[l]));
                }
                return answer;
              });
        });
  }

  private static <T> T proxy(Class<T> type, InvocationHandler handler) {
    return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
  }

  private static double discounted(List<Request> requests, int from, double[] weights) {
    double sum = 0;
    double factor = 1;
    for (int r = from; r < requests.size(); r++) {
      for (int g = 0; g < weights.length; g++) {
        sum += factor * weights[g] * requests.get(r).rewards()[g];
      }
      factor *= 0.8;
      if (requests.get(r).last()) {
        break;
      }
    }
    return sum;
  }

  /** Returns by hand, from what the world served: with and without the one other action. */
  @Test
  void returnsAreThoseOfTheSessionFromTheDeviationOn() {
    List<Map<Integer, List<Request>>> notes = new ArrayList<>();
    Environment world = noting(new Simulator(), notes);
    double[] weights = {0.5, 2};
    UserRange users = new UserRange(40, 90);
    // On the second day are sessions that the deviation's return has nothing of.
    DeviationReturns.Settings settings =
        new DeviationReturns.Settings(5, users, 2, 0.3, 0.8, weights);
    DeviationReturns found =
        DeviationReturns.collect(world, () -> EqualWeights.of(world), settings);
    assertThat(notes).hasSize(2);
    List<Double> returns = new ArrayList<>();
    List<Double> advantages = new ArrayList<>();
    Map<Integer, Integer> at = new TreeMap<>();
    for (int user : notes.get(0).keySet()) {
      List<Request> with = notes.get(0).get(user);
      List<Request> without = notes.get(1).get(user);
      int deviation = 0;
      while (deviation < with.size()
          && Arrays.equals(with.get(deviation).action(), without.get(0).action())) {
        deviation++;
      }
      if (deviation == with.size()) {
        continue; // left before it
      }
      for (int r = 0; r < with.size(); r++) {
        for (int k = 0; k < world.actionSize(); k++) {
          float served = without.get(0).action()[k];
          float other = with.get(r).action()[k];
          assertThat(other).isBetween(-1f, 1f);
          assertThat((double) other - served).isBetween(-0.3 - 1e-6, 0.3 + 1e-6);
          if (r != deviation) {
            assertThat(other).isEqualTo(served);
          }
        }
      }
      at.merge(deviation, 1, Integer::sum);
      double value = discounted(with, deviation, weights);
      returns.add(value);
      advantages.add(value - discounted(without, deviation, weights));
    }
    assertThat(found.size()).isEqualTo(returns.size()).isGreaterThan(40);
    assertThat(at.keySet()).as("deviations at requests").containsExactly(0, 1, 2, 3, 4, 5);
    for (int i = 0; i < found.size(); i++) {
      assertThat(found.actualReturns()[i]).isCloseTo(returns.get(i), within(1e-9));
      assertThat(found.actualAdvantages()[i]).isCloseTo(advantages.get(i), within(1e-9));
    }
  }

  @Test
  void badSettingsAreNamed() {
    assertThatThrownBy(
            () -> new DeviationReturns.Settings(1, new UserRange(0, 5), 1, 0, 0.9, new double[2]))
        .hasMessageContaining("positive half-width");
  }
}
