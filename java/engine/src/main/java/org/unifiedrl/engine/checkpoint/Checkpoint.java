package org.unifiedrl.engine.checkpoint;

import java.nio.file.Path;
import java.util.Map;

/**
 * One saved training state.
 *
 * @param step training steps done when it was saved
 * @param folder where it lies
 * @param tensors by name
 * @param stateJson counters, configuration and versions, as JSON
 */
public record Checkpoint(long step, Path folder, Map<String, Tensor> tensors, String stateJson) {

  /**
   * A tensor by name.
   *
   * @throws CheckpointException naming what there is, if there is none of that name
   */
  public Tensor tensor(String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new CheckpointException(
          "no tensor '" + name + "' in " + folder + ": it has " + tensors.keySet());
    }
    return tensor;
  }
}
