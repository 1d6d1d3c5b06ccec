package org.unifiedrl.mtf.experiment;

import java.util.Locale;
import java.util.function.Function;
import org.unifiedrl.mtf.algorithm.Algorithm;
import org.unifiedrl.mtf.algorithm.CommonConfig;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.algorithm.UnifiedRl;
import org.unifiedrl.mtf.algorithm.UnifiedRlConfig;

/** The algorithm that a configuration names, with its coefficients. */
public final class Algorithms {

  private Algorithms() {}

  /**
   * An algorithm that has not seen data yet.
   *
   * @param name as in {@code training.algorithm} and in checkpoints
   * @param common what all algorithms have
   * @param coefficients all that decides its results, as it stands in checkpoints
   * @param create makes it for a layout of transitions
   */
  public record Chosen(
      String name,
      CommonConfig common,
      Object coefficients,
      Function<Transitions, Algorithm> create) {}

  /**
   * Chooses.
   *
   * @throws IllegalArgumentException if a coefficient is out of its range
   */
  public static Chosen of(ExperimentConfig config) {
    ExperimentConfig.Training t = config.training();
    String name = t.algorithm().name().toLowerCase(Locale.ROOT);
    return switch (t.algorithm()) {
      case UNIFIEDRL -> {
        UnifiedRlConfig own = unifiedRl(t);
        yield new Chosen(name, own.common(), own, x -> new UnifiedRl(own, x));
      }
    };
  }

  /** UnifiedRL's coefficients among the settings of training. */
  public static UnifiedRlConfig unifiedRl(ExperimentConfig.Training t) {
    return new UnifiedRlConfig(
        t.batch(),
        t.hidden(),
        t.criticsPerGroup(),
        t.eta(),
        t.omega(),
        t.penaltyForm() == ExperimentConfig.PenaltyForm.EXACT,
        t.lambda(),
        t.beta(),
        t.theta(),
        t.discount(),
        t.groupWeights(),
        t.targetRate(),
        t.targetPeriod(),
        t.actorRate(),
        t.criticRate(),
        t.gradientClip(),
        t.normaliseReturns());
  }
}
