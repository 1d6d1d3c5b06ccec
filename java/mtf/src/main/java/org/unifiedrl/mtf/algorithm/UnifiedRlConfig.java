package org.unifiedrl.mtf.algorithm;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;

/**
 * Every coefficient of UnifiedRL, with the paper's symbol (specification sections 0 and 3). {@link
 * #DEFAULT} has the defaults of section 0; {@link #toBuilder} changes some.
 *
 * @param eta weight of the box penalty in the actor's loss, eta; at least 0
 * @param omega growth of the box penalty with the excess in box widths, omega; above 0
 * @param lambda weight of the critics' standard deviation in the actor's loss, lambda; at least 0
 * @param beta attenuation just outside the box, beta; in [0, 1]
 * @param theta decay of the attenuation with the excess in box widths, theta; at least 0
 * @param gamma discount, gamma; in [0, 1)
 * @param targetRate rate of the soft target update, w; in (0, 1]
 * @param targetPeriod steps between soft target updates, L; at least 1
 * @param rewardGroups groups of critics, one a reward column, q; at least 1
 * @param criticsPerGroup critics in a group, m; at least 1
 * @param batch transitions a step, B; at least 1
 * @param actorHidden hidden layer sizes of the actor
 * @param criticHidden hidden layer sizes of each critic
 * @param actorRate learning rate of the actor; above 0
 * @param criticRate learning rate of the critics; above 0
 * @param actorClip largest gradient norm of the actor; 0 does not clip
 * @param criticClip largest gradient norm of each critic by itself; 0 does not clip
 * @param penalty form of the box penalty d
 * @param normaliseRewards scale each reward group so that its discounted return has unit standard
 *     deviation: eta only means something relative to the scale of Q
 * @param groupWeights weight w_i of each group in the actor's loss; at least 0, not all 0
 * @param adamBeta1 decay of Adam's first moment; in [0, 1)
 * @param adamBeta2 decay of Adam's second moment; in [0, 1)
 * @param adamEpsilon epsilon of Adam; above 0
 * @param seed key of initialisation and draws
 */
