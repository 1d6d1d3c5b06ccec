package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class CrossFitTest {

  private static LoggedSteps log(double[] values) {
    int rows = values.length;
    float[] actions = new float[rows];
    long[] units = new long[rows];
    for (int i = 0; i < rows; i++) {
      actions[i] = i % 7;
      units[i] = i / 5;
    }
    return new LoggedSteps(new float[0], 0, actions, 1, values, units);
  }

  private static CrossFit fit(LoggedSteps log) {
    return CrossFit.ridge(log, Features.bilinear(0, 1), 4, 1e-3, 9);
  }

  /** A planted value moves the models of all folds but that of its own unit. */
  @Test
  void noModelMeetsWhatItIsAppliedTo() {
    double[] values = new double[200];
    Arrays.setAll(values, i -> i % 3);
    LoggedSteps log = log(values);
    CrossFit before = fit(log);
    double[] planted = values.clone();
    planted[83] = 1e6;
    CrossFit after = fit(log(planted));
    Set<Integer> folds = new HashSet<>();
    for (int i = 0; i < 200; i++) {
      folds.add(after.fold(i));
      assertThat(after.fold(i)).isEqualTo(after.fold(i / 5 * 5));
      double was = before.model(i).expected(log.contexts(), 0, log.actions(), i);
      double is = after.model(i).expected(log.contexts(), 0, log.actions(), i);
      if (after.fold(i) == after.fold(83)) {
        assertThat(is).isEqualTo(was);
      } else {
        assertThat(is).isNotCloseTo(was, within(1.0));
      }
    }
    assertThat(folds).hasSize(4);
  }

  @Test
  void oneUnitCannotBeCrossFitted() {
    LoggedSteps one = new LoggedSteps(new float[0], 0, new float[3], 1, new double[3], new long[3]);
    assertThatThrownBy(() -> fit(one)).hasMessageContaining("needs more units");
    assertThatThrownBy(() -> CrossFit.ridge(one, Features.bilinear(0, 1), 1, 1, 1))
        .hasMessageContaining("folds is 1");
    assertThatThrownBy(
            () -> new LoggedSteps(new float[0], 0, new float[2], 1, new double[3], new long[3]))
        .hasMessageContaining("3 values");
  }
}
