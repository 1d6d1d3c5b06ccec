package org.unifiedrl.mtf.study;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Percentage.withPercentage;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.experiment.EngineLearner;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.ExperimentConfig.ExplorationKind;
import org.unifiedrl.mtf.experiment.Learner;
import org.unifiedrl.mtf.experiment.RunListener;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Simulator;

class CellRunnerTest {

  private static final Simulator WORLD = new Simulator();

  @TempDir Path folder;

  /** Counts trainings, and fails from one of them on. */
  private static final class Counting implements Learner.Factory {
    private final AtomicInteger opened = new AtomicInteger();
    private final int fails;

    Counting(int fails) {
      this.fails = fails;
    }

    @Override
    public Learner open(
        ExperimentConfig config,
        Replay replay,
        Learner.Start start,
        Path checkpoints,
        boolean resume) {
      if (opened.incrementAndGet() >= fails) {
        throw new IllegalStateException("planted");
      }
      return EngineLearner.factory().open(config, replay, start, checkpoints, resume);
    }

    @Override
    public Supplier<Policy> policy(Path checkpoints) {
      return EngineLearner.factory().policy(checkpoints); // of rounds
    }
  }

  private static ExperimentConfig config(ExplorationKind kind, long seed, double eta) {
    ObjectNode tree = Cell.JSON.valueToTree(ExperimentConfig.defaults());
    tree.put("seed", seed).put("threads", 1);
    ObjectNode exploration = tree.withObject("exploration");
    exploration.put("kind", kind.name()).put("users", 60).put("held_out_users", 60);
    ObjectNode training = tree.withObject("training");
    training.put("steps", 5).put("batch", 16).put("critics_per_group", 2).put("eta", eta);
    training.putArray("hidden").add(8);
    tree.withObject("evaluation").put("users", 50).put("resamples", 100);
    return Cell.JSON.convertValue(tree, ExperimentConfig.class);
  }

  private static List<Cell> cells(double eta) {
    List<Cell> cells = new ArrayList<>();
    for (long seed = 1; seed <= 2; seed++) {
      ExperimentConfig box = config(ExplorationKind.UNIFORM, seed, 1.2);
      cells.add(new Cell("w", Cell.NO_DATA, "equal weights", seed, Making.BASELINE, box, box));
      for (ExplorationKind kind : List.of(ExplorationKind.UNIFORM, ExplorationKind.GAUSSIAN)) {
        cells.add(
            new Cell("w", kind.name(), "rl", seed, Making.TRAIN, config(kind, seed, eta), box));
      }
    }
    return cells;
  }

  private static List<CellResult> run(Path at, List<Cell> cells, int jobs, Counting learners) {
    try (CellRunner runner = new CellRunner(at, learners, config -> WORLD, "1")) {
      return runner.run(cells, jobs, false, RunListener.NONE);
    }
  }

  @Test
  void cellsThatAreDoneAreNotRunAgainAndOutcomesDoNotDependOnTheOrder() throws IOException {
    Path whole = folder.resolve("whole");
    Path broken = folder.resolve("broken");
    Counting once = new Counting(100);
    List<CellResult> expected = run(whole, cells(1.2), 1, once);
    assertThat(once.opened).hasValue(4);

    assertThatThrownBy(() -> run(broken, cells(1.2), 1, new Counting(3)))
        .hasMessage("cell w--uniform--rl--2: planted");
    long done = files(broken.resolve("cells"));
    assertThat(done).isEqualTo(4); // of seed 1, and the first of seed 2
    // What a kill leaves behind: a log without its marker, a half-written cell, work of a training.
    Files.createDirectories(broken.resolve("work/w--uniform--rl--2/step-5"));
    Files.writeString(broken.resolve("cells/.w--uniform--rl--2.json.tmp"), "{\"identity\": ");
    Counting rest = new Counting(100);
    List<CellResult> resumed = run(broken, cells(1.2), 2, rest);
    assertThat(rest.opened).hasValue(2);
    for (int i = 0; i < expected.size(); i++) {
      assertThat(resumed.get(i).parameterHash()).isEqualTo(expected.get(i).parameterHash());
      assertThat(resumed.get(i).served().uvc()).isEqualTo(expected.get(i).served().uvc());
      assertThat(resumed.get(i).served().udt()).isEqualTo(expected.get(i).served().udt());
      assertThat(resumed.get(i).offline()).isEqualTo(expected.get(i).offline());
      assertThat(resumed.get(i).cost().requests()).isEqualTo(expected.get(i).cost().requests());
    }
    assertThat(files(broken.resolve("logs"))).as("logs that nobody needs").isZero();

    Counting none = new Counting(1);
    assertThat(run(broken, cells(1.2), 1, none)).hasSize(6);
    assertThat(none.opened).hasValue(0);
  }

