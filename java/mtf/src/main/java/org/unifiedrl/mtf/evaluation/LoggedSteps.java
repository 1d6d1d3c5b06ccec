package org.unifiedrl.mtf.evaluation;

/**
 * A log in memory, step by step. Arrays are not copied.
 *
 * @param contexts contexts, row-major {@code [rows, contextSize]}
 * @param contextSize numbers per context, at least 0
 * @param actions logged actions, row-major {@code [rows, actionSize]}
 * @param actionSize numbers per action, at least 1
 * @param values what each step was worth, {@code [rows]}
 * @param units unit of the bootstrap of each step, {@code [rows]}: its session, or its user
 */
public record LoggedSteps(
    float[] contexts,
    int contextSize,
    float[] actions,
    int actionSize,
    double[] values,
    long[] units) {

  public LoggedSteps {
    int rows = values.length;
    if (units.length != rows
        || contexts.length != rows * contextSize
        || actions.length != rows * actionSize) {
      throw new IllegalArgumentException(
          rows
              + " values, "
              + units.length
              + " units, "
              + contexts.length
              + " numbers of contexts of "
              + contextSize
              + " and "
              + actions.length
              + " of actions of "
              + actionSize
              + ": expected one of each per step");
    }
  }

  /** Number of steps. */
  public int rows() {
    return values.length;
  }
}
