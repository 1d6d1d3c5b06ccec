package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.exploration.ExplorationEfficiency;
import org.unifiedrl.mtf.policy.PairPolicy;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Simulator;

/** Exploration of (user, candidate) pairs and what offline evaluation makes of it. */
class PairLogTest {

  private static final Simulator WORLD = new Simulator();
  private static final int PAGE = WORLD.pageSize();
  private static final int STATES = WORLD.stateSize() + WORLD.scoreNames().size();
  private static final int ACTIONS = WORLD.actionSize();
  private static final float SERVED = 0.1f;

  private static final List<String> SMALL =
      List.of(
          "seed=4",
          "exploration.granularity=\"pair\"",
          "exploration.users=120",
          "exploration.held_out_users=60",
          "training.algorithm=\"enhancedrl\"",
          "evaluation.resamples=100",
          "evaluation.estimators=[\"dm\"]");

  @TempDir Path folder;

  private static Pipeline pipeline(String... settings) {
    return new Pipeline(
        Settings.of(SMALL, settings), WORLD, EngineLearner.factory(), RunListener.NONE);
  }

  private static ConstantPolicy served() {
    float[] action = new float[ACTIONS];
    Arrays.fill(action, SERVED);
    return new ConstantPolicy(WORLD.stateSize(), action);
  }

  private Replay explored(String name, String... settings) {
    Path train = folder.resolve(name);
    pipeline(settings).explore(PairLogTest::served, train, folder.resolve(name + "-held-out"));
    return Replay.open(train);
  }

  private static float[] column(Replay replay, long row, String name) {
    int column = replay.schema().columnIndex(name);
    float[] values = new float[replay.schema().columns().get(column).width()];
    replay.get(row, column, values, 0);
    return values;
  }

  @Test
  void aRowHoldsTheShownPairs() {
    try (Replay replay = explored("log")) {
      Transitions transitions = new Transitions(replay.schema());
      assertThat(transitions.pairs()).isEqualTo(PAGE);
      assertThat(transitions.states()).isEqualTo(STATES);
      assertThat(transitions.actions()).isEqualTo(ACTIONS);
      assertThat(replay.rows()).isGreaterThan(200);
      assertThat(replay.outOfBoxRows()).isZero();
      Set<Float> drawn = new HashSet<>();
      for (long row = 0; row < replay.rows(); row++) {
        float[] states = column(replay, row, ReplaySchema.STATE);
        float[] actions = column(replay, row, ReplaySchema.ACTION);
        float[] low = column(replay, row, ReplaySchema.BOX_LOW);
        float[] scores = column(replay, row, RequestLog.PAGE_SCORES);
        assertThat(column(replay, row, Transitions.SHOWN)).containsOnly(1);
        assertThat(column(replay, row, ReplaySchema.BASELINE_ACTION)).containsOnly(SERVED);
        int k = WORLD.scoreNames().size();
        for (int pair = 0; pair < PAGE; pair++) {
          int at = pair * STATES;
          // The user's state is the same on all pairs, and the item's own scores follow it.
          for (int f = 0; f < WORLD.stateSize(); f++) {
            assertThat(states[at + f]).isEqualTo(states[f]);
          }
          for (int i = 0; i < k; i++) {
            assertThat(states[at + WORLD.stateSize() + i]).isEqualTo(scores[pair * k + i]);
          }
          drawn.add(actions[pair * ACTIONS]);
          assertThat(low[pair * ACTIONS]).isCloseTo(SERVED - 0.3f, within(1e-6f));
        }
        // No box is cut: the density is 1 / 0.6 in each dimension of each shown pair.
        assertThat((double) column(replay, row, ReplaySchema.LOG_DENSITY)[0])
            .isCloseTo(-PAGE * ACTIONS * Math.log(0.6), within(1e-3));
      }
      // Every pair has a draw of its own; two in a thousand of 24-bit uniforms may coincide.
      assertThat(drawn.size()).isGreaterThan((int) (0.998 * PAGE * replay.rows()));
      // A share of pairs: (0.25 / 0.3)^10 = 0.1615, of 1,000 pairs and more +-0.04.
      assertThat(ExplorationEfficiency.of(replay, ACTIONS, 0.25).share())
          .isCloseTo(0.1615, within(0.04));
    }
  }

  /** Requests by user and time, since lanes decide their order. */
  private static Map<String, List<Object>> requests(Replay replay) {
    Map<String, List<Object>> requests = new HashMap<>();
    for (long row = 0; row < replay.rows(); row++) {
      List<Object> values = new ArrayList<>();
      for (String name : List.of(ReplaySchema.STATE, ReplaySchema.ACTION, ReplaySchema.REWARD)) {
        values.add(Arrays.toString(column(replay, row, name)));
      }
      requests.put(replay.userId(row) + " " + replay.timestamp(row), values);
    }
    return requests;
  }

