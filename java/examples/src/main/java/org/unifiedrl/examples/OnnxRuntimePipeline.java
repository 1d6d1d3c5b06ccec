package org.unifiedrl.examples;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.FloatBuffer;
import java.util.Map;
import java.util.Set;
import org.unifiedrl.engine.Engine;

/**
 * Features by ONNX Runtime, training by the engine, and one direct buffer between them: ONNX
 * Runtime writes its output there, the engine reads it from there, and Java copies nothing. For one
 * thread at a time.
 */
public final class OnnxRuntimePipeline implements AutoCloseable {

  private final OrtSession session;
  private final FloatBuffer inputs;
  private final FloatBuffer features;
  private final OnnxTensor inputTensor;
  private final OnnxTensor featureTensor;
  private final OwnOptimiser trainer;

  /**
   * Opens the model.
   *
   * @param model bytes of an ONNX model with the input "inputs" [batch, width] and the output
   *     "features" [batch, featureWidth], both float32
   */
  public OnnxRuntimePipeline(byte[] model, int batch, int width, int featureWidth)
      throws OrtException {
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1); // the processors are the engine's
      session = environment.createSession(model, options);
    }
    inputs = Engine.directFloats((long) batch * width);
    features = Engine.directFloats((long) batch * featureWidth);
    // Tensors over our memory, made once: a direct buffer in native order is used as it is.
    inputTensor = OnnxTensor.createTensor(environment, inputs, new long[] {batch, width});
    featureTensor =
        OnnxTensor.createTensor(environment, features, new long[] {batch, featureWidth});
    trainer = new OwnOptimiser(new int[] {featureWidth, 32, 1}, batch, 1);
  }

  /** Where a batch is to be put, [batch, width]. */
  public FloatBuffer inputs() {
    return inputs;
  }

  /** What the model made of the last batch, [batch, featureWidth]. */
  public FloatBuffer features() {
    return features;
  }

  /**
   * Computes the features of the batch in {@link #inputs} and trains on them.
   *
   * @param targets direct, native order, [batch]
   * @param rate learning rate
   * @return mean squared error before the update
   */
  public float step(FloatBuffer targets, float rate) throws OrtException {
    session
        .run(Map.of("inputs", inputTensor), Set.of(), Map.of("features", featureTensor))
        .close(); // of the result, which does not own a pinned output
    return trainer.step(features, targets, rate);
  }

  @Override
  public void close() throws OrtException {
    trainer.close();
    featureTensor.close();
    inputTensor.close();
    session.close();
  }
}
