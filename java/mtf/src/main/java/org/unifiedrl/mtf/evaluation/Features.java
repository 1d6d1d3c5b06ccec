package org.unifiedrl.mtf.evaluation;

/** What a linear reward model sees of a context and an action. Immutable. */
public interface Features {

  /** Number of features, without a constant: models have their own intercept. */
  int size();

  /** Writes the features of one step to {@code into[at ..]}. */
  void write(float[] contexts, int contextAt, float[] actions, int actionAt, double[] into, int at);

  /**
   * Context, action and all their products. Linear in the action: where actions are one-hot, the
   * features of a vector of probabilities are the expected features of the action drawn from it.
   */
  static Features bilinear(int contextSize, int actionSize) {
    return new PolynomialFeatures(contextSize, actionSize, PolynomialFeatures.Products.NONE);
  }

  /**
   * {@link #bilinear}, and the square of every action dimension: a reward with its optimum at an
   * action that depends on the context.
   */
  static Features quadratic(int contextSize, int actionSize) {
    return new PolynomialFeatures(contextSize, actionSize, PolynomialFeatures.Products.SQUARES);
  }

  /**
   * {@link #quadratic}, and the products of two different action dimensions: 45 more coefficients
   * in ten dimensions, which cost more by their noise than they gain unless dimensions interact.
   */
  static Features interacting(int contextSize, int actionSize) {
    return new PolynomialFeatures(contextSize, actionSize, PolynomialFeatures.Products.ALL);
  }
}