public record UnifiedRlConfig(
    @JsonProperty("eta") double eta,
    @JsonProperty("omega") double omega,
    @JsonProperty("lambda") double lambda,
    @JsonProperty("beta") double beta,
    @JsonProperty("theta") double theta,
    @JsonProperty("gamma") double gamma,
    @JsonProperty("target_rate") double targetRate,
    @JsonProperty("target_period") int targetPeriod,
    @JsonProperty("reward_groups") int rewardGroups,
    @JsonProperty("critics_per_group") int criticsPerGroup,
    @JsonProperty("batch") int batch,
    @JsonProperty("actor_hidden") List<Integer> actorHidden,
    @JsonProperty("critic_hidden") List<Integer> criticHidden,
    @JsonProperty("actor_rate") double actorRate,
    @JsonProperty("critic_rate") double criticRate,
    @JsonProperty("actor_clip") double actorClip,
    @JsonProperty("critic_clip") double criticClip,
    @JsonProperty("penalty") Penalty penalty,
    @JsonProperty("normalise_rewards") boolean normaliseRewards,
    @JsonProperty("group_weights") List<Double> groupWeights,
    @JsonProperty("adam_beta1") double adamBeta1,
    @JsonProperty("adam_beta2") double adamBeta2,
    @JsonProperty("adam_epsilon") double adamEpsilon,
    @JsonProperty("seed") long seed) {

  /** Forms of the box penalty d; both have the same gradient. */
  public enum Penalty {
    /** SUM expm1(min(omega x, 8)): 0 at the edge. */
    CONTINUOUS,
    /** SUM [x > 0] exp(min(omega x, 8)): jumps to 1 at the edge, as printed. */
    EXACT
  }

  /** The defaults of section 0: two groups of 24 critics, batch 256, hidden 256-256. */
  public static final UnifiedRlConfig DEFAULT =
      new UnifiedRlConfig(
          1.2,
          1 / 0.3,
          0.2,
          1,
          1 / 0.3,
          0.9,
          0.08,
          15,
          2,
          24,
          256,
          List.of(256, 256),
          List.of(256, 256),
          1e-4,
          3e-4,
          0,
          0,
          Penalty.CONTINUOUS,
          true,
          List.of(1.0, 1.0),
          0.9,
          0.999,
          1e-8,
          1);

  /** Checks every range and names the value that is wrong. */
  public UnifiedRlConfig {
    range("eta", eta, eta >= 0, "at least 0");
    range("omega", omega, omega > 0, "above 0");
    range("lambda", lambda, lambda >= 0, "at least 0");
    range("beta", beta, beta >= 0 && beta <= 1, "in [0, 1]");
    range("theta", theta, theta >= 0, "at least 0");
    range("gamma", gamma, gamma >= 0 && gamma < 1, "in [0, 1)");
    range("target_rate (w)", targetRate, targetRate > 0 && targetRate <= 1, "in (0, 1]");
    range("target_period (L)", targetPeriod, targetPeriod >= 1, "at least 1");
    range("reward_groups (q)", rewardGroups, rewardGroups >= 1, "at least 1");
    range("critics_per_group (m)", criticsPerGroup, criticsPerGroup >= 1, "at least 1");
    range("batch", batch, batch >= 1, "at least 1");
    actorHidden = hidden("actor_hidden", actorHidden);
    criticHidden = hidden("critic_hidden", criticHidden);
    range("actor_rate", actorRate, actorRate > 0, "above 0");
    range("critic_rate", criticRate, criticRate > 0, "above 0");
    range("actor_clip", actorClip, actorClip >= 0, "at least 0");
    range("critic_clip", criticClip, criticClip >= 0, "at least 0");
    groupWeights = List.copyOf(groupWeights);
    if (groupWeights.size() != rewardGroups) {
      throw new IllegalArgumentException(
          "group_weights has %d values, but there are %d reward groups"
              .formatted(groupWeights.size(), rewardGroups));
    }
    double sum = 0;
    for (double weight : groupWeights) {
      range("a value of group_weights", weight, weight >= 0, "at least 0");
      sum += weight;
    }
    range("the sum of group_weights", sum, sum > 0, "above 0");
    range("adam_beta1", adamBeta1, adamBeta1 >= 0 && adamBeta1 < 1, "in [0, 1)");
    range("adam_beta2", adamBeta2, adamBeta2 >= 0 && adamBeta2 < 1, "in [0, 1)");
    range("adam_epsilon", adamEpsilon, adamEpsilon > 0, "above 0");
  }

  private static void range(String name, double value, boolean inside, String allowed) {
    if (!inside || !Double.isFinite(value)) {
      throw new IllegalArgumentException(name + " is " + value + "; it must be " + allowed);
    }
  }

  private static List<Integer> hidden(String name, List<Integer> sizes) {
    if (sizes.size() > 6) {
      throw new IllegalArgumentException(name + " has " + sizes.size() + " layers; 6 is the most");
    }
    for (int size : sizes) {
      range("a size in " + name, size, size >= 1, "at least 1");
    }
    return List.copyOf(sizes);
  }

  /** Number of critics E = q m. */
  public int critics() {
    return Math.multiplyExact(rewardGroups, criticsPerGroup);
  }

  /** A copy to change; see {@link Builder}. */
  public Builder toBuilder() {
    return new Builder(this);
  }

  /** Changes some values of a configuration; unnamed ones stay. */
  public static final class Builder {
    private double eta;
    private double omega;
    private double lambda;
    private double beta;
    private double theta;
    private double gamma;
    private double targetRate;
    private int targetPeriod;
    private int rewardGroups;
    private int criticsPerGroup;
    private int batch;
    private List<Integer> actorHidden;
    private List<Integer> criticHidden;
    private double actorRate;
    private double criticRate;
    private double actorClip;
    private double criticClip;
    private Penalty penalty;
    private boolean normaliseRewards;
    private List<Double> groupWeights;
    private double adamBeta1;
    private double adamBeta2;
    private double adamEpsilon;
    private long seed;

    private Builder(UnifiedRlConfig c) {
      eta = c.eta();
      omega = c.omega();
      lambda = c.lambda();
      beta = c.beta();
      theta = c.theta();
      gamma = c.gamma();
      targetRate = c.targetRate();
      targetPeriod = c.targetPeriod();
      rewardGroups = c.rewardGroups();
      criticsPerGroup = c.criticsPerGroup();
      batch = c.batch();
      actorHidden = c.actorHidden();
      criticHidden = c.criticHidden();
      actorRate = c.actorRate();
      criticRate = c.criticRate();
      actorClip = c.actorClip();
      criticClip = c.criticClip();
      penalty = c.penalty();
      normaliseRewards = c.normaliseRewards();
      groupWeights = c.groupWeights();
      adamBeta1 = c.adamBeta1();
      adamBeta2 = c.adamBeta2();
      adamEpsilon = c.adamEpsilon();
      seed = c.seed();
    }

    /** Sets {@link UnifiedRlConfig#eta}. */
    public Builder eta(double value) {
      eta = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#omega}. */
    public Builder omega(double value) {
      omega = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#lambda}. */
    public Builder lambda(double value) {
      lambda = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#beta}. */
    public Builder beta(double value) {
      beta = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#theta}. */
    public Builder theta(double value) {
      theta = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#gamma}. */
    public Builder gamma(double value) {
      gamma = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#targetRate}. */
    public Builder targetRate(double value) {
      targetRate = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#targetPeriod}. */
    public Builder targetPeriod(int value) {
      targetPeriod = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#rewardGroups}. */
    public Builder rewardGroups(int value) {
      rewardGroups = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#criticsPerGroup}. */
    public Builder criticsPerGroup(int value) {
      criticsPerGroup = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#batch}. */
    public Builder batch(int value) {
      batch = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#actorHidden}. */
    public Builder actorHidden(List<Integer> value) {
      actorHidden = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#criticHidden}. */
    public Builder criticHidden(List<Integer> value) {
      criticHidden = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#actorRate}. */
    public Builder actorRate(double value) {
      actorRate = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#criticRate}. */
    public Builder criticRate(double value) {
      criticRate = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#actorClip}. */
    public Builder actorClip(double value) {
      actorClip = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#criticClip}. */
    public Builder criticClip(double value) {
      criticClip = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#penalty}. */
    public Builder penalty(Penalty value) {
      penalty = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#normaliseRewards}. */
    public Builder normaliseRewards(boolean value) {
      normaliseRewards = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#groupWeights}. */
    public Builder groupWeights(List<Double> value) {
      groupWeights = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#adamBeta1}. */
    public Builder adamBeta1(double value) {
      adamBeta1 = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#adamBeta2}. */
    public Builder adamBeta2(double value) {
      adamBeta2 = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#adamEpsilon}. */
    public Builder adamEpsilon(double value) {
      adamEpsilon = value;
      return this;
    }

    /** Sets {@link UnifiedRlConfig#seed}. */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /** Checks and makes the configuration. */
    public UnifiedRlConfig build() {
      return new UnifiedRlConfig(
          eta,
          omega,
          lambda,
          beta,
          theta,
          gamma,
          targetRate,
          targetPeriod,
          rewardGroups,
          criticsPerGroup,
          batch,
          actorHidden,
          criticHidden,
          actorRate,
          criticRate,
          actorClip,
          criticClip,
          penalty,
          normaliseRewards,
          groupWeights,
          adamBeta1,
          adamBeta2,
          adamEpsilon,
          seed);
    }
  }
}
