package org.unifiedrl.mtf.algorithm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.TensorRef;

/** Metrics of each reward group beside those of all of them; none where there is one group only. */
final class GroupMetrics {

  private final Program program;

  /**
   * G at the place of its group and 0 elsewhere, [1, 1, G]: a mean over all is then the group's.
   */
  private final List<TensorRef> selections = new ArrayList<>();

  GroupMetrics(Program program, int groups) {
    this.program = program;
    if (groups > 1) {
      for (int i = 0; i < groups; i++) {
        selections.add(program.constant("selects_group" + i, 1, 1, groups));
      }
    }
  }

  /**
   * Records the mean of each group as {@code NAME/I}, I from 0.
   *
   * @param x [1, B, G]
   */
  void add(String name, TensorRef x) {
    for (int i = 0; i < selections.size(); i++) {
      String own = name + "/" + i;
      program.metric(own, program.multiply(own + ".selected", x, selections.get(i)));
    }
  }

  /** Writes the constants: before the first step. */
  void write(Engine engine) {
    for (int i = 0; i < selections.size(); i++) {
      float[] selection = new float[selections.size()];
      Arrays.fill(selection, 0);
      selection[i] = selection.length;
      engine.writeTensor(selections.get(i), selection);
    }
  }
}