  @Test
  void lanesAndThreadsDoNotChangeALog() {
    try (Replay one = explored("one", "exploration.lanes=1", "threads=1");
        Replay many = explored("many", "exploration.lanes=16", "threads=2")) {
      assertThat(requests(many).equals(requests(one))).isTrue();
      assertThat(requests(many)).hasSize((int) one.rows());
    }
  }

  @Test
  void trainingStartsAtTheMeanOfThePairsServedActions() {
    explored("log").close();
    float[] mean = Pipeline.meanServedAction(folder.resolve("log"));
    assertThat(mean).hasSize(ACTIONS);
    for (float value : mean) {
      assertThat(value).isCloseTo(SERVED, within(1e-6f));
    }
  }

  /** Ranking is judged; what needs importance weights of a request's one action says why not. */
  @Test
  void importanceSamplingIsRefusedWithTheReasonAndRankingIsNot() {
    explored("log").close();
    Path heldOut = folder.resolve("log-held-out");
    float[] action = new float[ACTIONS];
    Arrays.fill(action, SERVED);
    PairPolicy same = new PairPolicy(new ConstantPolicy(STATES, action));
    OfflineEvaluation ofPairs = pipeline().evaluate(PairLogTest::served, () -> same, heldOut);
    assertThat(ofPairs.ncisPolicy().refusal().orElseThrow()).contains("the shown candidates");
    assertThat(ofPairs.ncisPolicy().value()).isNaN();
    assertThat(ofPairs.ncisDifference().mean()).isNaN();
    assertThat(ofPairs.estimators()).hasSize(1).allMatch(one -> one.policy().refused());
    // The served action on every item ranks as it does on the request.
    assertThat(ofPairs.gaucPolicy()).isEqualTo(ofPairs.gaucBaseline());
    assertThat(ofPairs.gaucBaseline().value()).isBetween(0.3, 0.8);

    String[] user = {"exploration.granularity=\"user\"", "training.algorithm=\"unifiedrl\""};
    explored("user", user).close();
    OfflineEvaluation ofRequests =
        pipeline(user).evaluate(PairLogTest::served, () -> same, folder.resolve("user-held-out"));
    assertThat(ofRequests.ncisPolicy().refusal().orElseThrow())
        .isEqualTo(
            "the policy acts on every candidate, and the log's density is of one action a request");
    assertThat(ofRequests.gaucPolicy()).isEqualTo(ofRequests.gaucBaseline());
  }

  /** Each item is ranked by its own action. */
  @Test
  void rankingSeesTheActionOfEachItem() {
    explored("log").close();
    // Powers follow the item's first score, so items of a page are fused by different powers.
    PairPolicy varying =
        new PairPolicy(
            new Policy() {
              @Override
              public int stateSize() {
                return STATES;
              }

              @Override
              public int actionSize() {
                return ACTIONS;
              }

              @Override
              public void act(float[] states, int rows, float[] actions) {
                for (int row = 0; row < rows; row++) {
                  float score = states[row * STATES + WORLD.stateSize()];
                  Arrays.fill(actions, row * ACTIONS, (row + 1) * ACTIONS, -score);
                }
              }
            });
    OfflineEvaluation offline =
        pipeline().evaluate(PairLogTest::served, () -> varying, folder.resolve("log-held-out"));
    // Lower powers raise sums of logarithms below 0: the item likeliest to be consumed comes first.
    assertThat(offline.gaucPolicy().value()).isGreaterThan(offline.gaucBaseline().value());
  }

  @Test
  void whatCannotGoByPairsIsRefusedBeforeAnythingRuns() {
    assertThatThrownBy(() -> pipeline("training.algorithm=\"iql\""))
        .hasMessageContaining("training.algorithm iql needs exploration.granularity user");
    assertThatThrownBy(() -> pipeline("exploration.granularity=\"user\""))
        .hasMessageContaining("training.algorithm enhancedrl needs exploration.granularity pair");
    assertThatThrownBy(
            () ->
                Pipeline.progressive(
                    Settings.of(SMALL), WORLD, EngineLearner.factory(), RunListener.NONE))
        .hasMessageContaining("progressive training goes by requests");
    assertThatThrownBy(() -> Settings.of(SMALL, "exploration.kind=\"sobol\""))
        .hasStackTraceContaining("exploration.kind sobol goes by requests");
  }
}
