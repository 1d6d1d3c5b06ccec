package org.unifiedrl.mtf.algorithm;

import java.util.List;

/**
 * What every algorithm has, so that they can be compared on equal terms.
 *
 * @param batch transitions a step draws
 * @param hidden units of each hidden layer, of every network
 * @param discount discount of future rewards (gamma), in [0, 1)
 * @param groupWeights weight of each reward group (w_i), not all zero; algorithms with one value
 *     function learn from SUM_i w_i r_i
 * @param targetRate share of the online parameters in a soft update, in (0, 1]
 * @param targetPeriod steps from one soft update to the next
 * @param actorRate Adam's learning rate of the actor
 * @param criticRate Adam's learning rate of value networks
 * @param gradientClip largest gradient norm of each member of a network; 0 for none
 * @param normaliseReturns whether rewards are divided by the standard deviation of the logged
 *     discounted return, all groups by the same number, so that their proportions stay
 */
public record CommonConfig(
    int batch,
    List<Integer> hidden,
    double discount,
    List<Double> groupWeights,
    double targetRate,
    int targetPeriod,
    double actorRate,
    double criticRate,
    double gradientClip,
    boolean normaliseReturns) {

  /** Checks every range; messages name the coefficient and what was expected. */
  public CommonConfig {
    hidden = List.copyOf(hidden);
    groupWeights = List.copyOf(groupWeights);
    require("batch", batch, batch >= 1, "at least 1");
    require("hidden layers", hidden.size(), !hidden.isEmpty() && hidden.size() <= 6, "1 to 6");
    for (int units : hidden) {
      require("hidden", units, units >= 1, "at least 1 unit a layer");
    }
    require("discount", discount, discount >= 0 && discount < 1, "in [0, 1)");
    require("groupWeights", groupWeights.size(), !groupWeights.isEmpty(), "one value a group");
    double sum = 0;
    for (double weight : groupWeights) {
      require("groupWeights", weight, weight >= 0, "at least 0");
      sum += weight;
    }
    require("sum of groupWeights", sum, sum > 0, "positive");
    require("targetRate", targetRate, targetRate > 0 && targetRate <= 1, "in (0, 1]");
    require("targetPeriod", targetPeriod, targetPeriod >= 1, "at least 1");
    require("actorRate", actorRate, actorRate > 0, "positive");
    require("criticRate", criticRate, criticRate > 0, "positive");
    require("gradientClip", gradientClip, gradientClip >= 0, "at least 0");
  }

  /** Number of reward groups (q). */
  public int groups() {
    return groupWeights.size();
  }

  static void require(String name, double value, boolean valid, String expected) {
    if (!valid || Double.isNaN(value) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(name + " is " + value + ": expected " + expected);
    }
  }
}
