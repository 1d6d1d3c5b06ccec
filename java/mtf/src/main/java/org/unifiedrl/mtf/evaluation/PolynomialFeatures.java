package org.unifiedrl.mtf.evaluation;

/** Products of at most two of a step's numbers. */
record PolynomialFeatures(int contextSize, int actionSize, boolean squares) implements Features {

  @Override
  public int size() {
    int products = contextSize * actionSize + (squares ? actionSize * (actionSize + 1) / 2 : 0);
    return contextSize + actionSize + products;
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
      for (int b = 0; squares && b <= a; b++) {
        into[next++] = action * actions[actionAt + b];
      }
    }
  }
}
