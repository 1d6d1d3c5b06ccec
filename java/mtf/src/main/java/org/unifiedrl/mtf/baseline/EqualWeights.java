package org.unifiedrl.mtf.baseline;

import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.session.Environment;

/**
 * The paper's "ES" idea of a starting point: every score has the same power and the same bias. The
 * bias of 0.01 does more than guard against zero: it exceeds typical scores of rare behaviours (a
 * like's 0.004), and so flattens them.
 */
public final class EqualWeights {

  private EqualWeights() {}

  /** The equal-weights policy of an environment: all powers 1, all biases 0.01. */
  public static ConstantPolicy of(Environment environment) {
    return of(environment.stateSize(), environment.actionMap(), 1, 0.01);
  }

  /**
   * A policy with one power and one bias for all scores.
   *
   * @throws IllegalArgumentException if the map cannot express them
   */
  public static ConstantPolicy of(int stateSize, ActionMap map, double power, double bias) {
    int k = map.scores();
    float[] action = new float[2 * k];
    for (int i = 0; i < k; i++) {
      action[i] = (float) map.actionOfPower(i, power);
      action[k + i] = (float) map.actionOfBias(i, bias);
    }
    return new ConstantPolicy(stateSize, action);
  }
}
