package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class BoxSupportTest {

  private static final float[] LOW = {-0.15f, 0.5f};
  private static final float[] HIGH = {0.15f, 0.8f};

  @Test
  void countsActionsMoreThanAThirdOfAWidthOutside() {
    BoxSupport support = new BoxSupport();
    assertThat(support.refusal()).isEmpty();
    float[][] near = {{0, 0.6f}, {0.24f, 0.41f}, {-0.24f, 0.89f}};
    float[][] far = {{0.26f, 0.6f}, {0, 0.39f}, {-1, 1}};
    for (int i = 0; i < 57; i++) {
      support.add(near[i % 3], LOW, HIGH, 0, 2);
    }
    assertThat(support.farShare()).isZero();
    for (int i = 0; i < 3; i++) {
      support.add(far[i], LOW, HIGH, 0, 2);
    }
    assertThat(support.farShare()).isCloseTo(0.05, within(1e-15));
    assertThat(support.refusal()).isEmpty();
    support.add(far[0], LOW, HIGH, 0, 2);
    assertThat(support.refusal().orElseThrow()).contains("6.56 % of 61 steps").contains("explore");
  }

  @Test
  void refusesWhatItJudges() {
    BoxSupport support = new BoxSupport();
    support.add(new float[] {1, 1}, LOW, HIGH, 0, 2);
    DoublyRobust far = DoublyRobust.directMethod(new PairedBootstrap(1, 40));
    DoublyRobust near = DoublyRobust.directMethod(new PairedBootstrap(1, 40));
    far.add(1, 1, 1, 1, 1);
    near.add(1, 1, 1, 1, 1);
    far.refuseFor(support.refusal());
    near.refuseFor(new BoxSupport().refusal());
    assertThat(far.estimate().refusal().orElseThrow()).contains("outside the explored box");
    assertThat(near.estimate().refused()).isFalse();
    assertThat(far.minus(near).mean()).isNaN();
  }
}
