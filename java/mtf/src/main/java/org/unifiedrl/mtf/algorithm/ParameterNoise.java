package org.unifiedrl.mtf.algorithm;

import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.policy.Policy;

/**
 * Exploration by noise on a policy's parameters (Plappert and others, "Parameter space noise for
 * exploration", ICLR 2018; specification 9): {@code theta + N(0, sigma^2)}, drawn once for a
 * session or longer, so that like states are explored alike. Since networks differ in what a
 * parameter's noise does to their actions, sigma follows the actions: {@link #adapted}.
 *
 * <p>The density of the actions over the noise is not known, and nothing here makes one up. What
 * can be logged is a bounded explorer around the perturbed policy's actions, whose density given
 * the perturbation is exact: {@link org.unifiedrl.mtf.exploration.PerturbedBox}.
 */
public final class ParameterNoise {

  /** Keeps these draws apart from others under the same seed. */
  private static final long STREAM = 0x504eL << 48;

  /** Factor of one step of {@link #adapted}. */
  private static final double RATE = 1.01;

  /** First sigma, usual (specification 9), and steps of a hundredth that lead away from it. */
  private static final double START = 0.1;

  private static final int SETTLING = 500;
  private static final int AVERAGED = 100;

  private ParameterNoise() {}

  /**
   * Perturbed weights; the normalisation of the states stays.
   *
   * @param weights the policy's
   * @param sigma standard deviation of the noise, positive and finite
   * @param seed key of the run
   * @param draw number of the perturbation, for example a session's
   */
  public static MlpPolicy.Weights perturbed(
      MlpPolicy.Weights weights, double sigma, long seed, long draw) {
    requirePositive("sigma", sigma);
    float[] parameters = weights.parameters().clone();
    for (int i = 0; i < parameters.length; i++) {
      parameters[i] += (float) (sigma * Philox.normal(seed, STREAM ^ i, draw));
    }
    return new MlpPolicy.Weights(weights.sizes(), parameters, weights.shift(), weights.scale());
  }

  /**
   * How far apart two policies' actions are: root of the mean squared difference per dimension, the
   * standard deviation of an action noise that would do as much.
   *
   * @param states row-major {@code [rows, S]}
   * @param rows at least 1
   */
  public static double distance(Policy one, Policy other, float[] states, int rows) {
    int values = rows * one.actionSize();
    if (rows < 1 || one.actionSize() != other.actionSize()) {
      throw new IllegalArgumentException(
          "policies of "
              + one.actionSize()
              + " and "
              + other.actionSize()
              + " action dimensions on "
              + rows
              + " states: expected the same dimensions and at least 1 state");
    }
    float[] actions = new float[values];
    float[] others = new float[values];
    one.act(states, rows, actions);
    other.act(states, rows, others);
    double squares = 0;
    for (int i = 0; i < values; i++) {
      double difference = (double) actions[i] - others[i];
      squares += difference * difference;
    }
    return Math.sqrt(squares / values);
  }

  /**
   * The next sigma: a hundredth more if the last perturbation moved the actions by less than it
   * should, a hundredth less if by more.
   *
   * @param distance of the policy and its last perturbation
   * @param target standard deviation that actions should have; usual are 0.1 to 0.2
   */
  public static double adapted(double sigma, double distance, double target) {
    requirePositive("sigma", sigma);
    requirePositive("target", target);
    return distance < target ? sigma * RATE : sigma / RATE;
  }

  /**
   * The sigma that {@link #adapted} comes to on some states: the policy does not change while it
   * explores, so that this can be known before.
   *
   * @param target standard deviation that actions should have
   * @param states row-major {@code [rows, S]}
   * @param rows at least 1
   * @param seed key of the perturbations
   */
  public static double settled(
      MlpPolicy.Weights weights, double target, float[] states, int rows, long seed) {
    double sigma = START;
    double logs = 0;
    try (MlpPolicy policy = new MlpPolicy(weights)) {
      for (int draw = 0; draw < SETTLING + AVERAGED; draw++) {
        try (MlpPolicy other = new MlpPolicy(perturbed(weights, sigma, seed, draw))) {
          sigma = adapted(sigma, distance(policy, other, states, rows), target);
        }
        logs += draw >= SETTLING ? Math.log(sigma) / AVERAGED : 0;
      }
    }
    return Math.exp(logs);
  }

  private static void requirePositive(String what, double value) {
    if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          what + " of parameter noise is " + value + "; expected a positive finite number");
    }
  }
}
