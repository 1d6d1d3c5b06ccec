package org.unifiedrl.mtf.policy;

/**
 * A policy of (user, candidate) pairs: a row is a pair, its state the user's state followed by the
 * candidate's k predicted scores, and its action fuses the scores of that candidate alone.
 */
public final class PairPolicy implements Policy {

  private final Policy actor;

  /**
   * Says that a policy's rows are pairs.
   *
   * @param actor from S + k features to A action dimensions
   */
  public PairPolicy(Policy actor) {
    this.actor = actor;
  }

  @Override
  public int stateSize() {
    return actor.stateSize();
  }

  @Override
  public int actionSize() {
    return actor.actionSize();
  }

  @Override
  public void act(float[] states, int rows, float[] actions) {
    actor.act(states, rows, actions);
  }
}
