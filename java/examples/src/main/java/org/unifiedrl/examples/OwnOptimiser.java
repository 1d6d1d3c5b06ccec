package org.unifiedrl.examples;

import java.nio.FloatBuffer;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Program.Forward;
import org.unifiedrl.engine.Program.SquaredError;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * The engine forms losses and gradients, and the caller updates the weights: here by gradient
 * descent with momentum. The gradients with respect to the inputs go on to whatever made these. For
 * one thread at a time.
 */
public final class OwnOptimiser implements AutoCloseable {

  private static final float MOMENTUM = 0.9f;

  private final TensorRef inputs;
  private final TensorRef targets;
  private final TensorRef inputGradient;
  private final NetworkRef network;
  private final Engine engine;
  private final FloatBuffer weights;
  private final FloatBuffer gradient;
  private final FloatBuffer loss = Engine.directFloats(1);
  private final float[] velocity;

  /**
   * Plans forward and backward pass.
   *
   * @param sizes inputs, hidden units, and 1 output
   * @param batch rows of a batch
   * @param seed of the first weights
   */
  public OwnOptimiser(int[] sizes, int batch, long seed) {
    Program p = new Program();
    inputs = p.constant("inputs", 1, batch, sizes[0]);
    targets = p.constant("targets", 1, batch, 1);
    network = p.network("network", 1, Activation.LINEAR, sizes);
    Forward forward = p.mlpForward("forward", network, inputs, Tape.FULL);
    SquaredError error = p.squaredError("error", forward.y(), targets);
    p.mlpBackward("backward", forward, error.gradient());
    inputGradient = p.mlpBackwardInput("input_gradient", forward, error.gradient(), 0, sizes[0]);
    p.metric("loss", error.loss());
    // Gradients and tensors can be read where the engine keeps them whole.
    engine = Engine.create(p, null, EngineOptions.DEFAULT.withMaterialise(true));
    engine.initialise(network, seed);
    weights = Engine.directFloats(network.size());
    gradient = Engine.directFloats(network.size());
    velocity = new float[(int) network.size()];
  }

  /**
   * One update.
   *
   * @param x direct, native order, [batch, inputs]
   * @param y [batch]
   * @param rate learning rate
   * @return mean squared error before the update
   */
  public float step(FloatBuffer x, FloatBuffer y, float rate) {
    engine.writeTensor(inputs, x);
    engine.writeTensor(targets, y);
    engine.run(1);
    engine.readNetwork(network, Section.GRADIENTS, gradient);
    engine.readNetwork(network, Section.PARAMETERS, weights);
    for (int i = 0; i < velocity.length; i++) {
      velocity[i] = MOMENTUM * velocity[i] + gradient.get(i);
      weights.put(i, weights.get(i) - rate * velocity[i]);
    }
    engine.writeNetwork(network, Section.PARAMETERS, weights);
    engine.drainMetrics(loss);
    return loss.get(0);
  }

  /**
   * Gradient of the last step's loss with respect to its inputs.
   *
   * @param destination direct, native order, receives [batch, inputs]
   */
  public void readInputGradient(FloatBuffer destination) {
    engine.readTensor(inputGradient, destination);
  }

  /** The weights in the flat layout W_1, b_1, W_2, b_2, .... */
  public float[] weights() {
    engine.readNetwork(network, Section.PARAMETERS, weights);
    float[] copy = new float[weights.remaining()];
    weights.get(0, copy);
    return copy;
  }

  @Override
  public void close() {
    engine.close();
  }
}
