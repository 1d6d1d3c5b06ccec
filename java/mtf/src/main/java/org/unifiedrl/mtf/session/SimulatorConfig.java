package org.unifiedrl.mtf.session;

import java.util.List;
import java.util.Set;

/**
 * Everything about the simulated world that is a choice; the group {@code simulator} of an
 * experiment's configuration. Rates and spreads that come from data are not here but in the
 * calibration constants.
 *
 * @param worldSeed key of the item pool and of the users' tastes
 * @param trainUsers users {@code 0 .. trainUsers - 1} may be learned from
 * @param judgeUsers the following users are for judging
 * @param candidates candidates per request, at least the page size, at most 64
 * @param pageSize items shown per request
 * @param value dial: how much users differ in what satisfies them; 0 = they all want the reward
 * @param reliability dial: how much predicted scores are distorted per segment and task; 0 =
 *     calibrated
 * @param hidden dial: how much session intent, fatigue and satiation move the true probabilities,
 *     unseen by the predictors; 0 = not at all
 * @param validReward reward of an item watched longer than 10 s
 * @param watchReward reward of a second watched
 * @param finishReward reward of an item watched to its end
 * @param likeReward reward of a like
 * @param positiveReward reward of a follow, comment or forward
 * @param leaveIntercept a0 of the leaving hazard {@code sigmoid(a0 + a1 fatigue - a2 satisfaction +
 *     a3 skips in a row)}
 * @param leaveFatigue a1
 * @param leaveSatisfaction a2
 * @param leaveSkips a3
 * @param satisfactionRate weight of the newest page in the smoothed satisfaction, in (0, 1]
 * @param fatigueSeconds watch time after which fatigue is {@code 1 - 1/e}
 * @param returnIntercept r0 of the next-day return probability {@code sigmoid(r0 + r1 (satisfaction
 *     - 1))}
 * @param returnSatisfaction r1
 * @param rewardGroups reward groups q: 1 for all behaviours together; 2 for time and the others, as
 *     in the paper; 3 for time, consumption (valid, finish) and interaction (like, positive)
 * @param behaviours names of the five behaviours in this world's own words: held for longer than 10
 *     s (its name begins with "valid"), seconds held, passed the item's own length, the first
 *     interaction, the second, rarer one
 * @param rateShifts what is added to the logits of the calibrated rates: of passing the smaller of
 *     10 s and the item's length, of passing the larger too, of the first interaction and of the
 *     second; zeros for KuaiRand's rates
 * @param durationScale factor of the calibrated item lengths; 1 for KuaiRand's
 */
