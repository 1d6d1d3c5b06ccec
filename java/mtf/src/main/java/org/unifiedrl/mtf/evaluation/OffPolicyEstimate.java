package org.unifiedrl.mtf.evaluation;

import java.util.Optional;

/**
 * What a log says about a policy that did not write it, and how far to trust it. When {@link
 * #refusal()} is present the numbers are kept for diagnosis only and must not be reported as the
 * policy's value.
 *
 * @param value the estimate
 * @param low lower end of its 95 % interval, bootstrapped over units
 * @param high upper end
 * @param samples logged steps, or sessions where whole sessions are weighted
 * @param units units of the bootstrap: logged sessions, or their users
 * @param ess effective sample size (SUM w)^2 / SUM w^2 of the weights in use, out of {@code
 *     samples}; not a number where nothing is weighted
 * @param maxWeight largest weight before clipping
 * @param clippedShare share of the judged steps whose weight was clipped, in [0, 1]
 * @param refusal why the estimate must not be used, if so
 */
public record OffPolicyEstimate(
    double value,
    double low,
    double high,
    long samples,
    int units,
    double ess,
    double maxWeight,
    double clippedShare,
    Optional<String> refusal) {

  /** Whether the log holds too little about the policy to estimate its value. */
  public boolean refused() {
    return refusal.isPresent();
  }
}
