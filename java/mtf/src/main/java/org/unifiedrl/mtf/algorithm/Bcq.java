package org.unifiedrl.mtf.algorithm;

import java.util.Random;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * One step of BCQ as a program: a variational auto-encoder of logged actions proposes, a bounded
 * perturbation refines and critics choose (Fujimoto and others, ICML 2019; specification 6.5). It
 * is the core of BatchRL-MTF.
 */
public final class Bcq extends StochasticActorCritic {

  private static final int CRITICS = 2;
  private static final int LATENTS_PER_ACTION = 2;
  private static final double LARGEST_LATENT = 0.5; // of actions that are proposed
  private static final double DIVERGENCE_WEIGHT = 0.5;

  private final BcqConfig own;
  private final NetworkRef encoder;
  private final NetworkRef decoder;
  private final NetworkRef perturbation;
  private final NetworkRef targetPerturbation;
  private final Parameter range; // not trained: in checkpoints for the served policy
  private final NetworkRef latents; // likewise: a column for each candidate
  private final TensorRef firstCritic;
  private final LogBounds bounds = logBounds(-4, 15);
  private final int latentSize;

  /** Proposals and what a gradient with respect to them needs. */
  private record Proposal(TensorRef action, TensorRef inside, Program.Forward perturbation) {}

  /** Writes the step down. */
  public Bcq(CommonConfig config, BcqConfig own, Transitions transitions) {
    super(config, transitions, CRITICS);
    this.own = own;
    latentSize = LATENTS_PER_ACTION * a;
    encoder = step.network("encoder", 1, Activation.LINEAR, s + a, 2 * latentSize);
    decoder = step.network("decoder", 1, Activation.TANH, s + latentSize, a);
    perturbation = step.network("perturbation", 1, Activation.TANH, s + a, a);
    targetPerturbation = step.network("target_perturbation", 1, Activation.TANH, s + a, a);
    range = parameter("range", 1, a);
    latents = p.network("latents", 1, Activation.LINEAR, latentSize, own.servedCandidates());

    TensorRef state = batch.state();
    TensorRef action = batch.action();
    TensorRef reward = step.weightedReward();
    TensorRef generatorNorm = updateGenerator(state, action);

    // Critics: y = r + gamma (1 - done) max_i (lambda min_j Q'_j + (1 - lambda) max_j Q'_j)(s',
    // a'_i), a'_i proposed at s'.
    int n = own.targetCandidates();
    TensorRef nextStates = p.repeat("next_states", batch.nextState(), n);
    Proposal next = propose("next_action", nextStates, targetPerturbation, Tape.NONE, 1);
    TensorRef nextQs = value("next_q", targetCritic, nextStates, next.action(), Tape.NONE).y();
    TensorRef mixed =
        p.groupExtreme("mixed_next_q", nextQs, CRITICS, p.hyper("least_weight", own.leastWeight()))
            .value();
    TensorRef best =
        p.rowReduce("best_next_q", mixed, n, Program.Reduction.MAX, true, step.number(1)).value();
    TensorRef y = p.tdTarget("y", reward, batch.done(), null, best, 1, step.discount);
    Program.Forward q = value("q", critic, state, action, Tape.FULL);
    var error = p.squaredError("critic_loss", q.y(), step.forMembers("ys", y, CRITICS));
    p.mlpBackward("critic_backward", q, error.gradient());
    TensorRef criticNorm = p.adam("critic_adam", critic, step.criticAdam);
    step.track("critic_target", targetCritic, critic);

    // Perturbation: -mean Q_1(s, a~), a~ proposed at s, with the updated critics.
    Proposal proposal = propose("proposed_action", state, perturbation, Tape.FULL, 2);
    Program.Forward values = value("q_proposed", critic, state, proposal.action(), Tape.SIGNS);
    firstCritic = p.constant("first_critic", CRITICS, 1, 1);
    TensorRef objective = objectiveOfFirst(values.y(), firstCritic);
    TensorRef byCritic = p.mlpBackwardInput("to_action", values, objective, s, a);
    TensorRef uncut =
        p.multiply("to_uncut", p.memberSum("action_gradient", byCritic), proposal.inside());
    p.mlpBackward(
        "perturbation_backward",
        proposal.perturbation(),
        p.multiply("perturbation_gradient", uncut, range.value()));
    TensorRef perturbationNorm = p.adam("perturbation_adam", perturbation, step.actorAdam);
    step.track("perturbation_target", targetPerturbation, perturbation);

    p.metric("critic_loss", error.loss());
    p.metric("q_mean", p.members("first_q_proposed", values.y(), 0, 1));
    p.metric("reward", reward);
    p.metric("critic_gradient_norm", criticNorm);
    p.metric("actor_gradient_norm", perturbationNorm);
    p.metric("generator_gradient_norm", generatorNorm);
  }

