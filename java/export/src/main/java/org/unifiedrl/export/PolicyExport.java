package org.unifiedrl.export;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.Map;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.serving.PolicyModel;

/**
 * Writes a policy for other systems: {@value PolicyModel#FILE}, {@value #ACTOR}, {@value #RANKER}
 * and a model card as Markdown and JSON, all or nothing. What the graphs compute was compared with
 * the policy before any of it can be seen.
 */
public final class PolicyExport {

  /** Graph from states to actions, powers and biases. */
  public static final String ACTOR = "actor.onnx";

  /** Graph from states and predicted scores to fused scores and the best candidates. */
  public static final String RANKER = "ranker.onnx";

  /** States that the check takes. */
  public static final int CHECKED_STATES = 256;

  /**
   * What was written.
   *
   * @param folder where
   * @param card what the model card says
   */
  public record Report(Path folder, ObjectNode card) {}

  private PolicyExport() {}

  /** The model as an ONNX graph from states to actions, powers and biases; a file's content. */
  public static byte[] actor(PolicyModel model) {
    return PolicyGraphs.actor(model).toBytes(PolicyGraphs.metadata(model));
  }

  /** The model as an ONNX graph that ranks candidates; a file's content. */
  public static byte[] ranker(PolicyModel model) {
    return PolicyGraphs.ranker(model).toBytes(PolicyGraphs.metadata(model));
  }

  /**
   * {@value #CHECKED_STATES} states as the model's normalisation expects them, row-major [rows, S].
   *
   * @param seed key of the draws
   */
  public static float[] drawStates(PolicyModel model, long seed) {
    return OnnxCheck.drawStates(model, CHECKED_STATES, seed);
  }

  /** What a model takes and gives, as in its card. */
  public static ObjectNode describe(PolicyModel model) {
    return ModelCard.describe(model);
  }

  /**
   * Writes and checks.
   *
   * @param model the policy
   * @param ours the same policy, as it was trained: what the graphs are compared with
   * @param states raw states for the comparison, row-major [rows, S]
   * @param seed key of the draws of scores
   * @param facts sections of the model card as far as they are known: training, data, metrics,
   *     limits, software and configuration
   * @param folder where; it must be empty or not there
   * @throws ExportException naming graph, output, row and value if a graph does not agree; then
   *     nothing is left
   */
  public static Report write(
      PolicyModel model, Policy ours, float[] states, long seed, ObjectNode facts, Path folder) {
    OnnxCheck check = new OnnxCheck(model, ours, states, seed);
    return write(
        model, check, facts, folder, PolicyGraphs.actor(model), PolicyGraphs.ranker(model));
  }

  static Report write(
      PolicyModel model,
      OnnxCheck check,
      ObjectNode facts,
      Path folder,
      OnnxGraph actor,
      OnnxGraph ranker) {
    Path target = folder.toAbsolutePath().normalize();
    Path temporary = target.resolveSibling("." + target.getFileName() + ".tmp");
    Deque<Path> created = missing(target.getParent());
    try {
      try {
        DurableFiles.createFolders(target.getParent());
        DurableFiles.deleteTree(temporary); // of an export that was killed
        Files.createDirectory(temporary);
        ObjectNode card = fill(model, check, facts, temporary, actor, ranker);
        DurableFiles.forceFolder(temporary);
        DurableFiles.rename(temporary, target);
        return new Report(folder, card);
      } catch (IOException | RuntimeException | Error e) {
        undo(temporary, created, e);
        throw e;
      }
    } catch (IOException e) {
      throw new ExportException(
          "cannot write the export to "
              + folder
              + ": "
              + e
              + "; free space there or choose another folder (nothing was left)",
          e);
    }
  }

  private static ObjectNode fill(
      PolicyModel model,
      OnnxCheck check,
      ObjectNode facts,
      Path folder,
      OnnxGraph actor,
      OnnxGraph ranker)
      throws IOException {
    Path policyFile = folder.resolve(PolicyModel.FILE);
    model.write(policyFile);
    if (!PolicyModel.read(policyFile).sha256().equals(model.sha256())) {
      throw new ExportException(PolicyModel.FILE + " does not read back as what was written");
    }
    Map<String, Map<String, Double>> differences = new LinkedHashMap<>();
    differences.put(PolicyModel.FILE, check.served(policyFile));
    Map<String, String> metadata = PolicyGraphs.metadata(model);
    Path actorFile = write(folder.resolve(ACTOR), actor.toBytes(metadata));
    differences.put(ACTOR, check.actor(actorFile));
    Path rankerFile = write(folder.resolve(RANKER), ranker.toBytes(metadata));
    differences.put(RANKER, check.ranker(rankerFile));
    return new ModelCard(model, facts).checked(check.rows(), differences).write(folder);
  }

  private static Path write(Path file, byte[] content) throws IOException {
    Files.write(file, content);
    DurableFiles.force(file);
    return file;
  }

  /** Folders that are not there yet, the deepest first. */
  private static Deque<Path> missing(Path folder) {
    Deque<Path> missing = new ArrayDeque<>();
    for (Path path = folder; path != null && Files.notExists(path); path = path.getParent()) {
      missing.add(path);
    }
    return missing;
  }

  private static void undo(Path temporary, Deque<Path> created, Throwable cause) {
    try {
      DurableFiles.deleteTree(temporary);
      for (Path path : created) {
        Files.deleteIfExists(path);
      }
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }
}
