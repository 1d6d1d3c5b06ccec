package org.unifiedrl.mtf.experiment;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.engine.checkpoint.CheckpointStore;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.baseline.Baseline;
import org.unifiedrl.mtf.evaluation.AbTest;
import org.unifiedrl.mtf.policy.Policy;

/**
 * Progressive training (specification 4.2): rounds of exploration around the policy that is served
 * so far, training, offline evaluation, {@link Gate} and canary A/B test; a policy that passes is
 * served next, and explored around in the next round. One that does not is kept in its round's
 * folder for inspection, and all else stays as it was: the served policy, its box, its weights. A
 * training that diverges is such a round without a policy.
 *
 * <p>Every round serves other users, none of them twice and none of those that the run is reported
 * on. Where the environment has fewer users than {@code exploration.users}, rounds have fewer each;
 * they are never served again.
 *
 * <p>Whatever ends the process, a run that is started again on its folder goes on where it was, to
 * the same result: completed stages are in {@link Journal}, training continues from its newest
 * checkpoint, and any other stage starts again, with the same draws. One thread at a time.
 */
public final class ProgressiveTraining {

  /** Hears how the run goes; rounds that were completed before are told again. */
  public interface Listener {

    /** The policy that is served at first is known. */
    default void baseline(Baseline baseline) {}

    /** A round begins. */
    default void begin(int number, int rounds) {}

    /** What a round explores around, and is compared with. */
    default void served(int number, Supplier<Policy> policy) {}

    /** Hears the training of a round; closed when that is over. */
    default MetricsListener training(int number) {
      return MetricsListener.NONE;
    }

    /** A round is over. */
    default void end(Round round) {}
  }

  /**
   * Where the run ended.
   *
   * @param baseline the policy that was served at first
   * @param rounds all rounds
   * @param served number of the round whose policy is served at the end; 0 for the baseline
   * @param policy gives instances of that policy
   */
  public record Result(
      Baseline baseline, List<Round> rounds, int served, Supplier<Policy> policy) {}

  private final Pipeline pipeline;
  private final ExperimentConfig.Progressive settings;
  private final Path folder;

  /**
   * Prepares a run.
   *
   * @param pipeline stages of {@link Pipeline#progressive}
   * @param folder the run's folder
   */
  public ProgressiveTraining(Pipeline pipeline, Path folder) {
    this.pipeline = pipeline;
    this.settings = pipeline.config().progressive();
    this.folder = folder;
  }

  /** Folder of a round, laid out like a run's; from 1. */
  public static Path folder(Path run, int number) {
    return run.resolve("rounds").resolve(Integer.toString(number));
  }

  private Path shards(int number) {
    return folder(folder, number).resolve("shards");
  }

  private Path train(int number) {
    return shards(number).resolve("train");
  }

  private Path heldOut(int number) {
    return shards(number).resolve("held-out");
  }

  private Path checkpoints(int number) {
    return folder(folder, number).resolve("checkpoints");
  }

  /**
   * Runs all rounds, or those that are left.
   *
   * @throws IllegalStateException if the folder's journal is not this run's, or a file that a
   *     completed stage left was changed since
   * @throws IllegalArgumentException if exploration needs what the baseline is not
   */
  public Result run(Listener listener) {
    return run(pipeline::baseline, listener);
  }

  /**
   * The same around a baseline that may have been found elsewhere.
   *
   * @param search gives it; not asked if the journal has one
   */
  public Result run(Supplier<Baseline> search, Listener listener) {
    try (Journal journal = Journal.open(folder)) {
      Baseline baseline = journal.stage("baseline", Baseline.class, List.of(), search);
      listener.baseline(baseline);
      pipeline.checkExploration(baseline.policy());
      Served served = new Served(baseline, 0);
      Bounds bounds = pipeline.bounds();
      List<Round> rounds = new ArrayList<>();
      for (int number = 1; number <= settings.rounds(); number++) {
        listener.begin(number, settings.rounds());
        listener.served(number, served.policy());
        Round round = round(journal, rounds, served, bounds, listener);
        listener.end(round);
        rounds.add(round);
        served = round.decision().served() ? new Served(baseline, number) : served;
        bounds = round.decision().next();
      }
      return new Result(baseline, List.copyOf(rounds), served.round, served.policy());
    }
  }

  /** The served policy: that of a round, or the baseline if the round is 0. */
  private final class Served {
    private final Baseline baseline;
    private final int round;

    Served(Baseline baseline, int round) {
      this.baseline = baseline;
      this.round = round;
    }

