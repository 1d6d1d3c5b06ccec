package org.unifiedrl.mtf.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.engine.checkpoint.Tensor;
import org.unifiedrl.mtf.exploration.ActionScore;

/** Against plain loops in double on the same weights. */
class CriticEnsembleTest {

  private static final int S = 3;
  private static final int A = 2;
  private static final int H = 7;
  private static final int M = 3;
  private static final int E = 2 * M;
  private static final int COUNT = 60; // more than a native block
  private static final double[] GROUPS = {1, 0.5};

  private final float[] weight0 = numbers(1, E * (S + A) * H);
  private final float[] bias0 = numbers(2, E * H);
  private final float[] weight1 = numbers(3, E * H);
  private final float[] bias1 = numbers(4, E);
  private final float[] shift = numbers(5, S);
  private final float[] scale = numbers(6, S);
  private final float[] state = numbers(7, 2 * S); // from S on
  private final float[] actions = numbers(8, COUNT * A);

  @TempDir Path folder;

  private static float[] numbers(int stream, int count) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (float) (0.5 * Philox.normal(9, stream, i));
    }
    return numbers;
  }

  private Map<String, Tensor> tensors() {
    Map<String, Tensor> tensors = new HashMap<>();
    tensors.put("critic.layer0.weight", Tensor.of(weight0, E, S + A, H));
    tensors.put("critic.layer0.bias", Tensor.of(bias0, E, H));
    tensors.put("critic.layer1.weight", Tensor.of(weight1, E, H, 1));
    tensors.put("critic.layer1.bias", Tensor.of(bias1, E, 1));
    tensors.put("state.shift", Tensor.of(shift, S));
    tensors.put("state.scale", Tensor.of(scale, S));
    return tensors;
  }

  private CriticEnsemble load(String state) {
    new CheckpointStore(folder, 1).save(1, tensors(), state);
    return CriticEnsemble.load(folder);
  }

  private CriticEnsemble grouped() {
    return load(
        "{\"algorithm\":\"unifiedrl\",\"reward_scale\":0.25,"
            + "\"coefficients\":{\"groupWeights\":[1.0,0.5],\"discount\":0.9}}");
  }

  private double expected(int member, int row) {
    double q = bias1[member];
    for (int h = 0; h < H; h++) {
      double sum = bias0[member * H + h];
      for (int i = 0; i < S + A; i++) {
        double x = i < S ? (state[S + i] - (double) shift[i]) * scale[i] : actions[row * A + i - S];
        sum += x * weight0[(member * (S + A) + i) * H + h];
      }
      q += Math.max(sum, 0) * weight1[member * H + h];
    }
    return q;
  }

  @Test
  void everyValueIsThatOfPlainLoops() {
    CriticEnsemble critics = grouped();
    assertThat(critics.stateSize()).isEqualTo(S);
    assertThat(critics.actionSize()).isEqualTo(A);
    assertThat(critics.criticsPerGroup()).isEqualTo(M);
    assertThat(critics.groupWeights()).containsExactly(GROUPS);
    assertThat(critics.rewardScale()).isEqualTo(0.25);
    assertThat(critics.discount()).isEqualTo(0.9);
    double[] means = new double[COUNT];
    double[] bounds = new double[COUNT];
    critics.means(state, S, actions, COUNT, means);
    critics.upperBounds(1.5, state, S, actions, COUNT, bounds);
    double[] one = new double[COUNT];
    critics.copy().ofCritic(2, state, S, actions, COUNT, one);
    for (int row = 0; row < COUNT; row++) {
      double mean = 0;
      double bound = 0;
      for (int i = 0; i < 2; i++) {
        double sum = 0;
        for (int j = 0; j < M; j++) {
          sum += expected(i * M + j, row);
        }
        double squares = 0;
        for (int j = 0; j < M; j++) {
          squares += Math.pow(expected(i * M + j, row) - sum / M, 2);
        }
        mean += GROUPS[i] * sum / M;
        bound += GROUPS[i] * (sum / M + 1.5 * Math.sqrt(squares / M));
      }
      // Sums of some ten float products of order one.
      assertThat(means[row]).isCloseTo(mean, within(1e-5));
      assertThat(bounds[row]).isCloseTo(bound, within(1e-4));
      double third = expected(2, row) + 0.5 * expected(5, row);
      assertThat(one[row]).isCloseTo(third, within(1e-5));
    }
  }

  @Test
  void thompsonGoesByOneCriticAndTheBoundByAll() {
    CriticEnsemble critics = grouped();
    double[] scores = new double[COUNT];
    double[] expected = new double[COUNT];
    ActionScore thompson = critics.thompson();
    for (int j = 0; j < M; j++) {
      thompson.score((j + 0.5) / M, state, S, actions, COUNT, scores);
      critics.ofCritic(j, state, S, actions, COUNT, expected);
      assertThat(scores).containsExactly(expected);
    }
    critics.upperConfidence(1.5).score(0.1, state, S, actions, COUNT, scores);
    critics.upperBounds(1.5, state, S, actions, COUNT, expected);
    assertThat(scores).containsExactly(expected);
  }

  /** TD3 and its like learn one value of the weighted reward, by two critics or more. */
  @Test
  void algorithmsWithOneValueFunctionHaveOneGroup() {
    CriticEnsemble critics =
        load(
            "{\"algorithm\":\"td3\",\"reward_scale\":1.0,"
                + "\"coefficients\":{\"common\":{\"groupWeights\":[1.0,0.5]},\"own\":{}}}");
    assertThat(critics.criticsPerGroup()).isEqualTo(E);
    assertThat(critics.groupWeights()).containsExactly(1);
  }

  @Test
  void aCheckpointWithoutCriticsIsRefused() {
    new CheckpointStore(folder, 1).save(1, Map.of("actor.layer0.bias", Tensor.of(bias1, E)), "{}");
    assertThatThrownBy(() -> CriticEnsemble.load(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("holds no critics");
    assertThatThrownBy(() -> CriticEnsemble.load(folder.resolve("none")))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("no checkpoint in");
    assertThatThrownBy(
            () -> load("{\"coefficients\":{\"groupWeights\":[1,1,1,1]}}")) // of six critics
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("6 critics of 5 inputs do not fit 4 reward groups");
  }
}
