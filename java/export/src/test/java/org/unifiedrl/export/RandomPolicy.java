package org.unifiedrl.export;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Function;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.exploration.Box;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.serving.PolicyModel;

/** A policy of random weights, as training and as serving know it. */
record RandomPolicy(PolicyModel model, Policy policy) {

  private static final int LATENTS = 5;
  private static final int PROPOSALS = 6;

  /** A policy of S state features, k scores and some hidden layers. */
  static RandomPolicy of(ServedPolicy kind, int states, int scores, int... hidden) {
    Random random = new Random(kind.ordinal() + 1);
    int actions = 2 * scores;
    int inputs = kind == ServedPolicy.PAIR_ACTOR ? states + scores : states;
    float[] shift = uniform(random, inputs, 2);
    float[] scale = new float[inputs];
    for (int i = 0; i < inputs; i++) {
      scale[i] = (float) Math.exp(2 * random.nextGaussian());
    }
    Map<String, MlpPolicy.Weights> networks = new TreeMap<>();
    Function<int[], MlpPolicy.Weights> made = sizes -> weights(random, sizes, shift, scale);
    if (kind == ServedPolicy.BEST_OF_DECODED) {
      networks.put("decoder", made.apply(sizes(states + LATENTS, actions, hidden)));
      networks.put("perturbation", made.apply(sizes(states + actions, actions, hidden)));
      networks.put("critic", made.apply(sizes(states + actions, 1, hidden)));
      networks.put("range", made.apply(new int[] {1, actions}));
      networks.put("latents", made.apply(new int[] {LATENTS, PROPOSALS}));
    } else {
      int outputs = kind == ServedPolicy.SQUASHED_MEAN ? 2 * actions : actions;
      networks.put("actor", made.apply(sizes(inputs, outputs, hidden)));
    }
    double[] powerLow = new double[scores];
    double[] powerHigh = new double[scores];
    double[] biasLow = new double[scores];
    double[] biasHigh = new double[scores];
    for (int i = 0; i < scores; i++) {
      powerLow[i] = -0.5 * i;
      powerHigh[i] = 2 + i;
      biasLow[i] = Math.pow(10, -4 + i % 3);
      biasHigh[i] = 1 + i;
    }
    PolicyModel model =
        PolicyModel.of(
            kind,
            networks::get,
            names("feature \"%d\"", states),
            names("score,%d", scores),
            new ActionMap(powerLow, powerHigh, biasLow, biasHigh),
            Optional.of(Box.symmetric(actions, 0.3f)),
            "random-" + kind,
            Map.of("environment", "none"));
    return new RandomPolicy(model, kind.of(networks::get).get());
  }

  private static int[] sizes(int inputs, int outputs, int... hidden) {
    int[] sizes = new int[hidden.length + 2];
    sizes[0] = inputs;
    System.arraycopy(hidden, 0, sizes, 1, hidden.length);
    sizes[hidden.length + 1] = outputs;
    return sizes;
  }

  private static MlpPolicy.Weights weights(
      Random random, int[] sizes, float[] shift, float[] scale) {
    List<float[]> parts = new ArrayList<>();
    int length = 0;
    for (int l = 1; l < sizes.length; l++) {
      float bound = (float) Math.sqrt(3.0 / sizes[l - 1]);
      parts.add(uniform(random, sizes[l - 1] * sizes[l], bound));
      parts.add(uniform(random, sizes[l], 0.3f));
      length += (sizes[l - 1] + 1) * sizes[l];
    }
    float[] flat = new float[length];
    int at = 0;
    for (float[] part : parts) {
      System.arraycopy(part, 0, flat, at, part.length);
      at += part.length;
    }
    return new MlpPolicy.Weights(sizes, flat, shift, scale);
  }

  private static float[] uniform(Random random, int count, float bound) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = bound * (2 * random.nextFloat() - 1);
    }
    return values;
  }

  private static List<String> names(String format, int count) {
    List<String> names = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      names.add(format.formatted(i));
    }
    return names;
  }
}
