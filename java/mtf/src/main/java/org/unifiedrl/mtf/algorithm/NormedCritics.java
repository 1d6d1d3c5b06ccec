package org.unifiedrl.mtf.algorithm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.HyperRef;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * An ensemble of critics whose hidden layers end in layer normalisation, h_l = norm(relu(h_(l-1)
 * W_l + b_l)). Every layer is a network of its own, since the engine's networks have no
 * normalisation within.
 */
final class NormedCritics {

  private final Step step;
  private final Program p;
  private final String name;
  private final List<NetworkRef> layers = new ArrayList<>();
  private final List<NetworkRef> norms = new ArrayList<>();
  private final HyperRef epsilon;

  /**
   * A forward pass.
   *
   * @param layers passes of the linear layers, the output's last
   * @param norms normalisation after each of them but the last
   */
  record Forward(List<Program.Forward> layers, List<Program.LayerNorm> norms) {

    /** Values, [E, B, 1]. */
    TensorRef y() {
      return layers.get(layers.size() - 1).y();
    }
  }

  /**
   * Adds the networks {@code NAME_layer0}, {@code NAME_norm0} and so on.
   *
   * @param epsilon added to variances
   */
  NormedCritics(Step step, String name, int members, int inputs, HyperRef epsilon) {
    this.step = step;
    this.p = step.program;
    this.name = name;
    this.epsilon = epsilon;
    int in = inputs;
    for (int units : step.config.hidden()) {
      layers.add(network("_layer" + layers.size(), members, in, units));
      norms.add(network("_norm" + norms.size(), members, 1, units));
      in = units;
    }
    layers.add(network("_layer" + layers.size(), members, in, 1));
  }

  private NetworkRef network(String suffix, int members, int in, int out) {
    return p.network(name + suffix, members, Activation.LINEAR, in, out);
  }

  /** Values of states and actions. */
  Forward forward(String op, TensorRef x) {
    List<Program.Forward> passes = new ArrayList<>();
    List<Program.LayerNorm> normed = new ArrayList<>();
    TensorRef h = x;
    for (int l = 0; l < layers.size(); l++) {
      boolean last = l == norms.size();
      String layer = last ? op : op + ".layer" + l;
      Program.Forward pass = p.mlpForward(layer, layers.get(l), h, Tape.FULL);
      passes.add(pass);
      if (!last) {
        normed.add(p.layerNorm(op + ".norm" + l, norms.get(l), pass.y(), true, epsilon));
        h = normed.get(l).y();
      }
    }
    return new Forward(passes, normed);
  }

  /** Forms all parameters' gradients of SUM(gradient * y). */
  void backward(String op, Forward forward, TensorRef gradient) {
    TensorRef d = gradient;
    for (int l = norms.size(); ; l--) {
      Program.Forward layer = forward.layers().get(l);
      p.mlpBackward(op + ".layer" + l, layer, d);
      if (l == 0) {
        return;
      }
      d = below(op, forward, d, l, true);
    }
  }

  /** Gradient of SUM(gradient * y) with respect to some input columns, [E, B, columns]. */
  TensorRef backwardInput(String op, Forward forward, TensorRef gradient, int first, int columns) {
    TensorRef d = gradient;
    for (int l = norms.size(); l > 0; l--) {
      d = below(op, forward, d, l, false);
    }
    return p.mlpBackwardInput(op, forward.layers().get(0), d, first, columns);
  }

  /** From a layer's outputs to those of the layer below. */
  private TensorRef below(String op, Forward forward, TensorRef d, int l, boolean parameters) {
    int inputs = layers.get(l).inputs();
    TensorRef ofInput =
        p.mlpBackwardInput(op + ".input" + l, forward.layers().get(l), d, 0, inputs);
    Program.LayerNorm norm = forward.norms().get(l - 1);
    return p.layerNormBackward(op + ".norm" + (l - 1), norm, ofInput, parameters);
  }

  /** One step of Adam of every layer; each clips its own gradient. */
  void adam(String op) {
    networks().forEach(n -> p.adam(op + "." + n.name(), n, step.criticAdam));
  }

  /** Follows other critics when it is due. */
  void track(String op, NormedCritics source) {
    List<NetworkRef> sources = source.networks().toList();
    List<NetworkRef> own = networks().toList();
    for (int i = 0; i < own.size(); i++) {
      step.track(op + "." + own.get(i).name(), own.get(i), sources.get(i));
    }
  }

  /** Linear layers at random, each its own; normalisation does nothing more at first. */
  void initialise(Engine engine, long seed) {
    for (int l = 0; l < layers.size(); l++) {
      engine.initialise(layers.get(l), seed + l);
    }
    for (NetworkRef norm : norms) {
      double[] affine = new double[Math.toIntExact(norm.size())];
      Arrays.fill(affine, 0, affine.length / 2, 1); // gains, then biases
      engine.writeNetwork64(norm, Section.PARAMETERS, affine);
    }
  }

  /** Takes other critics' parameters. */
  void copy(Engine engine, NormedCritics source) {
    List<NetworkRef> sources = source.networks().toList();
    List<NetworkRef> own = networks().toList();
    for (int i = 0; i < own.size(); i++) {
      engine.copyParameters(sources.get(i), own.get(i));
    }
  }

  private Stream<NetworkRef> networks() {
    return Stream.concat(layers.stream(), norms.stream());
  }
}
