package org.unifiedrl.mtf.experiment;

import java.util.Arrays;
import java.util.Collections;
import java.util.Optional;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.evaluation.Interval;
import org.unifiedrl.mtf.evaluation.OffPolicyEstimate;

/**
 * What a round of progressive training found, all of it relative to the policy that was served
 * while it explored.
 *
 * @param number from 1
 * @param bounds the box that was explored, around the served policy
 * @param logged the round's log
 * @param trained its training
 * @param offline its offline evaluation
 * @param canary the A/B test of the served policy and the new one; none if the offline gate refused
 *     the new one before
 * @param decision what is served from now on
 */
public record Round(
    int number,
    Bounds bounds,
    Logged logged,
    Trained trained,
    Offline offline,
    Optional<AbTest.Result> canary,
    Decision decision) {

  /**
   * What exploration logged.
   *
   * @param requests requests to learn from
   * @param sessions their sessions
   * @param heldOutRequests requests kept for offline evaluation
   * @param rewardPerRequest mean reward while exploring, all groups
   * @param validConsumptions valid consumptions per day of the users that are learned from, summed
   */
  public record Logged(
      long requests,
      long sessions,
      long heldOutRequests,
      double rewardPerRequest,
      double validConsumptions) {

    static Logged of(Pipeline.Logged log) {
      return new Logged(
          log.requests(),
          log.sessions(),
          log.heldOutRequests(),
          log.rewardPerRequest(),
          Arrays.stream(log.learned().validConsumptions()).sum());
    }
  }

  /**
   * What training left.
   *
   * @param steps steps of this round
   * @param backend back end that ran the last of them
   * @param engine what it ran them with
   * @param parameterHash SHA-256 of all parameters
   * @param failure why there is no policy: training diverged; empty if there is one
   */
  public record Trained(
      long steps, String backend, String engine, String parameterHash, String failure) {

    /** Older journals have none. */
    public Trained {
      failure = failure == null ? "" : failure;
    }

    static Trained of(Pipeline.Trained trained) {
      return new Trained(
          trained.steps(), trained.backend(), trained.engine(), trained.parameterHash(), "");
    }

    static Trained diverged(NotFiniteException e) {
      return new Trained(0, "", "", "", "training diverged: " + e.getMessage());
    }
  }

  /**
   * What held-out users of the round say.
   *
   * @param ncisServed value of the served policy
   * @param ncisDifference new policy minus served one; not a number if either is refused
   * @param essShare effective share of the logged requests, in [0, 1], for the policy that has less
   * @param gaucServed MTF-GAUC of the served policy, on the pages that it showed
   * @param gaucDifference new policy minus served one; not a number if no user has an AUC
   * @param drift how far the new policy moved
   */
  public record Offline(
      double ncisServed,
      Interval ncisDifference,
      double essShare,
      double gaucServed,
      Interval gaucDifference,
      Drift drift) {

    static Offline of(OfflineEvaluation evaluation, Drift drift) {
      return new Offline(
          evaluation.ncisBaseline().value(),
          evaluation.ncisDifference(),
          Math.min(share(evaluation.ncisBaseline()), share(evaluation.ncisPolicy())),
          evaluation.gaucBaseline().value(),
          evaluation.gaucDifference(),
          drift);
    }

    /** Nothing is known where there is no policy. */
    static Offline none(int actionSize) {
      double none = Double.NaN;
      Interval unknown = new Interval(none, none, none);
      Drift drift = new Drift(none, Collections.nCopies(actionSize, none));
      return new Offline(none, unknown, 0, none, unknown, drift);
    }

    private static double share(OffPolicyEstimate estimate) {
      return estimate.ess() / estimate.samples();
    }
  }

  /**
   * The end of a round.
   *
   * @param served whether the new policy is served from now on; otherwise all stays as it was
   * @param reason why it is not; empty if it is
   * @param next the next round's box
   */
  public record Decision(boolean served, String reason, Bounds next) {}
}