  @Test
  void aCellOfOtherSettingsIsRefusedBeforeAnythingRuns() {
    run(folder, cells(1.2).subList(0, 2), 1, new Counting(100));
    Counting none = new Counting(1);
    assertThatThrownBy(() -> run(folder, cells(1.3), 1, none))
        .isInstanceOf(CellStore.OtherSettingsException.class)
        .hasMessageContaining("w--uniform--rl--1.json was run with other settings")
        .hasMessageContaining("give another folder");
    assertThat(none.opened).hasValue(0);
  }

  @Test
  void oneProcessAtATimeRunsCellsInAFolder() {
    List<Cell> cells = cells(1.2).subList(0, 1);
    try (CellRunner first = new CellRunner(folder, new Counting(1), config -> WORLD, "1")) {
      first.run(cells, 1, false, RunListener.NONE);
      assertThatThrownBy(() -> run(folder, cells, 1, new Counting(1)))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("another process works on " + folder);
    }
    assertThat(run(folder, cells, 1, new Counting(1)).get(0).program()).isEqualTo("1");
  }

  /** Learners whose training diverges with a coefficient. */
  private static Learner.Factory divergingAt(double eta, AtomicInteger opened) {
    Learner.Factory usual = EngineLearner.factory();
    return new Learner.Factory() {
      @Override
      public Learner open(
          ExperimentConfig config, Replay replay, Learner.Start start, Path at, boolean resume) {
        opened.incrementAndGet();
        if (config.training().eta() == eta) {
          throw new NotFiniteException("step 3: critic_loss is not finite");
        }
        return usual.open(config, replay, start, at, resume);
      }

      @Override
      public Supplier<Policy> policy(Path checkpoints) {
        return usual.policy(checkpoints);
      }
    };
  }

  @Test
  void aReportedCellThatDivergesFailsAfterTheOthersAreDone() throws IOException {
    List<Cell> cells = new ArrayList<>(cells(7).subList(0, 2)); // the first that is trained
    cells.addAll(cells(1.2).subList(3, 6));
    AtomicInteger opened = new AtomicInteger();
    try (CellRunner runner = new CellRunner(folder, divergingAt(7, opened), config -> WORLD, "1")) {
      assertThatThrownBy(() -> runner.run(cells, 1, false, RunListener.NONE))
          .isInstanceOf(NotFiniteException.class)
          .hasMessageContaining("cell w--uniform--rl--1: step 3: critic_loss is not finite");
    }
    assertThat(opened).hasValue(3);
    assertThat(files(folder.resolve("cells"))).isEqualTo(4);
  }

  @Test
  void aTrialThatDivergesIsAnOutcome() {
    ExperimentConfig config = config(ExplorationKind.UNIFORM, 1, 7);
    List<Cell> trial = List.of(new Cell("w", "box", "trial", 1, Making.TRAIN, config, null));
    AtomicInteger opened = new AtomicInteger();
    for (int again = 0; again < 2; again++) {
      try (CellRunner runner = new CellRunner(folder, divergingAt(7, opened), c -> WORLD, "1")) {
        CellResult result = runner.run(trial, 1, false, RunListener.NONE).get(0);
        assertThat(result.failure()).isEqualTo("step 3: critic_loss is not finite");
        assertThat(Comparison.metric(Comparison.UVC, result)).isNaN();
      }
    }
    assertThat(opened).as("it would diverge again").hasValue(1);
  }

