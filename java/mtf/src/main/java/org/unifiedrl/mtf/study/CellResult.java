package org.unifiedrl.mtf.study;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import java.util.List;
import java.util.Map;

/**
 * What a cell left.
 *
 * @param identity hash of the settings that it was run with
 * @param served what users did whom nothing was learned from
 * @param offline what a log of other users says
 * @param explored what exploring its log meant
 * @param cost what it took
 * @param backend back end that trained; empty if nothing was trained
 * @param parameterHash SHA-256 of the trained parameters that are served; empty if there are none
 * @param rounds what became of each round of progressive training; empty for other methods
 * @param failure why a trial has no policy: its training diverged; empty if it has one
 * @param program version of the program that ran it; empty if that was not kept
 */
@JsonIgnoreProperties(ignoreUnknown = true) // files also hold the settings, for readers
public record CellResult(
    String identity,
    Served served,
    Offline offline,
    Explored explored,
    Cost cost,
    String backend,
    String parameterHash,
    List<Round> rounds,
    String failure,
    String program) {

  /** Older files lack some of it. */
  public CellResult {
    rounds = rounds == null ? List.of() : List.copyOf(rounds);
    failure = failure == null ? "" : failure;
    program = program == null ? "" : program;
  }

  /** A trial whose training diverged: nothing of it is known. */
  static CellResult diverged(String identity, String failure, String program) {
    return new CellResult(
        identity,
        new Served(new float[0], new float[0], Double.NaN, Double.NaN),
        new Offline(Double.NaN, 0, Double.NaN),
        Explored.NONE,
        new Cost(Map.of(), 0, 0),
        "",
        "",
        List.of(),
        failure,
        program);
  }

  /**
   * The A/B test's side of this policy; the arrays have one value a user, in the order of the
   * users, so that any two cells of one world and seed are compared in pairs.
   *
   * @param uvc valid consumptions per day
   * @param udt watch time in seconds per day
   * @param returns sum of all rewards, mean over users
   * @param sessionLength requests per session, over all users
   */
  public record Served(float[] uvc, float[] udt, double returns, double sessionLength) {}

  /**
   * Offline evaluation.
   *
   * @param ncis NCIS of the discounted return-to-go, in rewards; NaN if it is refused
   * @param ess its effective sample size, in logged requests
   * @param gauc MTF-GAUC on what the baseline shows
   */
  public record Offline(double ncis, double ess, double gauc) {}

  /**
   * Exploration; NaN where there was none.
   *
   * @param uvcLift valid consumptions of the users that were explored on, over the same users with
   *     the same luck and no exploration, percent: what is lost is negative
   * @param nearShare share of the logged actions that lie within 0.15 of the served one in every
   *     dimension
   */
  public record Explored(double uvcLift, double nearShare) {

    /** No exploration. */
    static final Explored NONE = new Explored(Double.NaN, Double.NaN);
  }

  /**
   * What a policy cost.
   *
   * @param seconds by stage: baseline and explore (shared by the cells of a log), train, gate (of
   *     rounds), evaluate, serve
   * @param requests environment requests served to make the policy: searching and exploring, and of
   *     progressive training also those of the held-out logs and canaries that its gate decides by
   * @param steps gradient steps, those of an exploration's guide included
   */
  public record Cost(Map<String, Double> seconds, long requests, long steps) {}

  /**
   * A round of progressive training.
   *
   * @param served whether its policy was served from then on; otherwise it was rolled back
   * @param reason why it was not: what refused it, the offline gate or the canary; empty if it was
   * @param halfWidths of the box that was explored, one per action dimension
   */
  public record Round(boolean served, String reason, List<Double> halfWidths) {}
}
