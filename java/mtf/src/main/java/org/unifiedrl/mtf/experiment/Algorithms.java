package org.unifiedrl.mtf.experiment;

import java.util.Locale;
import java.util.function.Function;
import org.unifiedrl.mtf.algorithm.Algorithm;
import org.unifiedrl.mtf.algorithm.Awac;
import org.unifiedrl.mtf.algorithm.Bcq;
import org.unifiedrl.mtf.algorithm.CommonConfig;
import org.unifiedrl.mtf.algorithm.Cql;
import org.unifiedrl.mtf.algorithm.Ddpg;
import org.unifiedrl.mtf.algorithm.Edac;
import org.unifiedrl.mtf.algorithm.EnhancedRl;
import org.unifiedrl.mtf.algorithm.Iql;
import org.unifiedrl.mtf.algorithm.ReBrac;
import org.unifiedrl.mtf.algorithm.Td3;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.algorithm.UnifiedRl;
import org.unifiedrl.mtf.algorithm.UnifiedRlConfig;
import org.unifiedrl.mtf.algorithm.UnifiedRlV4Config;

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
      Function<Transitions, Algorithm> create) {

    /** Whether it learns from lists of pairs instead of requests. */
    boolean pairwise() {
      return name.equals(nameOf(ExperimentConfig.AlgorithmKind.ENHANCEDRL));
    }
  }

  /**
   * Coefficients in two parts.
   *
   * @param common what others have too
   * @param own what they have not
   */
  private record Coefficients(Object common, Object own) {}

  /**
   * Chooses.
   *
   * @throws IllegalArgumentException if a coefficient is out of its range
   */
  public static Chosen of(ExperimentConfig config) {
    UnifiedRlConfig unified = unifiedRl(config.training());
    CommonConfig common = unified.common();
    AlgorithmConfigs all = config.algorithms();
    String name = nameOf(config.training().algorithm());
    return switch (config.training().algorithm()) {
      case UNIFIEDRL -> new Chosen(name, common, unified, t -> new UnifiedRl(unified, t));
      case UNIFIEDRL_V4 -> {
        UnifiedRlV4Config own = all.unifiedrlV4();
        yield new Chosen(
            name, common, new Coefficients(unified, own), t -> new UnifiedRl(unified, own, t));
      }
      case ENHANCEDRL -> {
        UnifiedRlConfig each = unified.withCriticsPerGroup(all.enhancedrl().criticsPerGroup());
        yield new Chosen(name, common, each, t -> new EnhancedRl(each, t));
      }
      case DDPG -> new Chosen(name, common, common, t -> new Ddpg(common, t));
      case TD3 -> chosen(name, common, all.td3(), t -> new Td3(common, all.td3(), t));
      case TD3_BC -> chosen(name, common, all.td3Bc(), t -> new Td3(common, all.td3Bc(), t));
      case REBRAC -> chosen(name, common, all.rebrac(), t -> new ReBrac(common, all.rebrac(), t));
      case IQL -> chosen(name, common, all.iql(), t -> new Iql(common, all.iql(), t));
      case AWAC -> chosen(name, common, all.awac(), t -> new Awac(common, all.awac(), t));
      case CQL -> chosen(name, common, all.cql(), t -> new Cql(common, all.cql(), t));
      case EDAC -> chosen(name, common, all.edac(), t -> new Edac(common, all.edac(), t));
      case BCQ -> chosen(name, common, all.bcq(), t -> new Bcq(common, all.bcq(), t));
    };
  }

  private static String nameOf(ExperimentConfig.AlgorithmKind kind) {
    return kind.name().toLowerCase(Locale.ROOT);
  }

  private static Chosen chosen(
      String name, CommonConfig common, Object own, Function<Transitions, Algorithm> create) {
    return new Chosen(name, common, new Coefficients(common, own), create);
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