  /** The served policy stands where no round has one: that must not pass for what was trained. */
  @Test
  void roundsThatAllDivergeAreAFailureAndForATrialAnyIs() {
    ObjectNode tree = Cell.JSON.valueToTree(rounds(1e6).config());
    tree.withObject("training").put("eta", 7);
    ExperimentConfig config = Cell.JSON.convertValue(tree, ExperimentConfig.class);
    Cell trial = new Cell("w", "box", "trial", 1, Making.PROGRESSIVE, config, null);
    Cell reported = new Cell("w", "box", "ptm", 1, Making.PROGRESSIVE, config, config);
    AtomicInteger opened = new AtomicInteger();
    try (CellRunner runner = new CellRunner(folder, divergingAt(7, opened), c -> WORLD, "1")) {
      CellResult result = runner.run(List.of(trial), 1, false, RunListener.NONE).get(0);
      assertThat(result.failure()).contains("critic_loss is not finite");
      assertThatThrownBy(() -> runner.run(List.of(reported), 1, false, RunListener.NONE))
          .isInstanceOf(NotFiniteException.class)
          .hasMessageContaining("cell w--box--ptm--1");
    }
    assertThat(opened).as("three rounds each").hasValue(6);
  }

  @Test
  void namesMustBeDistinct() {
    List<Cell> twice = new ArrayList<>(cells(1.2));
    twice.add(twice.get(0));
    assertThatThrownBy(() -> run(folder, twice, 1, new Counting(1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("two cells have the name w--equal-weights--1");
  }

  /** Of three rounds; nothing that so few users say holds any back, except with no margin. */
  private static Cell rounds(double canaryMargin) {
    ObjectNode tree = Cell.JSON.valueToTree(config(ExplorationKind.UNIFORM, 1, 1.2));
    tree.withObject("training").put("steps", 7);
    tree.withObject("progressive")
        .put("rounds", 3)
        .put("ncis_margin", 1e6)
        .put("gauc_margin", 1)
        .put("canary_share", 2e-4)
        .put("canary_margin", canaryMargin);
    ExperimentConfig config = Cell.JSON.convertValue(tree, ExperimentConfig.class);
    ExperimentConfig ruler = config(ExplorationKind.UNIFORM, 1, 1.2);
    return new Cell("w", "box", "ptm", 1, Making.PROGRESSIVE, config, ruler);
  }

  @Test
  void roundsShareTheUsersAndTheStepsOfOneTraining() {
    List<Cell> cells = new ArrayList<>(cells(1.2).subList(0, 2));
    cells.add(rounds(1e6));
    Counting learners = new Counting(100);
    List<CellResult> results = run(folder, cells, 1, learners);
    assertThat(learners.opened).as("one training, and three rounds").hasValue(4);
    CellResult one = results.get(1);
    CellResult ptm = results.get(2);
    assertThat(one.rounds()).isEmpty();
    assertThat(ptm.rounds()).extracting(CellResult.Round::served).containsExactly(true, true, true);
    assertThat(ptm.rounds().get(0).halfWidths()).hasSize(10).containsOnly(0.3);
    assertThat(ptm.rounds().get(2).halfWidths()).allMatch(half -> half >= 0.05 && half <= 0.3);
    assertThat(ptm.cost().steps()).isEqualTo(7);
    assertThat(ptm.parameterHash()).isNotEmpty().isNotEqualTo(one.parameterHash());
    assertThat(ptm.served().uvc()).hasSize(50).isNotEqualTo(one.served().uvc());
    assertThat(ptm.offline().gauc()).isNotNaN();
    // The same 60 users; on top what the gate decides by: 60 held out, and three canaries of 200
    // users, served by two policies. Single users differ by their numbers of sessions.
    int canaries = 200 * 3 * 2;

    double perUser = one.cost().requests() / 60.0;
    assertThat((double) ptm.cost().requests())
        .isCloseTo(perUser * (60 + 60 + canaries), withPercentage(25));
    assertThat(ptm.explored().nearShare()).isBetween(0.0, 1.0);
    assertThat(ptm.explored().uvcLift()).isBetween(-30.0, 30.0);
    assertThat(ptm.cost().seconds())
        .containsOnlyKeys("baseline", "explore", "train", "gate", "serve", "evaluate");
    assertThat(ptm.cost().seconds().get("gate")).isPositive();
  }

  @Test
  void roundsThatAreAllRefusedLeaveTheBaseline() {
    List<Cell> cells = List.of(cells(1.2).get(0), rounds(0));
    List<CellResult> results = run(folder, cells, 1, new Counting(100));
    CellResult ptm = results.get(1);
    assertThat(ptm.rounds())
        .hasSize(3)
        .allSatisfy(
            round -> {
              assertThat(round.served()).isFalse();
              assertThat(round.reason()).contains("canary");
              assertThat(round.halfWidths()).containsOnly(0.3);
            });
    assertThat(ptm.parameterHash()).isEmpty();
    assertThat(ptm.served().uvc()).isEqualTo(results.get(0).served().uvc());
    assertThat(ptm.offline()).isEqualTo(results.get(0).offline());
  }

  @Test
  void roundsThatAreCutShortAreRunAgainToTheSameResult() {
    CellResult expected = run(folder.resolve("a"), List.of(rounds(1e6)), 1, new Counting(9)).get(0);
    Path broken = folder.resolve("b");
    assertThatThrownBy(() -> run(broken, List.of(rounds(1e6)), 1, new Counting(2)))
        .hasMessage("cell w--box--ptm--1: planted");
    assertThat(broken.resolve("work/w--box--ptm--1/rounds/2")).as("the second round").exists();
    CellResult again = run(broken, List.of(rounds(1e6)), 1, new Counting(9)).get(0);
    assertThat(again.parameterHash()).isEqualTo(expected.parameterHash());
    assertThat(again.rounds()).isEqualTo(expected.rounds());
    assertThat(again.served().uvc()).isEqualTo(expected.served().uvc());
    assertThat(again.cost().requests()).isEqualTo(expected.cost().requests());
    assertThat(again.explored()).isEqualTo(expected.explored());
    assertThat(broken.resolve("work/w--box--ptm--1")).doesNotExist();
  }

  /** A cell that learns from a log whose guide learned from a quarter of the users. */
  private static Cell guided(ExplorationKind kind, String method, double eta, String algorithm) {
    ObjectNode tree = Cell.JSON.valueToTree(config(ExplorationKind.UNIFORM, 1, eta));
    tree.withObject("training").put("algorithm", algorithm);
    tree.withObject("exploration").put("kind", kind.name());
    tree.withObject("/exploration/guide").put("share", 0.25).put("candidates", 4).put("steps", 6);
    ExperimentConfig config = Cell.JSON.convertValue(tree, ExperimentConfig.class);
    ExperimentConfig ruler = config(ExplorationKind.UNIFORM, 1, 1.2);
    return new Cell("w", kind.name(), method, 1, Making.TRAIN, config, ruler);
  }

  @ParameterizedTest
  @EnumSource(names = {"THOMPSON", "UCB", "RND"})
  void aGuidedLogCountsItsGuide(ExplorationKind kind) throws IOException {
    List<Cell> cells = new ArrayList<>(cells(1.2).subList(0, 2));
    cells.add(guided(kind, "rl", 1.2, "UNIFIEDRL"));
    cells.add(guided(kind, "other", 9, "TD3_BC"));
    Counting learners = new Counting(100);
    List<CellResult> results;
    try (CellRunner runner = new CellRunner(folder, learners, config -> WORLD, "1")) {
      results = runner.run(cells, 2, true, RunListener.NONE);
    }
    boolean critics = kind != ExplorationKind.RND;
    assertThat(learners.opened).as("trainings, and that of one guide").hasValue(critics ? 4 : 3);
    for (CellResult result : results.subList(2, 4)) {
      assertThat(result.cost().steps()).as("of the cell and of the guide").isEqualTo(5 + 6);
      assertThat(result.explored()).isEqualTo(results.get(2).explored());
    }
    LogStore logs = new LogStore(folder.resolve("logs"));
    List<Path> guided = logs.log(cells.get(2).config(), null).train(); // kept: nothing is run
    List<Path> plain = logs.log(cells.get(1).config(), null).train();
    assertThat(guided).hasSize(2);
    assertThat(users(guided.get(0), kind)).hasSize(45);
    assertThat(users(guided.get(1), ExplorationKind.UNIFORM)).hasSize(15);
    Set<Long> all = users(guided.get(0), kind);
    all.addAll(users(guided.get(1), ExplorationKind.UNIFORM));
    assertThat(all)
        .as("the people that other ways explore on")
        .isEqualTo(users(plain.get(0), ExplorationKind.UNIFORM));
    try (Replay both = Replay.open(guided, Replay.Options.DEFAULT)) {
      assertThat(results.get(2).cost().requests()).isEqualTo(both.rows());
    }
  }

  /** Users of a log that was explored in some way. */
  private static Set<Long> users(Path shards, ExplorationKind kind) {
    Set<Long> users = new HashSet<>();
    try (Replay replay = Replay.open(shards)) {
      assertThat(replay.schema().metadata()).containsEntry("exploration", kind.name());
      for (long row = 0; row < replay.rows(); row++) {
        users.add(replay.userId(row));
      }
    }
    return users;
  }

  /** Methods of one seed meet the same users with the same luck. */
  @Test
  void thePolicyThatIsTheBaselineDoesWhatTheBaselineDoes() {
    ExperimentConfig box = config(ExplorationKind.UNIFORM, 5, 1.2);
    ExperimentConfig wide = config(ExplorationKind.GAUSSIAN, 5, 9);
    List<Cell> same =
        List.of(
            new Cell("w", Cell.NO_DATA, "one", 5, Making.BASELINE, box, box),
            new Cell("w", Cell.NO_DATA, "two", 5, Making.BASELINE, wide, box));
    List<CellResult> results = run(folder, same, 2, new Counting(1));
    assertThat(results.get(0).served().udt()).isEqualTo(results.get(1).served().udt());
    assertThat(results.get(0).served().udt()).hasSize(50);
    assertThat(results.get(0).offline()).isEqualTo(results.get(1).offline());
  }

  /** A method of pairs has its own log, the same ruler, the same users, and no NCIS. */
  @Test
  void aPolicyOfPairsIsJudgedByRankingAndServesTheSameUsers() {
    ExperimentConfig box = config(ExplorationKind.UNIFORM, 5, 1.2);
    ObjectNode tree = Cell.JSON.valueToTree(box);
    tree.withObject("exploration").put("granularity", "PAIR");
    tree.withObject("training").put("algorithm", "ENHANCEDRL");
    ExperimentConfig pair = Cell.JSON.convertValue(tree, ExperimentConfig.class);
    List<Cell> both =
        List.of(
            new Cell("w", Cell.NO_DATA, "baseline", 5, Making.BASELINE, box, box),
            new Cell("w", "box", "enhancedrl", 5, Making.TRAIN, pair, box));
    Counting learners = new Counting(100);
    List<CellResult> results = run(folder, both, 1, learners);
    assertThat(learners.opened).hasValue(1);
    CellResult baseline = results.get(0);
    CellResult enhanced = results.get(1);
    assertThat(enhanced.served().uvc()).hasSize(50).isNotEqualTo(baseline.served().uvc());
    assertThat(enhanced.offline().ncis()).isNaN();
    assertThat(baseline.offline().ncis()).isPositive();
    assertThat(enhanced.offline().gauc()).isBetween(0.3, 0.7);
  }

  private static long files(Path at) throws IOException {
    if (!Files.exists(at)) {
      return 0;
    }
    try (Stream<Path> walk = Files.walk(at)) {
      return walk.filter(Files::isRegularFile)
          .filter(path -> !path.getFileName().toString().startsWith("."))
          .count();
    }
  }
}
