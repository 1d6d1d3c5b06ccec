package org.unifiedrl.mtf.algorithm;

import java.nio.FloatBuffer;
import java.util.Arrays;
import org.unifiedrl.mtf.policy.Policy;

/**
 * BCQ's policy: candidates are decoded from fixed latents, perturbed and cut to [-1, 1]; the one of
 * the highest value is served, the first of several (specification 6.5).
 */
final class BestOfDecodedPolicy implements Policy {

  private final int states;
  private final int actions;
  private final int count;
  private final MlpPolicy decoder;
  private final MlpPolicy perturbation;
  private final ValueNetworks critic;
  private final float[] range;
  private final float[] decoderInputs; // [count, S + latents], latents written once
  private final float[] perturbationInputs; // [count, S + A]
  private final float[] candidates; // [count, A]
  private final float[] shifts; // likewise

  /**
   * Serves by copies of the weights.
   *
   * @param decoder of states and latents
   * @param perturbation of states and decoded actions
   * @param range largest perturbation of each dimension, as the biases of a layer with one input
   * @param latents of the candidates, as a layer's weights [latents, candidates]
   * @param critic of states and actions
   */
  BestOfDecodedPolicy(
      MlpPolicy.Weights decoder,
      MlpPolicy.Weights perturbation,
      MlpPolicy.Weights range,
      MlpPolicy.Weights latents,
      MlpPolicy.Weights critic) {
    this.decoder = new MlpPolicy(decoder.withFurtherInputs());
    this.perturbation = new MlpPolicy(perturbation.withFurtherInputs());
    this.critic =
        new ValueNetworks(
            new ValueNetworks.Weights(
                critic.sizes(),
                new float[][] {critic.parameters()},
                critic.shift(),
                critic.scale()));
    states = decoder.shift().length;
    actions = this.decoder.actionSize();
    count = latents.sizes()[1];
    this.range = Arrays.copyOfRange(range.parameters(), actions, 2 * actions);
    int width = decoder.sizes()[0];
    decoderInputs = new float[count * width];
    for (int i = 0; i < count; i++) {
      for (int k = states; k < width; k++) {
        decoderInputs[i * width + k] = latents.parameters()[(k - states) * count + i];
      }
    }
    perturbationInputs = new float[count * (states + actions)];
    candidates = new float[count * actions];
    shifts = new float[count * actions];
  }

  @Override
  public int stateSize() {
    return states;
  }

  @Override
  public int actionSize() {
    return actions;
  }

  @Override
  public void act(float[] stateRows, int rows, float[] actionRows) {
    for (int row = 0; row < rows; row++) {
      propose(stateRows, row * states);
      critic.set(stateRows, row * states, candidates, count);
      int best = best(critic.values(0, count));
      System.arraycopy(candidates, best * actions, actionRows, row * actions, actions);
    }
  }

  private void propose(float[] state, int at) {
    int width = decoderInputs.length / count;
    for (int i = 0; i < count; i++) {
      System.arraycopy(state, at, decoderInputs, i * width, states);
    }
    decoder.act(decoderInputs, count, candidates);
    width = states + actions;
    for (int i = 0; i < count; i++) {
      System.arraycopy(state, at, perturbationInputs, i * width, states);
      System.arraycopy(candidates, i * actions, perturbationInputs, i * width + states, actions);
    }
    perturbation.act(perturbationInputs, count, shifts);
    for (int i = 0; i < candidates.length; i++) {
      float moved = candidates[i] + range[i % actions] * shifts[i];
      candidates[i] = Math.max(-1, Math.min(1, moved));
    }
  }

  private int best(FloatBuffer values) {
    int best = 0;
    for (int i = 1; i < count; i++) {
      if (values.get(i) > values.get(best)) {
        best = i;
      }
    }
    return best;
  }
}