  /** Encoder and decoder: mean_(B, A) (decoded - a)^2 + mean_(B, latents) KL / 2. */
  private TensorRef updateGenerator(TensorRef state, TensorRef action) {
    Program.Forward head =
        p.mlpForward("encoded", encoder, p.concat("encoder_input", state, action), Tape.FULL);
    TensorRef noise = noise("latent.noise", batch.size(), 0, 0);
    Program.GaussianSample latent =
        p.gaussianSample("latent", head.y(), noise, false, bounds.low(), bounds.high());
    Program.Forward decoded = value("reconstruction", decoder, state, latent.action(), Tape.FULL);
    Step.Distance distance = step.distance("reconstruction_error", decoded.y(), action);
    TensorRef gradient = step.gradient("reconstruction_gradient", distance, 1.0 / a);
    TensorRef toLatent = p.mlpBackwardInput("to_latent", decoded, gradient, s, latentSize);
    var divergence = p.gaussianDivergence("divergence", head.y(), bounds.low(), bounds.high());
    TensorRef ofDivergence =
        scaled(
            "divergence_gradient",
            divergence.derivative(),
            DIVERGENCE_WEIGHT / (batch.size() * latentSize));
    TensorRef toHead = p.gaussianSampleBackward("to_head", latent, toLatent, null);
    p.mlpBackward("decoder_backward", decoded, gradient);
    p.mlpBackward("encoder_backward", head, p.add("head_gradient", toHead, ofDivergence));
    Program.AdamHypers adam = adam("generator_rate", own.generatorRate());
    p.adam("encoder_adam", encoder, adam);
    p.metric("reconstruction_error", distance.squared());
    p.metric("divergence", divergence.value());
    return p.adam("decoder_adam", decoder, adam);
  }

  /** Decodes an action in every state and perturbs it: cut(b + range * xi(s, b)), xi in [-1, 1]. */
  private Proposal propose(
      String name, TensorRef state, NetworkRef network, Tape tape, int stream) {
    TensorRef latent = noise(name + ".latent", state.rows(), stream, LARGEST_LATENT);
    TensorRef decoded = value(name + ".decoded", decoder, state, latent, Tape.NONE).y();
    Program.Forward xi = value(name + ".perturbation", network, state, decoded, tape);
    TensorRef shift = p.multiply(name + ".shift", xi.y(), range.value());
    var cut = p.clip(name, p.add(name + ".uncut", decoded, shift), step.number(-1), step.number(1));
    return new Proposal(cut.value(), cut.derivative(), xi);
  }

  /** Normal latents, cut to a limit that is not 0. */
  private TensorRef noise(String name, int rows, int stream, double limit) {
    return p.normal(name, 1, rows, latentSize, stream, step.number(1), step.number(limit));
  }

  /** The decoder starts at the served action, and perturbations near 0. */
  @Override
  public void initialise(Engine engine, long seed, float[] start) {
    startCritics(engine, seed);
    engine.initialise(encoder, seed + 1);
    step.startAt(engine, decoder, seed + 2, start);
    step.startAt(engine, perturbation, seed + 3, new float[a]);
    engine.copyParameters(perturbation, targetPerturbation);
    start(engine, range, own.perturbation());
    engine.writeTensor(firstCritic, 1, 0);
    Random random = new Random(seed);
    double[] drawn = new double[Math.toIntExact(latents.size())]; // weights, then biases of 0
    for (int i = 0; i < latentSize * own.servedCandidates(); i++) {
      drawn[i] = Math.max(-LARGEST_LATENT, Math.min(LARGEST_LATENT, random.nextGaussian()));
    }
    engine.writeNetwork64(latents, Section.PARAMETERS, drawn);
  }

  @Override
  public ServedPolicy policy() {
    return ServedPolicy.BEST_OF_DECODED;
  }
}
