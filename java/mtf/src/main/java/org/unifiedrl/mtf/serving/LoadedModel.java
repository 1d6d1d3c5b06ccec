package org.unifiedrl.mtf.serving;

import java.util.LinkedHashMap;
import java.util.Map;
import org.unifiedrl.mtf.exploration.UniformBox;
import org.unifiedrl.mtf.fusion.Fusion;

/** A model as it is evaluated: immutable, shared by all requests that began while it served. */
final class LoadedModel {

  final PolicyModel model;
  final String digest;
  final int states;
  final int scores;
  final int actions;
  final Fusion fusion;
  final UniformBox explorer; // null if the model has no box

  private final Map<String, DenseNetwork> networks = new LinkedHashMap<>();

  LoadedModel(PolicyModel model) {
    this.model = model;
    digest = model.sha256();
    states = model.stateSize();
    scores = model.scores();
    actions = model.actionSize();
    fusion = new Fusion(model.actionMap());
    explorer = model.box().map(UniformBox::new).orElse(null);
    model
        .networks()
        .forEach(
            (name, network) ->
                networks.put(name, new DenseNetwork(network, !name.equals("critic"))));
  }

  boolean pairwise() {
    return model.kind() == PolicyModel.Kind.PAIR_ACTOR;
  }

  /** Memory for one request at a time, and what it computes there. */
  Scratch scratch() {
    return model.kind() == PolicyModel.Kind.BEST_OF_DECODED ? new Decoded() : new Acted();
  }

  /** The networks' work for one request. */
  abstract class Scratch {
    private final float[] normalised = new float[states];

    /** Sets the state that the next calls are about. */
    final void see(float[] state) {
      for (int i = 0; i < normalised.length; i++) {
        normalised[i] = (state[i] - model.shift()[i]) * model.scale()[i];
      }
      begin(normalised);
    }

    /** The state feature that lies farthest from what the model has seen. */
    final int farthest() {
      int farthest = 0;
      for (int i = 1; i < normalised.length; i++) {
        if (!(Math.abs(normalised[i]) <= Math.abs(normalised[farthest]))) {
          farthest = i;
        }
      }
      return farthest;
    }

    abstract void begin(float[] state);

    /** The action of the request; of {@link PolicyModel.Kind#PAIR_ACTOR} there is none. */
    abstract void act(float[] action);

    /** The action of one candidate, whose score i is at {@code at + i * stride}. */
    abstract void actOn(float[] scoreRows, int at, int stride, float[] all, int actionAt);
  }

  private final class Acted extends Scratch {
    private final DenseNetwork.Scratch actor = networks.get("actor").scratch();
    private final float[] further = new float[pairwise() ? scores : 0];

    @Override
    void begin(float[] state) {
      actor.begin(state, states);
    }

    @Override
    void act(float[] action) {
      System.arraycopy(actor.finish(states, further, 0), 0, action, 0, actions);
    }

    @Override
    void actOn(float[] scoreRows, int at, int stride, float[] all, int actionAt) {
      for (int i = 0; i < further.length; i++) {
        float shift = model.shift()[states + i];
        further[i] = (scoreRows[at + i * stride] - shift) * model.scale()[states + i];
      }
      System.arraycopy(actor.finish(states, further, scores), 0, all, actionAt, actions);
    }
  }

  private final class Decoded extends Scratch {
    private final DenseNetwork.Scratch decoder = networks.get("decoder").scratch();
    private final DenseNetwork.Scratch perturbation = networks.get("perturbation").scratch();
    private final DenseNetwork.Scratch critic = networks.get("critic").scratch();
    private final float[] range;
    private final float[][] latents; // [count][latent]
    private final float[] candidate = new float[actions];

    Decoded() {
      PolicyModel.Decoding decoding = model.decoding().orElseThrow();
      range = decoding.range();
      latents = new float[decoding.count()][decoding.latentSize()];
      for (int i = 0; i < latents.length; i++) {
        for (int k = 0; k < latents[i].length; k++) {
          latents[i][k] = decoding.latents()[k * latents.length + i];
        }
      }
    }

    @Override
    void begin(float[] state) {
      decoder.begin(state, states);
      perturbation.begin(state, states);
      critic.begin(state, states);
    }

    /** The first of those of the highest value. */
    @Override
    void act(float[] action) {
      float highest = Float.NaN;
      for (float[] latent : latents) {
        float[] decoded = decoder.finish(states, latent, latent.length);
        float[] moved = perturbation.finish(states, decoded, actions);
        for (int k = 0; k < actions; k++) {
          candidate[k] = Math.max(-1, Math.min(1, decoded[k] + range[k] * moved[k]));
        }
        float value = critic.finish(states, candidate, actions)[0];
        if (value > highest || Float.isNaN(highest)) {
          highest = value;
          System.arraycopy(candidate, 0, action, 0, actions);
        }
      }
      if (Float.isNaN(highest)) {
        action[0] = Float.NaN; // the critic overflowed: nothing was chosen
      }
    }

    @Override
    void actOn(float[] scoreRows, int at, int stride, float[] all, int actionAt) {
      throw new IllegalStateException("this policy acts once a request");
    }
  }
}
