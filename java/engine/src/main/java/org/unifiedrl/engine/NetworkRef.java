package org.unifiedrl.engine;

import java.util.List;

/**
 * An ensemble of multi-layer perceptrons of a {@link Program}.
 *
 * @param id number in its program
 * @param name name in messages
 * @param members ensemble members E
 * @param sizes inputs, hidden units, outputs
 * @param activation of the last layer
 */
public record NetworkRef(
    int id, String name, int members, List<Integer> sizes, Activation activation) {

  /** Copies the sizes. */
  public NetworkRef {
    sizes = List.copyOf(sizes);
  }

  /** Number of inputs. */
  public int inputs() {
    return sizes.get(0);
  }

  /** Number of outputs. */
  public int outputs() {
    return sizes.get(sizes.size() - 1);
  }

  /** Sum of the hidden sizes. */
  public int hidden() {
    return sizes.subList(1, sizes.size() - 1).stream().mapToInt(Integer::intValue).sum();
  }

  /** Parameters of all members: layer by layer, weights [E, in, out] then biases [E, out]. */
  public long size() {
    long size = 0;
    for (int i = 1; i < sizes.size(); i++) {
      size += (sizes.get(i - 1) + 1L) * sizes.get(i);
    }
    return size * members;
  }
}
