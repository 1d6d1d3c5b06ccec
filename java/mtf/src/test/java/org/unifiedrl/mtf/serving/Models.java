package org.unifiedrl.mtf.serving;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.exploration.Box;
import org.unifiedrl.mtf.fusion.ActionMap;

/** Models of random weights. */
public final class Models {

  private Models() {}

  /**
   * Networks and model of one policy.
   *
   * @param policy how they act
   * @param networks as of a checkpoint
   * @param model the same, for serving
   */
  public record Made(
      ServedPolicy policy, Function<String, MlpPolicy.Weights> networks, PolicyModel model) {}

  /** A small model: 3 features, 2 scores, hidden 4-3. */
  public static Made small(ServedPolicy policy, long seed) {
    return of(policy, seed, 3, 2, 4, 3);
  }

  /** A model of S features and k scores. */
  public static Made of(ServedPolicy policy, long seed, int states, int scores, int... hidden) {
    Random random = new Random(seed);
    int actions = 2 * scores;
    int latents = 2 * actions;
    float[] shift = new float[states + (policy == ServedPolicy.PAIR_ACTOR ? scores : 0)];
    float[] scale = new float[shift.length];
    for (int i = 0; i < shift.length; i++) {
      shift[i] = (float) random.nextGaussian();
      scale[i] = 0.5f + random.nextFloat();
    }
    Map<String, MlpPolicy.Weights> networks =
        switch (policy) {
          case ACTOR -> Map.of("actor", network(random, shift, scale, states, hidden, actions));
          case PAIR_ACTOR ->
              Map.of("actor", network(random, shift, scale, states + scores, hidden, actions));
          case SQUASHED_MEAN ->
              Map.of("actor", network(random, shift, scale, states, hidden, 2 * actions));
          case BEST_OF_DECODED ->
              Map.of(
                  "decoder", network(random, shift, scale, states + latents, hidden, actions),
                  "perturbation", network(random, shift, scale, states + actions, hidden, actions),
                  "critic", network(random, shift, scale, states + actions, hidden, 1),
                  "range", network(random, shift, scale, 1, new int[0], actions),
                  "latents", network(random, shift, scale, latents, new int[0], 5));
        };
    double[] low = new double[scores];
    double[] high = new double[scores];
    double[] biasLow = new double[scores];
    double[] biasHigh = new double[scores];
    for (int i = 0; i < scores; i++) {
      high[i] = 1 + random.nextDouble();
      biasLow[i] = 1e-4 + 1e-3 * random.nextDouble();
      biasHigh[i] = 0.1 + random.nextDouble();
    }
    float[] lower = new float[actions];
    float[] upper = new float[actions];
    Arrays.fill(lower, -0.15f);
    Arrays.fill(upper, 0.25f);
    PolicyModel model =
        PolicyModel.of(
            policy,
            networks::get,
            names("feature", states),
            names("score", scores),
            new ActionMap(low, high, biasLow, biasHigh),
            Optional.of(new Box(lower, upper)),
            "seed-" + seed,
            Map.of("made_for", "a test"));
    return new Made(policy, networks::get, model);
  }

  private static List<String> names(String of, int count) {
    return IntStream.range(0, count).mapToObj(i -> of + "_" + i).toList();
  }

  private static MlpPolicy.Weights network(
      Random random, float[] shift, float[] scale, int inputs, int[] hidden, int outputs) {
    List<Integer> sizes = new ArrayList<>(List.of(inputs));
    Arrays.stream(hidden).forEach(sizes::add);
    sizes.add(outputs);
    int length = 0;
    for (int l = 1; l < sizes.size(); l++) {
      length += (sizes.get(l - 1) + 1) * sizes.get(l);
    }
    float[] parameters = new float[length];
    int at = 0;
    for (int l = 1; l < sizes.size(); l++) {
      double deviation = 1.4 / Math.sqrt(sizes.get(l - 1));
      for (int i = 0; i < (sizes.get(l - 1) + 1) * sizes.get(l); i++) {
        parameters[at++] = (float) (deviation * random.nextGaussian());
      }
    }
    return new MlpPolicy.Weights(
        sizes.stream().mapToInt(Integer::intValue).toArray(), parameters, shift, scale);
  }
}