public record SimulatorConfig(
    long worldSeed,
    int trainUsers,
    int judgeUsers,
    int candidates,
    int pageSize,
    double value,
    double reliability,
    double hidden,
    double validReward,
    double watchReward,
    double finishReward,
    double likeReward,
    double positiveReward,
    double leaveIntercept,
    double leaveFatigue,
    double leaveSatisfaction,
    double leaveSkips,
    double satisfactionRate,
    double fatigueSeconds,
    double returnIntercept,
    double returnSatisfaction,
    int rewardGroups,
    List<String> behaviours,
    List<Double> rateShifts,
    double durationScale) {

  /** Checks every value. */
  public SimulatorConfig {
    atLeast("simulator.train_users", trainUsers, 1);
    atLeast("simulator.judge_users", judgeUsers, 1);
    if ((long) trainUsers + judgeUsers > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "simulator.train_users + simulator.judge_users is "
              + ((long) trainUsers + judgeUsers)
              + "; expected less than 2^31");
    }
    atLeast("simulator.page_size", pageSize, 1);
    if (candidates < pageSize || candidates > 64) {
      throw new IllegalArgumentException(
          "simulator.candidates is "
              + candidates
              + "; expected simulator.page_size .. 64 = "
              + pageSize
              + " .. 64");
    }
    atLeast("simulator.value", value, 0);
    atLeast("simulator.reliability", reliability, 0);
    atLeast("simulator.hidden", hidden, 0);
    atLeast("simulator.valid_reward", validReward, 0);
    atLeast("simulator.watch_reward", watchReward, 0);
    atLeast("simulator.finish_reward", finishReward, 0);
    atLeast("simulator.like_reward", likeReward, 0);
    atLeast("simulator.positive_reward", positiveReward, 0);
    if (!(validReward + watchReward + finishReward + likeReward + positiveReward > 0)) {
      throw new IllegalArgumentException(
          "every simulator.*_reward is 0; expected at least one above 0");
    }
    finite("simulator.leave_intercept", leaveIntercept);
    atLeast("simulator.leave_fatigue", leaveFatigue, 0);
    atLeast("simulator.leave_satisfaction", leaveSatisfaction, 0);
    atLeast("simulator.leave_skips", leaveSkips, 0);
    if (!(satisfactionRate > 0 && satisfactionRate <= 1)) {
      throw new IllegalArgumentException(
          "simulator.satisfaction_rate is " + satisfactionRate + "; expected a number in (0, 1]");
    }
    atLeast("simulator.fatigue_seconds", fatigueSeconds, 1);
    finite("simulator.return_intercept", returnIntercept);
    atLeast("simulator.return_satisfaction", returnSatisfaction, 0);
    if (rewardGroups < 1 || rewardGroups > 3) {
      throw new IllegalArgumentException(
          "simulator.reward_groups is " + rewardGroups + "; expected 1, 2 or 3");
    }
    behaviours = List.copyOf(behaviours);
    if (behaviours.size() != Simulator.SCORES
        || Set.copyOf(behaviours).size() != Simulator.SCORES
        || !behaviours.get(0).startsWith("valid")) {
      throw new IllegalArgumentException(
          "simulator.behaviours is "
              + behaviours
              + "; expected five different names, the first of which begins with 'valid'");
    }
    rateShifts = List.copyOf(rateShifts);
    if (rateShifts.size() != Simulator.BINARY) {
      throw new IllegalArgumentException(
          "simulator.rate_shifts has "
              + rateShifts.size()
              + " values; expected four: first threshold, second, first interaction, second");
    }
    for (double shift : rateShifts) {
      if (!(Math.abs(shift) <= 5)) {
        throw new IllegalArgumentException(
            "simulator.rate_shifts has " + shift + "; expected numbers from -5 to 5");
      }
    }
    if (!(durationScale >= 0.01 && durationScale <= 10)) {
      throw new IllegalArgumentException(
          "simulator.duration_scale is " + durationScale + "; expected a number from 0.01 to 10");
    }
  }

  private static void atLeast(String name, double value, double least) {
    if (!(value >= least && value < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          name + " is " + value + "; expected a finite number of at least " + least);
    }
  }

  private static void finite(String name, double value) {
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException(name + " is " + value + "; expected a finite number");
    }
  }

  /**
   * All three dials at 1, 40 candidates, pages of 8, a million users to learn from and to judge.
   */
  public static SimulatorConfig defaults() {
    return new SimulatorConfig(
        20220425,
        1_000_000,
        1_000_000,
        40,
        8,
        1,
        1,
        1,
        1,
        0.01,
        0.2,
        1,
        2,
        -0.7,
        1.0,
        1.2,
        0.1,
        0.3,
        1200,
        0.4,
        1.0,
        2,
        List.of("valid", "watch_seconds", "finish", "like", "positive"),
        List.of(0.0, 0.0, 0.0, 0.0),
        1);
  }

  /** This world with other dials. */
  public SimulatorConfig withDials(double newValue, double newReliability, double newHidden) {
    return new SimulatorConfig(
        worldSeed,
        trainUsers,
        judgeUsers,
        candidates,
        pageSize,
        newValue,
        newReliability,
        newHidden,
        validReward,
        watchReward,
        finishReward,
        likeReward,
        positiveReward,
        leaveIntercept,
        leaveFatigue,
        leaveSatisfaction,
        leaveSkips,
        satisfactionRate,
        fatigueSeconds,
        returnIntercept,
        returnSatisfaction,
        rewardGroups,
        behaviours,
        rateShifts,
        durationScale);
  }
}
