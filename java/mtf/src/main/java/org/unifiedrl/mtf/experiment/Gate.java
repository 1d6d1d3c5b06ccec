package org.unifiedrl.mtf.experiment;

import java.util.Locale;
import java.util.Optional;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.evaluation.Interval;

/**
 * What a policy must pass before it is served in progressive training.
 *
 * <p><b>Offline</b>, the burden of proof is on the gate: it refuses a policy that held-out users
 * show to be worse, that is, one whose whole 95 % interval of the paired difference to the served
 * policy lies below the margin, in NCIS or in MTF-GAUC. NCIS has no say where either policy's
 * effective sample size is below the floor ({@code progressive.least_ess_share}), as for a policy
 * at the edge of its box in all ten dimensions; then MTF-GAUC alone decides. Where that is not
 * known either, the canary decides alone.
 *
 * <p><b>Canary</b>, the burden of proof is on the policy: neither in UVC nor in UDT may the lower
 * end of the 95 % interval of its lift, paired over users, lie below the margin. So a policy that
 * nothing offline speaks against is still served only if users were served by it without a loss
 * beyond the margin.
 */
final class Gate {

  private final ExperimentConfig.Progressive settings;

  Gate(ExperimentConfig.Progressive settings) {
    this.settings = settings;
  }

  /** Whether NCIS has a say. */
  private boolean conclusive(Round.Offline offline) {
    return offline.essShare() >= settings.leastEssShare()
        && !Double.isNaN(offline.ncisDifference().mean());
  }

  /** Why offline evaluation refuses a policy; empty if it does not. */
  Optional<String> offline(Round.Offline offline) {
    double tolerated = settings.ncisMargin() / 100 * Math.abs(offline.ncisServed());
    if (conclusive(offline) && offline.ncisDifference().high() < -tolerated) {
      return Optional.of(refusal("NCIS", "%+.3f", offline.ncisDifference(), tolerated));
    }
    if (offline.gaucDifference().high() < -settings.gaucMargin()) { // false if not a number
      return Optional.of(
          refusal("MTF-GAUC", "%+.4f", offline.gaucDifference(), settings.gaucMargin()));
    }
    return Optional.empty();
  }

  /** Why the canary refuses a policy; empty if it does not. */
  Optional<String> canary(AbTest.Result test) {
    Optional<String> uvc = canary("canary UVC lift, %", test.uvcLift());
    return uvc.isPresent() ? uvc : canary("canary UDT lift, %", test.udtLift());
  }

  private Optional<String> canary(String what, Interval lift) {
    double tolerated = settings.canaryMargin();
    return lift.low() >= -tolerated
        ? Optional.empty()
        : Optional.of(refusal(what, "%+.2f", lift, tolerated));
  }

  private static String refusal(String what, String number, Interval found, double tolerated) {
    return String.format(
        Locale.ROOT,
        "%s: " + number + " [" + number + ", " + number + "], tolerated " + number,
        what,
        found.mean(),
        found.low(),
        found.high(),
        -tolerated);
  }
}
