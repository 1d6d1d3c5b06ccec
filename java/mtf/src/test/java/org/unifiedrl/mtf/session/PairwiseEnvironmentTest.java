package org.unifiedrl.mtf.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.policy.PairPolicy;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment.UserRange;

class PairwiseEnvironmentTest {

  private static final Simulator WORLD = new Simulator();
  private static final PairwiseEnvironment PAIRS = new PairwiseEnvironment(WORLD);
  private static final UserRange USERS = new UserRange(40, 30);
  private static final int N = PAIRS.candidates();
  private static final int A = PAIRS.pairActionSize();
  private static final int K = WORLD.scoreNames().size();

  /** Actions that vary with the first features of the rows it is given. */
  private record Varying(int stateSize, int actionSize) implements Policy {
    @Override
    public void act(float[] states, int rows, float[] actions) {
      for (int row = 0; row < rows; row++) {
        for (int k = 0; k < actionSize; k++) {
          float sum = states[row * stateSize + k] + states[row * stateSize + stateSize - 1 - k];
          actions[row * actionSize + k] = (float) Math.sin(3 * sum + k);
        }
      }
    }
  }

  @Test
  void aRequestsActionOnAllCandidatesDoesWhatItDoesOnTheRequest() {
    Policy policy = new Varying(WORLD.stateSize(), A);
    Policy repeated = PAIRS.serving(policy);
    Rollout plain = WORLD.rollout(7, USERS, 3, 8);
    Rollout pairs = PAIRS.rollout(7, USERS, 3, 8);
    float[] actions = new float[8 * A];
    float[] pairActions = new float[8 * N * A];
    int requests = 0;
    while (plain.active() > 0) {
      int active = plain.active();
      requests += active;
      assertThat(pairs.active()).isEqualTo(active);
      policy.act(plain.states(), active, actions);
      repeated.act(pairs.states(), active, pairActions);
      plain.serve(actions);
      pairs.serve(pairActions);
      assertThat(pairs.users()).isEqualTo(plain.users());
      assertThat(pairs.times()).isEqualTo(plain.times());
      assertThat(pairs.rewards()).isEqualTo(plain.rewards());
      assertThat(pairs.last()).isEqualTo(plain.last());
      assertThat(pairs.pageCandidates()).isEqualTo(plain.pageCandidates());
      assertThat(pairs.pageResponses()).isEqualTo(plain.pageResponses());
      assertThat(pairs.candidateScores()).isEqualTo(plain.candidateScores());
      plain.advance();
      pairs.advance();
    }
    assertThat(pairs.active()).isZero();
    assertThat(requests).isGreaterThan(100);
    assertThat(pairs.totals()).usingRecursiveComparison().isEqualTo(plain.totals());
  }

  /** A state has the scores that serving then has, and the page is the top of each one's own. */
  @Test
  void everyCandidateIsFusedByItsOwnAction() {
    Fusion fusion = new Fusion(WORLD.actionMap());
    Policy each = PAIRS.serving(new PairPolicy(new Varying(PAIRS.pairStateSize(), A)));
    Random random = new Random(3);
    Rollout rollout = PAIRS.rollout(7, USERS, 1, 4);
    float[] actions = new float[4 * PAIRS.actionSize()];
    float[] fused = new float[N];
    float[] one = new float[1];
    int[] page = new int[PAIRS.pageSize()];
    for (int tick = 0; rollout.active() > 0; tick++) {
      int active = rollout.active();
      float[] states = rollout.states().clone();
      each.act(states, active, actions);
      if (tick % 2 == 1) {
        for (int i = 0; i < actions.length; i++) {
          actions[i] = 2 * random.nextFloat() - 1;
        }
      }
      rollout.serve(actions);
      float[] scores = rollout.candidateScores();
      for (int lane = 0; lane < active; lane++) {
        for (int c = 0; c < N; c++) {
          int state = (lane * N + c) * PAIRS.pairStateSize() + WORLD.stateSize();
          for (int i = 0; i < K; i++) {
            assertThat(states[state + i]).isEqualTo(scores[(lane * K + i) * N + c]);
          }
          fusion.fuse(scores, lane * K * N + c, N, 1, actions, (lane * N + c) * A, one);
          fused[c] = one[0];
        }
        Fusion.top(fused, N, page.length, page);
        int at = lane * page.length;
        assertThat(Arrays.copyOfRange(rollout.pageCandidates(), at, at + page.length))
            .isEqualTo(page);
      }
      rollout.advance();
    }
  }

  /** What is planted on one candidate is shown first. */
  @Test
  void anActionMovesItsCandidateAndNoOther() {
    Rollout rollout = PAIRS.rollout(7, USERS, 1, 1);
    float[] actions = new float[PAIRS.actionSize()];
    for (int planted = 0; planted < 20; planted++) {
      for (int c = 0; c < N; c++) {
        for (int i = 0; i < K; i++) {
          // Scores are below 1, so the lower the power, the higher its share.
          actions[c * A + i] = c == planted ? -1 : 1;
          actions[c * A + K + i] = -1;
        }
      }
      rollout.serve(actions);
      assertThat(rollout.pageCandidates()[0]).isEqualTo(planted);
      rollout.advance();
    }
  }

  /** Actions decide what is shown; what a user does with an item that is shown is its own. */
  @Test
  void aShownItemsResponseDoesNotDependOnTheActions() {
    int responses = WORLD.responseNames().size();
    int page = PAIRS.pageSize();
    Random random = new Random(9);
    float[][] seen = new float[USERS.count() * N][];
    int again = 0;
    for (int trial = 0; trial < 8; trial++) {
      Rollout rollout = PAIRS.rollout(7, USERS, 1, USERS.count());
      float[] actions = new float[USERS.count() * PAIRS.actionSize()];
      for (int i = 0; i < actions.length; i++) {
        actions[i] = 2 * random.nextFloat() - 1;
      }
      rollout.serve(actions);
      for (int place = 0; place < USERS.count() * page; place++) {
        int item = place / page * N + rollout.pageCandidates()[place];
        int at = place * responses;
        float[] response = Arrays.copyOfRange(rollout.pageResponses(), at, at + responses);
        if (seen[item] != null) {
          assertThat(response).isEqualTo(seen[item]);
          again++;
        }
        seen[item] = response;
      }
    }
    assertThat(again).isGreaterThan(100);
  }

  @Test
  void policiesOfOtherSizesAndActionsOutOfRangeAreRefused() {
    assertThatThrownBy(() -> PAIRS.serving(new PairPolicy(new Varying(WORLD.stateSize(), A))))
        .hasMessageContaining("a pair of environment simulator has S=" + PAIRS.pairStateSize());
    assertThatThrownBy(() -> PAIRS.serving(new Varying(PAIRS.pairStateSize(), A)))
        .hasMessageContaining("a request of environment simulator has S=" + WORLD.stateSize());
    assertThat(PAIRS.stateSize()).isEqualTo(N * (WORLD.stateSize() + K));
    float[] actions = new float[PAIRS.actionSize()];
    actions[actions.length - 1] = 1.5f;
    Rollout rollout = PAIRS.rollout(7, USERS, 1, 1);
    assertThatThrownBy(() -> rollout.serve(actions))
        .hasMessage("action of lane 0, dimension 9 is 1.5; expected a number in [-1, 1]");
  }
}
