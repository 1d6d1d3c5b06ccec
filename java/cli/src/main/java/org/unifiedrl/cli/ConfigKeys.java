package org.unifiedrl.cli;

import java.util.Map;
import java.util.stream.Collectors;

/** What each key of the configuration means, in a line; the paper's symbols in parentheses. */
final class ConfigKeys {

  private static final String TEXT =
      """
      environment: simulator, kuairand:DIR with KuaiRand's published files, or log:DIR, an import's
      seed: key of every random draw
      backend: auto, cuda, cpu, reference, or check:A,B, which compares two
      threads: threads that serve users and train; 0 for one per processor
      engine.device: index of the GPU, from 0
      engine.precision: matrix products in fp32, tf32 or bf16; the last two on a GPU only
      engine.replay: log on a GPU: resident in its memory, streamed, or auto, resident if it fits
      baseline.kind: equal weights, a search of the best vector, or es, which personalises it
      baseline.population: vectors per generation; times generations: evaluations of any search
      baseline.elite: search: vectors that shape the next generation
      baseline.generations: search: generations
      baseline.users: users that each vector serves when it is evaluated
      baseline.days: days that each user is followed
      baseline.deviation: search, cma-es: initial standard deviation of every dimension
      baseline.levels: coordinate: values of a dimension in a sweep
      baseline.requests: environment requests that a search may spend; 0 for no limit
      baseline.seconds: time that it may take; 0 for no limit
      baseline.objective: what is maximised
      baseline.es.hidden: hidden units per layer of the network that personalises the vector
      baseline.es.pairs: mirrored pairs of networks in a round
      baseline.es.users: users that each serves; all together serve as many as any search's vectors
      baseline.es.sigma: standard deviation of the parameters' noise
      baseline.es.learning_rate: Adam's learning rate
      baseline.es.weight_decay: weight of the L2 penalty
      exploration.kind: all kinds but gaussian and ornstein_uhlenbeck stay in a box
      exploration.granularity: what has an action of its own: user, a request; or pair, each candidate
      exploration.half_width: half the width of the box (upper_b = -lower_b), in normalised action
      exploration.lower_bounds: lower bounds of the box (lower_b), one per dimension; [] for -half_width
      exploration.upper_bounds: upper bounds of the box (upper_b), one per dimension; [] for half_width
      exploration.standard_deviation: of normal noise (sigma); of parameter_noise that of actions
      exploration.correlation: of Ornstein-Uhlenbeck noise at successive requests of a session
      exploration.users: users whose requests are learned from
      exploration.held_out_users: users whose requests are kept for offline evaluation
      exploration.days: days that each user is followed
      exploration.lanes: users in flight at once per thread
      exploration.log_candidates: whether all candidates' scores are logged too
      exploration.guide.run: run folder whose critics (thompson, ucb) or log (rnd) guide
      exploration.guide.candidates: actions of a request that the guide chooses from (K)
      exploration.guide.uniform_share: share of uniform actions, also of parameter_noise
      exploration.guide.kappa: ucb: weight of the critics' standard deviation
      exploration.guide.steps: training steps of rnd's network, and of critics made for share
      exploration.guide.share: in experiments: users whose uniform log makes the guide; 0 for guide.run
      training.algorithm: unifiedrl, unifiedrl_v4, enhancedrl, ddpg, td3, td3_bc, rebrac, bcq, iql, awac, cql or edac
      training.steps: gradient steps in all
      training.batch: requests per step (B)
      training.hidden: hidden units per layer of actor and critics
      training.critics_per_group: critics per reward group (m)
      training.eta: weight of the actor's box penalty (eta)
      training.omega: growth of the penalty per box width (omega)
      training.penalty_form: form of the penalty (d): continuous, or exact, which jumps at the edge
      training.lambda: weight of the ensemble's standard deviation (lambda)
      training.beta: attenuation of the target just outside the box (beta), in [0, 1]
      training.theta: decay of the attenuation per box width (theta)
      training.discount: discount of future rewards (gamma), in [0, 1)
      training.group_weights: weight of each reward group in the actor's objective (w_i)
      training.target_rate: rate of the soft target update (w), in (0, 1]
      training.target_period: steps between two of them (L)
      training.actor_rate: Adam's learning rate of the actor
      training.critic_rate: Adam's learning rate of the critics
      training.gradient_clip: largest gradient norm of a network; 0 for no limit
      training.normalise_returns: whether rewards are divided by the deviation of the logged return
      training.cloning_steps: steps that clone a personal served policy first; 0 starts at its mean
      training.report: steps between two lines of metrics
      training.checkpoint: steps between two checkpoints
      training.keep: checkpoints to keep
      unifiedrl_v4.target_penalty: weight of the box penalty in the critics' targets (c)
      enhancedrl.critics_per_group: critics per reward group (m), instead of training's
      td3.policy_noise: deviation of the noise on the target policy's actions
      td3.noise_clip: largest size of that noise; 0 for no limit
      td3.actor_period: steps between two updates of the actor
      td3_bc.alpha: weight of the value in the actor's loss, over the mean absolute value
      td3_bc.policy_noise: as td3.policy_noise
      td3_bc.noise_clip: as td3.noise_clip
      td3_bc.actor_period: as td3.actor_period
      rebrac.actor_weight: weight of the squared distance to the logged action in the actor's loss
      rebrac.critic_weight: weight of that to the next logged action in the critics' targets
      rebrac.policy_noise: as td3.policy_noise
      rebrac.noise_clip: as td3.noise_clip
      rebrac.actor_period: as td3.actor_period
      iql.expectile: of the logged actions' values that V estimates (tau)
      iql.temperature: exponent of an action's advantage in its weight (beta)
      iql.weight_cap: largest weight of an action
      iql.value_rate: learning rate of V
      awac.lambda: advantage that multiplies an action's weight by e
      awac.weight_cap: as iql.weight_cap
      cql.weight: weight of the conservative term
      cql.temperature: of its log-sum-exp
      cql.samples: actions that it draws from each of three distributions (n)
      cql.lagrange: whether a learned multiplier of the weight holds the term at the gap
      cql.gap: value of the term that the multiplier aims at (tau)
      cql.multiplier_rate: learning rate of its logarithm
      cql.entropy_backup: whether targets have the next action's entropy
      cql.target_entropy: as edac.target_entropy
      cql.alpha: as edac.alpha
      cql.alpha_rate: as edac.alpha_rate
      edac.critics: critics, the least of which counts (N), at least 2
      edac.diversity: weight of the similarity of their action gradients (eta); 0 is SAC-N
      edac.target_entropy: entropy that the policy is held at, for each dimension of the action
      edac.alpha: weight of the entropy at first (alpha)
      edac.alpha_rate: learning rate of its logarithm
      bcq.perturbation: how far actions may lie from decoded ones in each dimension (Phi), in (0, 1]
      bcq.least_weight: weight of the smaller critic in the targets; the larger has the rest (lambda)
      bcq.target_candidates: decoded actions of a next state, the best of which counts (n)
      bcq.served_candidates: decoded actions of a request that the policy chooses from
      bcq.generator_rate: learning rate of the model of logged actions
      evaluation.population: whom the A/B test serves: judge, or validation to choose settings on
      evaluation.bandwidth: kernel width of NCIS (h), in normalised action
      evaluation.ncis_kernel: of NCIS on a log explored in a box: plain, or in_box, truncated to it
      evaluation.cap: cap of its weights (c)
      evaluation.weight_cap: cap of the weights of dr, sndr, pdis and snpdis; 0 for none
      evaluation.estimators: beside NCIS: dm, dr, sndr, switch_dr, pdis, snpdis; and, a minute each, fqe, cfqe
      evaluation.switch_threshold: largest weight that SWITCH-DR uses
      evaluation.model_folds: folds of users by which reward models are cross-fitted
      evaluation.model_penalty: ridge penalty of reward models
      evaluation.fitted_q: fqe, cfqe: how their critics are trained
      evaluation.fitted_q.members: fqe, cfqe: bootstrap resamples of users, each with its own critics
      evaluation.fitted_q.steps: fqe, cfqe: gradient steps of each
      evaluation.fitted_q.batch: fqe, cfqe: requests per step
      evaluation.fitted_q.hidden: fqe, cfqe: hidden units per layer of the critics
      evaluation.fitted_q.rate: fqe, cfqe: learning rate at first; it falls to a tenth
      evaluation.fitted_q.target_rate: fqe, cfqe: rate of the soft target update, at every step
      evaluation.fitted_q.conservatism: cfqe: weight of the conservative term (alpha), in deviations of the return
      evaluation.fitted_q.sampled_actions: cfqe: uniform actions per request in that term
      evaluation.reward_constant: added to an item's reward to make its weight in MTF-GAUC
      evaluation.users: users of the A/B test
      evaluation.days: days that each user is followed
      evaluation.lanes: users in flight at once per thread
      evaluation.resamples: bootstrap resamples
      evaluation.headroom: whether oracles are searched, and the policy's regret to them measured
      progressive.rounds: rounds; users, held-out users and steps are split evenly over them
      progressive.data: what a round learns from: its latest log, or all rounds' pooled
      progressive.start: what its training starts from: warm, what is served; continued, the last round; or fresh
      progressive.box: the next box: fixed, or measured, as wide as the last served policy moved
      progressive.box_percentile: of |mu_new - mu_old| by dimension, a measured box's half-width
      progressive.least_half_width: smallest half-width of a measured box
      progressive.largest_half_width: largest half-width of a measured box
      progressive.least_ess_share: effective share of held-out requests below which NCIS has no say
      progressive.ncis_margin: loss in NCIS that the gate tolerates, in percent
      progressive.gauc_margin: loss in MTF-GAUC that the gate tolerates
      progressive.canary_share: share of the training range's users in each canary A/B test
      progressive.canary_margin: loss in UVC and in UDT that it tolerates, in percent
      simulator.world_seed: key of the item pool and of the users' tastes
      simulator.train_users: users that may be learned from
      simulator.judge_users: users for judging, others than those
      simulator.candidates: candidates per request, page_size to 64
      simulator.page_size: items shown per request
      simulator.value: dial: how much users differ in what satisfies them; 0 for not at all
      simulator.reliability: dial: how much predicted scores are distorted; 0 for calibrated
      simulator.hidden: dial: how much a hidden session state moves the truth; 0 for not at all
      simulator.valid_reward: reward of an item watched longer than 10 s
      simulator.watch_reward: reward of a second watched
      simulator.finish_reward: reward of an item watched to its end
      simulator.like_reward: reward of a like
      simulator.positive_reward: reward of a follow, comment or forward
      simulator.leave_intercept: a0 of leaving, sigmoid(a0 + a1 fatigue - a2 satisfaction + a3 skips)
      simulator.leave_fatigue: a1
      simulator.leave_satisfaction: a2
      simulator.leave_skips: a3, per skip in a row
      simulator.satisfaction_rate: weight of the newest page in the smoothed satisfaction, in (0, 1]
      simulator.fatigue_seconds: watch time after which fatigue is 1 - 1/e
      simulator.return_intercept: r0 of the next day's return, sigmoid(r0 + r1 (satisfaction - 1))
      simulator.return_satisfaction: r1
      simulator.reward_groups: reward groups (q): 1, all behaviours; 2, time and the others; 3, time, consumption and interaction
      simulator.behaviours: names of the five behaviours in this world's words; the first begins with valid
      simulator.rate_shifts: added to the logits of the rates of both thresholds and both interactions
      simulator.duration_scale: factor of the items' lengths
      """;

  private static final Map<String, String> LINES =
      TEXT.lines()
          .map(line -> line.split(": ", 2))
          .collect(Collectors.toMap(parts -> parts[0], parts -> parts[1]));

  private ConfigKeys() {}

  /** A line about a key such as {@code training.steps}; empty if there is nothing to say. */
  static String describe(String key) {
    return LINES.getOrDefault(key, "");
  }
}
