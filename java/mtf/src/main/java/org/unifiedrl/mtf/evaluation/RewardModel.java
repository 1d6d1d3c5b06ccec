package org.unifiedrl.mtf.evaluation;

/**
 * What a step is expected to be worth, given its context and action: a reward or a return,
 * whichever the model was made for. Implementations may hold scratch memory: one thread at a time.
 */
public interface RewardModel {

  /**
   * Expected worth of one step.
   *
   * @param contexts holds the step's context from {@code contextAt} on
   * @param actions holds the step's action from {@code actionAt} on
   */
  double expected(float[] contexts, int contextAt, float[] actions, int actionAt);
}
