package org.unifiedrl.mtf.algorithm;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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

  private final Map<String, TensorRef> selected = new LinkedHashMap<>();

  GroupMetrics(Program program, int groups) {
    this.program = program;
    if (groups > 1) {
      for (int i = 0; i < groups; i++) {
        selections.add(program.constant("selects_group" + i, 1, 1, groups));
      }
    }
  }

  /**
   * Forms what {@link #record} records: the mean of each group as {@code NAME/I}, I from 0. Belongs
   * beside other ops that treat rows on their own, with which a back end lets it share a launch.
   *
   * @param x [1, B, G]
   */
  void select(String name, TensorRef x) {
    for (int i = 0; i < selections.size(); i++) {
      String own = name + "/" + i;
      selected.put(own, program.multiply(own + ".selected", x, selections.get(i)));
    }
  }

  /** Records all that was selected. */
  void record() {
    selected.forEach(program::metric);
  }

  /** Writes the constants: before the first step. */
  void write(Engine engine) {
    for (int i = 0; i < selections.size(); i++) {
      float[] selection = new float[selections.size()];
      selection[i] = selection.length;
      engine.writeTensor(selections.get(i), selection);
    }
  }
}
