package org.unifiedrl.mtf.algorithm;

import static org.unifiedrl.mtf.algorithm.CommonConfig.require;

import java.util.List;

/**
 * Coefficients of UnifiedRL (specification section 0); symbols of the paper in parentheses.
 *
 * @param batch requests a step draws
 * @param hidden units of each hidden layer, of the actor and of every critic
 * @param criticsPerGroup critics in each reward group (m); 24 in the paper
 * @param eta weight of the actor's box penalty (eta); it is relative to the scale of the values,
 *     which {@code normaliseReturns} makes 1
 * @param omega steepness of the penalty in box widths (omega); 1 / 0.3 in the paper
 * @param exactPenalty whether the penalty jumps to 1 at the edge, as printed; its gradient is the
 *     same either way
 * @param lambda weight of the ensemble's standard deviation in the actor's loss (lambda)
 * @param beta attenuation of the target just outside the box (beta), in [0, 1]; 1 is continuous
 * @param theta decay of the attenuation in box widths (theta)
 * @param discount discount of future rewards (gamma), in [0, 1)
 * @param groupWeights weight of each reward group in the actor's loss (w_i), not all zero
 * @param targetRate share of the online parameters in a soft update (w), in (0, 1]
 * @param targetPeriod steps from one soft update to the next (L)
 * @param actorRate Adam's learning rate of the actor
 * @param criticRate Adam's learning rate of the critics
 * @param gradientClip largest gradient norm of the actor and of each critic by itself; 0 for none
 * @param normaliseReturns whether rewards are divided by the standard deviation of the logged
 *     discounted return, all groups by the same number, so that their proportions stay
 */
public record UnifiedRlConfig(
    int batch,
    List<Integer> hidden,
    int criticsPerGroup,
    double eta,
    double omega,
    boolean exactPenalty,
    double lambda,
    double beta,
    double theta,
    double discount,
    List<Double> groupWeights,
    double targetRate,
    int targetPeriod,
    double actorRate,
    double criticRate,
    double gradientClip,
    boolean normaliseReturns) {

  /** Checks every range; messages name the coefficient and what was expected. */
  public UnifiedRlConfig {
    hidden = List.copyOf(hidden);
    groupWeights = List.copyOf(groupWeights);
    new CommonConfig(
        batch,
        hidden,
        discount,
        groupWeights,
        targetRate,
        targetPeriod,
        actorRate,
        criticRate,
        gradientClip,
        normaliseReturns);
    require("criticsPerGroup", criticsPerGroup, criticsPerGroup >= 1, "at least 1");
    require("eta", eta, eta >= 0, "at least 0");
    require("omega", omega, omega > 0, "positive");
    require("lambda", lambda, lambda >= 0, "at least 0");
    require("beta", beta, beta >= 0 && beta <= 1, "in [0, 1]");
    require("theta", theta, theta >= 0, "at least 0");
  }

  /** The specification's defaults: two groups of 24 critics, 256-256, batch 256. */
  public static UnifiedRlConfig defaults() {
    return new UnifiedRlConfig(
        256,
        List.of(256, 256),
        24,
        1.2,
        1 / 0.3,
        false,
        0.2,
        1,
        1 / 0.3,
        0.9,
        List.of(1.0, 1.0),
        0.08,
        15,
        1e-4,
        3e-4,
        0,
        true);
  }

  /** The same with another number of critics in each group. */
  public UnifiedRlConfig withCriticsPerGroup(int critics) {
    return new UnifiedRlConfig(
        batch,
        hidden,
        critics,
        eta,
        omega,
        exactPenalty,
        lambda,
        beta,
        theta,
        discount,
        groupWeights,
        targetRate,
        targetPeriod,
        actorRate,
        criticRate,
        gradientClip,
        normaliseReturns);
  }

  /** Number of reward groups (q). */
  public int groups() {
    return groupWeights.size();
  }

  /** What other algorithms have too. */
  public CommonConfig common() {
    return new CommonConfig(
        batch,
        hidden,
        discount,
        groupWeights,
        targetRate,
        targetPeriod,
        actorRate,
        criticRate,
        gradientClip,
        normaliseReturns);
  }
}
