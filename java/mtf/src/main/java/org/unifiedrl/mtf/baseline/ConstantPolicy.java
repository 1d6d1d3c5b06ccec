package org.unifiedrl.mtf.baseline;

import org.unifiedrl.mtf.policy.Policy;

/** The same action for every request: one global fusion vector. Immutable. */
public final class ConstantPolicy implements Policy {

  private final int stateSize;
  private final float[] action;

  /**
   * Creates the policy.
   *
   * @param stateSize number of state features S, which are ignored
   * @param action normalised action, each value in [-1, 1]
   */
  public ConstantPolicy(int stateSize, float[] action) {
    if (stateSize < 0 || action.length == 0) {
      throw new IllegalArgumentException(
          "state size " + stateSize + ", action size " + action.length + ": must be at least 0, 1");
    }
    for (int k = 0; k < action.length; k++) {
      if (!(action[k] >= -1 && action[k] <= 1)) {
        throw new IllegalArgumentException(
            "action dimension " + k + " is " + action[k] + "; expected a number in [-1, 1]");
      }
    }
    this.stateSize = stateSize;
    this.action = action.clone();
  }

  @Override
  public int stateSize() {
    return stateSize;
  }

  @Override
  public int actionSize() {
    return action.length;
  }

  /** A copy of the action. */
  public float[] action() {
    return action.clone();
  }

  @Override
  public void act(float[] states, int rows, float[] actions) {
    for (int row = 0; row < rows; row++) {
      System.arraycopy(action, 0, actions, row * action.length, action.length);
    }
  }
}
