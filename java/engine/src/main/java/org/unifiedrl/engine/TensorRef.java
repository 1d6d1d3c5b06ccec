package org.unifiedrl.engine;

/**
 * A tensor of a {@link Program}, shape [members, rows, columns].
 *
 * @param id number in its program
 * @param name name in messages
 * @param kind what it holds
 * @param members ensemble members E; 1 when all members share it
 * @param rows batch rows B
 * @param columns features F
 */
public record TensorRef(int id, String name, Kind kind, int members, int rows, int columns) {

  /** Kinds of tensors, as in {@code unifiedrl.h}. */
  public enum Kind {
    /** Result of one op, read by later ops of the step. */
    WORK(0),
    /** Written by the caller. */
    CONSTANT(1),
    /** Row numbers of a draw. */
    ROWS(2),
    /** Hidden activations. */
    TAPE(3),
    /** Signs of hidden activations. */
    SIGNS(4);

    private final int code;

    Kind(int code) {
      this.code = code;
    }

    /** Number in the C ABI. */
    int code() {
      return code;
    }
  }

  /** Number of elements. */
  public long elements() {
    return (long) members * rows * columns;
  }

  String shape() {
    return "'" + name + "' [" + members + ", " + rows + ", " + columns + "]";
  }
}