    Supplier<Policy> policy() {
      return round == 0 ? baseline.policy() : pipeline.policy(checkpoints(round));
    }
  }

  private Round round(
      Journal journal, List<Round> before, Served served, Bounds bounds, Listener listener) {
    int number = before.size() + 1;
    Pipeline stages = pipeline.round(number, bounds);
    String name = "round " + number + ": ";
    Round.Logged logged =
        journal.stage(
            name + "explore",
            Round.Logged.class,
            List.of(shards(number)),
            () -> {
              delete(shards(number));
              return Round.Logged.of(
                  stages.explore(served.policy(), train(number), heldOut(number)));
            });
    Round.Trained trained =
        journal.stage(
            name + "train",
            Round.Trained.class,
            List.of(checkpoints(number)),
            () -> train(stages, number, served, before, listener));
    if (!trained.failure().isEmpty()) {
      Round.Decision refused =
          journal.stage(
              name + "serve",
              Round.Decision.class,
              List.of(),
              () -> new Round.Decision(false, trained.failure(), bounds));
      Round.Offline nothing = Round.Offline.none(bounds.lower().size());
      return new Round(number, bounds, logged, trained, nothing, Optional.empty(), refused);
    }
    Supplier<Policy> policy = stages.policy(checkpoints(number));
    Round.Offline offline =
        journal.stage(
            name + "evaluate",
            Round.Offline.class,
            List.of(),
            () ->
                Round.Offline.of(
                    stages.evaluate(served.policy(), policy, heldOut(number)),
                    drift(number, policy.get())));
    Gate gate = new Gate(settings);
    Optional<String> refusal = gate.offline(offline);
    Optional<AbTest.Result> canary = Optional.empty();
    if (refusal.isEmpty()) {
      AbTest.Result test =
          journal.stage(
              name + "canary",
              AbTest.Result.class,
              List.of(),
              () -> stages.canary(served.policy(), policy));
      canary = Optional.of(test);
      refusal = gate.canary(test);
    }
    String reason = refusal.orElse("");
    Bounds next = reason.isEmpty() ? next(bounds, offline.drift()) : bounds;
    Round.Decision decision =
        journal.stage(
            name + "serve",
            Round.Decision.class,
            List.of(),
            () -> new Round.Decision(reason.isEmpty(), reason, next));
    return new Round(number, bounds, logged, trained, offline, canary, decision);
  }

  /** A training that diverges would do so again: it is this round's result. */
  private Round.Trained train(
      Pipeline stages, int number, Served served, List<Round> before, Listener listener) {
    List<Path> data =
        settings.data() == ExperimentConfig.RoundData.LATEST
            ? List.of(train(number))
            : IntStream.rangeClosed(1, number).mapToObj(this::train).toList();
    boolean begun = new CheckpointStore(checkpoints(number), 1).latest().isPresent();
    try (MetricsListener metrics = listener.training(number)) {
      return Round.Trained.of(
          stages.train(start(number, served, before), data, checkpoints(number), begun, metrics));
    } catch (NotFiniteException e) {
      delete(checkpoints(number));
      return Round.Trained.diverged(e);
    }
  }

  private Learner.Start start(int number, Served served, List<Round> before) {
    int from =
        switch (settings.start()) {
          case WARM -> served.round;
          case CONTINUED ->
              before.stream()
                  .filter(round -> round.trained().failure().isEmpty())
                  .mapToInt(Round::number)
                  .max()
                  .orElse(0);
          case FRESH -> 0;
        };
    Learner.Start start =
        served.round == 0
            ? Pipeline.start(served.baseline, List.of(train(number)))
            : Learner.Start.cloning(
                Pipeline.meanServedAction(train(number)), List.of(train(number)));
    return from == 0 ? start : start.from(checkpoints(from));
  }

  private Drift drift(int number, Policy policy) {
    try (Replay log = Replay.open(heldOut(number))) {
      return Drift.of(log, policy, settings.boxPercentile());
    }
  }

  private Bounds next(Bounds now, Drift drift) {
    if (settings.box() == ExperimentConfig.BoxSchedule.FIXED) {
      return now;
    }
    return Bounds.symmetric(
        drift.moved().stream()
            .map(
                moved ->
                    Math.max(
                        settings.leastHalfWidth(), Math.min(moved, settings.largestHalfWidth())))
            .toList());
  }

  private static void delete(Path folder) {
    try {
      DurableFiles.deleteTree(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot remove what an interrupted stage left in " + folder, e);
    }
  }
}
