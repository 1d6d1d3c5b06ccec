package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

class RidgeRegressionTest {

  private static final float[] NONE = {};

  @Test
  void oneFeatureFollowsTheFormula() {
    // c = cov / (var (1 + penalty)), b = mean y - c mean x; x = 0, 1, 2, 5 and y = 1, 0, 4, 9.
    RidgeRegression regression = new RidgeRegression(Features.bilinear(0, 1), 0.25);
    float[] x = {0, 1, 2, 5};
    double[] y = {1, 0, 4, 9};
    for (int i = 0; i < 4; i++) {
      regression.add(NONE, 0, x, i, y[i]);
    }
    double slope = (53 / 4.0 - 2 * 3.5) / ((30 / 4.0 - 4) * 1.25);
    LinearModel model = regression.fit();
    assertThat(model.expected(NONE, 0, new float[] {0}, 0))
        .isCloseTo(3.5 - 2 * slope, within(1e-12));
    assertThat(model.expected(NONE, 0, new float[] {3}, 0)).isCloseTo(3.5 + slope, within(1e-12));
  }

  /** What the features can express is found, whatever their scales and among useless ones. */
  @Test
  void findsAQuadraticRewardAndAddsUp() {
    Random random = new Random(3);
    Features features = Features.quadratic(3, 2);
    assertThat(features.size()).isEqualTo(3 + 2 + 6 + 2);
    assertThat(Features.interacting(3, 2).size()).isEqualTo(3 + 2 + 6 + 3);
    RidgeRegression all = new RidgeRegression(features, 1e-9);
    RidgeRegression first = new RidgeRegression(features, 1e-9);
    RidgeRegression second = new RidgeRegression(features, 1e-9);
    float[] state = new float[3];
    float[] action = new float[2];
    for (int i = 0; i < 501; i++) {
      draw(random, state, action);
      double value = truth(state, action);
      all.add(state, 0, action, 0, value);
      (i % 3 == 0 ? first : second).add(state, 0, action, 0, value);
    }
    first.addAll(second);
    LinearModel model = all.fit();
    LinearModel added = first.fit();
    for (int i = 0; i < 20; i++) {
      draw(random, state, action);
      double expected = model.expected(state, 0, action, 0);
      // A penalty of 1e-9 moves coefficients by about as much, relative to condition numbers of
      // 1e2.
      assertThat(expected).isCloseTo(truth(state, action), within(1e-5));
      assertThat(added.expected(state, 0, action, 0)).isCloseTo(expected, within(1e-9));
    }
  }

  private static void draw(Random random, float[] state, float[] action) {
    state[0] = 1; // does not vary
    state[1] = 1000 * random.nextFloat();
    state[2] = random.nextFloat();
    action[0] = 0.6f + 0.2f * random.nextFloat();
    action[1] = random.nextFloat();
  }

  private static double truth(float[] state, float[] action) {
    double distance = action[0] - 0.7;
    return 3 - distance * (distance - 0.2 * state[2]) + 0.002 * state[1] * action[1];
  }

  /** One more step moves a prediction as the sensitivity says, up to terms of order 1/n^2. */
  @Test
  void sensitivityIsTheDerivative() {
    Random random = new Random(5);
    RidgeRegression before = new RidgeRegression(Features.bilinear(2, 1), 1e-6);
    RidgeRegression after = new RidgeRegression(Features.bilinear(2, 1), 1e-6);
    for (int i = 0; i < 4000; i++) {
      float[] state = {random.nextFloat(), random.nextFloat()};
      float[] action = {random.nextFloat()};
      double value = random.nextGaussian() + 5 * state[0] * action[0];
      before.add(state, 0, action, 0, value);
      after.add(state, 0, action, 0, value);
    }
    float[] state = {0.9f, 0.1f};
    float[] action = {0.8f};
    after.add(state, 0, action, 0, 10);
    LinearModel model = before.fit();
    double[] row = new double[model.size()];
    model.write(new float[] {0.2f, 0.7f}, 0, new float[] {0.3f}, 0, row);
    double[] sensitivity = model.sensitivity(row);
    double[] added = new double[model.size()];
    model.write(state, 0, action, 0, added);
    double predicted = LinearModel.dot(sensitivity, added) * (10 - model.expected(added));
    double moved = after.fit().expected(row) - model.expected(row);
    assertThat(Math.abs(moved)).isGreaterThan(1e-5);
    assertThat(predicted / moved).isCloseTo(1, within(0.01));
  }

  @Test
  void refusesWhatCannotBeFitted() {
    RidgeRegression regression = new RidgeRegression(Features.bilinear(0, 1), 1);
    assertThatThrownBy(regression::fit).hasMessageContaining("no logged steps");
    assertThatThrownBy(() -> regression.add(NONE, 0, new float[] {Float.NaN}, 0, 1))
        .hasMessageContaining("finite");
    assertThatThrownBy(() -> new RidgeRegression(Features.bilinear(0, 1), 0))
        .hasMessageContaining("penalty is 0");
    assertThatThrownBy(() -> regression.addAll(new RidgeRegression(Features.bilinear(0, 2), 1)))
        .hasMessageContaining("1 and 2 features");
  }
}
