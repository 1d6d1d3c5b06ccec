package org.unifiedrl.mtf.pendulum;

import java.util.function.Supplier;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.policy.Policy;

/**
 * Gymnasium's Pendulum-v1: a pendulum that hangs anywhere is to be swung up and held, by a torque
 * too small to lift it at once. State: cosine and sine of its angle (0 is upright) and its angular
 * velocity in rad/s, within 8. Action: the torque in N m, within 2, as a share of that in [-1, 1].
 * Reward of a step: -(angle^2 + 0.1 velocity^2 + 0.001 torque^2), before the step.
 */
public final class Pendulum {

  /** Features of a state. */
  public static final int STATES = 3;

  /** Largest torque. */
  public static final double MAX_TORQUE = 2;

  /** Steps of an episode. */
  public static final int STEPS = 200;

  private static final double MAX_VELOCITY = 8;
  private static final double SECONDS = 0.05;
  private static final double GRAVITY = 10;

  // What the data's authors normalise by: returns of random actions and of a trained policy.
  private static final double RANDOM = -1187.1;
  private static final double EXPERT = -151.7;

  private double angle;
  private double velocity;

  /**
   * A pendulum.
   *
   * @param angle in rad, 0 upright
   * @param velocity in rad/s
   */
  public Pendulum(double angle, double velocity) {
    this.angle = angle;
    this.velocity = velocity;
  }

  /** Writes the state's features. */
  public void state(float[] target, int at) {
    target[at] = (float) Math.cos(angle);
    target[at + 1] = (float) Math.sin(angle);
    target[at + 2] = (float) velocity;
  }

  /**
   * Goes on by one step.
   *
   * @param torque in N m; cut to the largest
   * @return the reward
   */
  public double step(double torque) {
    double u = Math.max(-MAX_TORQUE, Math.min(MAX_TORQUE, torque));
    double turned = angle - 2 * Math.PI * Math.floor((angle + Math.PI) / (2 * Math.PI));
    double cost = turned * turned + 0.1 * velocity * velocity + 0.001 * u * u;
    double faster = velocity + (1.5 * GRAVITY * Math.sin(angle) + 3 * u) * SECONDS;
    velocity = Math.max(-MAX_VELOCITY, Math.min(MAX_VELOCITY, faster));
    angle += velocity * SECONDS;
    return -cost;
  }

  /**
   * Mean return of a policy over episodes that begin at uniform angles and velocities within 1.
   *
   * @param seed key of the beginnings
   */
  public static double meanReturn(Supplier<Policy> policies, int episodes, long seed) {
    Policy policy = policies.get();
    Pendulum[] pendulums = new Pendulum[episodes];
    for (int e = 0; e < episodes; e++) {
      pendulums[e] =
          new Pendulum(
              (2 * Philox.uniform(seed, e, 0) - 1) * Math.PI, 2 * Philox.uniform(seed, e, 1) - 1);
    }
    float[] states = new float[episodes * STATES];
    float[] actions = new float[episodes];
    double sum = 0;
    for (int t = 0; t < STEPS; t++) {
      for (int e = 0; e < episodes; e++) {
        pendulums[e].state(states, e * STATES);
      }
      policy.act(states, episodes, actions);
      for (int e = 0; e < episodes; e++) {
        sum += pendulums[e].step(actions[e] * MAX_TORQUE);
      }
    }
    return sum / episodes;
  }

  /** A mean return on the scale from 0, random actions, to 100, a trained policy. */
  public static double score(double meanReturn) {
    return 100 * (meanReturn - RANDOM) / (EXPERT - RANDOM);
  }
}
