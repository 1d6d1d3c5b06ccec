package org.unifiedrl.mtf.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.engine.checkpoint.Tensor;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.policy.Policy;

class ScalarisedPolicyTest {

  private static final Offset<Float> CLOSE = within(1e-6f);

  @TempDir Path folder;

  /**
   * Critics Q_ij = SUM_k c_ijk (a_k + 2), two of each of two groups. Group 0 likes a_0 (1 on
   * average, its critics say 3 and -1) and dislikes a_1; group 1 the reverse, without a doubt.
   */
  private CriticEnsemble critics() {
    int members = 4;
    float[] weight0 = new float[members * 3 * 2]; // [E, S + A, H], H = A
    float[] bias0 = new float[members * 2];
    for (int e = 0; e < members; e++) {
      for (int k = 0; k < 2; k++) {
        weight0[(e * 3 + 1 + k) * 2 + k] = 1;
        bias0[e * 2 + k] = 2;
      }
    }
    float[] weight1 = {3, -1, -1, -1, -1, 2, -1, 2};
    Map<String, Tensor> tensors =
        Map.of(
            "critic.layer0.weight", Tensor.of(weight0, members, 3, 2),
            "critic.layer0.bias", Tensor.of(bias0, members, 2),
            "critic.layer1.weight", Tensor.of(weight1, members, 2, 1),
            "critic.layer1.bias", Tensor.of(new float[members], members, 1),
            "state.shift", Tensor.of(new float[] {0}, 1),
            "state.scale", Tensor.of(new float[] {1}, 1));
    String state =
        "{\"algorithm\":\"unifiedrl\",\"reward_scale\":1,"
            + "\"coefficients\":{\"groupWeights\":[1.0,1.0],\"discount\":0.9}}";
    new CheckpointStore(folder, 1).save(1, tensors, state);
    return CriticEnsemble.load(folder);
  }

  private float[] served(double lambda, double... weights) {
    Policy policy =
        new ScalarisedPolicy(
            new ConstantPolicy(1, new float[] {0.9f, -0.8f}), // outside of the box in a_0
            new ConstantPolicy(1, new float[] {0.2f, -0.9f}),
            critics().withGroupWeights(weights),
            new float[] {-0.3f, -0.3f},
            new float[] {0.3f, 0.3f},
            lambda);
    float[] actions = new float[4];
    policy.act(new float[] {5, -5}, 2, actions);
    assertThat(actions[2]).as("all states are alike here").isEqualTo(actions[0]);
    assertThat(actions[3]).isEqualTo(actions[1]);
    return actions;
  }

  @Test
  void climbsToTheCornerOfTheBoxThatTheWeightsAskFor() {
    float[] first = served(0, 1, 0);
    assertThat(first[0]).isCloseTo(0.5f, CLOSE);
    assertThat(first[1]).as("the box ends where actions do").isCloseTo(-1f, CLOSE);
    float[] second = served(0, 0, 1);
    assertThat(second[0]).isCloseTo(-0.1f, CLOSE);
    assertThat(second[1]).isCloseTo(-0.6f, CLOSE);
  }

  /** Of a_0 the mean is 1 and the deviation 2: with lambda at 1 the doubt outweighs the hope. */
  @Test
  void doubtCountsAsInTraining() {
    assertThat(served(0.2, 1, 0)[0]).isCloseTo(0.5f, CLOSE);
    assertThat(served(1, 1, 0)[0]).isCloseTo(-0.1f, CLOSE);
  }

  @Test
  void indifferentCriticsLeaveTheActorsActionAsFarAsTheBoxGoes() {
    float[] actions = served(0, 0, 0);
    assertThat(actions[0]).isCloseTo(0.5f, CLOSE);
    assertThat(actions[1]).isEqualTo(-0.8f);
  }

  @Test
  void weightsOfASweepKeepTheirSum() {
    double[][] weights = ScalarisedPolicy.weights(new double[] {1, 2, 1}, 3);
    assertThat(weights[0]).containsExactly(new double[] {0, 8 / 3.0, 4 / 3.0}, within(1e-12));
    assertThat(weights[1]).containsExactly(new double[] {2, 4 / 3.0, 2 / 3.0}, within(1e-12));
    assertThat(weights[2]).containsExactly(new double[] {4, 0, 0}, within(1e-12));
    assertThat(ScalarisedPolicy.weights(new double[] {1, 0}, 2)[0]).containsExactly(0, 1);
    assertThatThrownBy(() -> critics().withGroupWeights(new double[] {1}))
        .hasMessageContaining("1 group weights for critics of 2 reward groups");
  }
}
