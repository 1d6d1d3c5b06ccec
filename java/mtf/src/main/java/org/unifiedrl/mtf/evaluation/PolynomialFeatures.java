package org.unifiedrl.mtf.evaluation;

/** Products of at most two of a step's numbers. */
record PolynomialFeatures(int contextSize, int actionSize, Products products) implements Features {

  /** Which products of two action dimensions are features. */
  enum Products {
    NONE,
    SQUARES,
    ALL
  }

  @Override
  public int size() {
    int ofActions =
        switch (products) {
          case NONE -> 0;
          case SQUARES -> actionSize;
          case ALL -> actionSize * (actionSize + 1) / 2;
        };
    return contextSize + actionSize + contextSize * actionSize + ofActions;
  }

  @Override
  public void write(
      float[] contexts, int contextAt, float[] actions, int actionAt, double[] into, int at) {
    int next = at;
    for (int s = 0; s < contextSize; s++) {
      into[next++] = contexts[contextAt + s];
    }
    for (int a = 0; a < actionSize; a++) {
      double action = actions[actionAt + a];
      into[next++] = action;
      for (int s = 0; s < contextSize; s++) {
        into[next++] = action * contexts[contextAt + s];
      }
      for (int b = first(a); b <= a; b++) {
        into[next++] = action * actions[actionAt + b];
      }
    }
  }

  /** First of the dimensions up to {@code a} whose product with {@code a} is a feature. */
  private int first(int a) {
    return switch (products) {
      case NONE -> a + 1;
      case SQUARES -> a;
      case ALL -> 0;
    };
  }
}
