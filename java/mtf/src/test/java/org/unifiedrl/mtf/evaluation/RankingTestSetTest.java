package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.baseline.EqualWeights;
import org.unifiedrl.mtf.evaluation.MtfGauc.UserWeight;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.Rollout;
import org.unifiedrl.mtf.session.Simulator;

class RankingTestSetTest {

  private static final TinyWorld WORLD = new TinyWorld();
  private static final UserRange USERS = new UserRange(100, 300);

  private static ConstantPolicy power(float action) {
    return new ConstantPolicy(1, new float[] {action, 0});
  }

  @Test
  void aPerfectScoreRanksPerfectlyAndAConstantOneNotAtAll() {
    RankingTestSet set = RankingTestSet.collect(WORLD, power(0), "valid", 1, 3, USERS, 2, 32);
    assertThat(set.requests()).isGreaterThan(600);
    // The world's label is score > 0.5: any positive power ranks it, power 0 ties everything.
    assertThat(set.gauc(power(0.2f), UserWeight.SUMMED_WEIGHT).value()).isEqualTo(1);
    MtfGauc.Result flat = set.gauc(power(-1), UserWeight.SUMMED_WEIGHT);
    assertThat(flat.value()).isCloseTo(0.5, within(1e-12));
    assertThat(flat.users() + flat.droppedUsers()).isEqualTo(300);
    assertThat(flat.samples()).isEqualTo(set.requests());
  }

  @Test
  void lanesChangeNothing() {
    double one =
        RankingTestSet.collect(WORLD, power(0), "valid", 0, 3, USERS, 2, 1)
            .gauc(power(0.3f), UserWeight.SAMPLES)
            .value();
    double many =
        RankingTestSet.collect(WORLD, power(0), "valid", 0, 3, USERS, 2, 77)
            .gauc(power(0.3f), UserWeight.SAMPLES)
            .value();
    // Users' samples are the same; only the order of a few hundred additions differs.
    assertThat(many).isCloseTo(one, within(1e-12));
  }

  /** Label, weight and score of every shown item, straight from a rollout of the same users. */
  @Test
  void samplesAreItemsWeighedByTheirOwnReward() {
    Simulator world = new Simulator();
    UserRange users = new UserRange(40, 60);
    ConstantPolicy baseline = EqualWeights.of(world);
    float[] steep = new float[world.actionSize()];
    steep[0] = 1;
    ConstantPolicy policy = new ConstantPolicy(world.stateSize(), steep);
    MtfGauc expected = new MtfGauc();
    Rollout rollout = world.rollout(6, users, 1, 1);
    float[] action = baseline.action();
    int k = world.scoreNames().size();
    while (rollout.active() > 0) {
      rollout.serve(action);
      for (int item = 0; item < rollout.pageItems()[0]; item++) {
        double score = 0;
        for (int i = 0; i < k; i++) {
          double bias = world.actionMap().bias(i, steep[k + i]);
          score +=
              world.actionMap().power(i, steep[i])
                  * Math.log(rollout.pageScores()[item * k + i] + bias);
        }
        float[] seen = rollout.pageResponses();
        int at = item * k;
        double reward =
            seen[at] + 0.01 * seen[at + 1] + 0.2 * seen[at + 2] + seen[at + 3] + 2 * seen[at + 4];
        expected.add(rollout.users()[0], score, seen[at] > 0, 0.5 + reward);
      }
      rollout.advance();
    }
    MtfGauc.Result found =
        RankingTestSet.collect(world, baseline, "valid", 0.5, 6, users, 1, 16)
            .gauc(policy, UserWeight.SUMMED_WEIGHT);
    MtfGauc.Result known = expected.result(UserWeight.SUMMED_WEIGHT);
    assertThat(found.samples()).isEqualTo(known.samples());
    // Scores in float and in double order a few near ties differently.
    assertThat(found.value()).isCloseTo(known.value(), within(1e-4));
  }

  @Test
  void itemsRewardsSumToTheRequests() {
    Simulator world = new Simulator();
    Rollout rollout = world.rollout(3, new UserRange(0, 30), 1, 1);
    float[] action = EqualWeights.of(world).action();
    while (rollout.active() > 0) {
      rollout.serve(action);
      double sum = 0;
      for (int item = 0; item < rollout.pageItems()[0]; item++) {
        sum += world.reward(rollout.pageResponses(), item * world.responseNames().size());
      }
      double request = rollout.rewards()[0] + rollout.rewards()[1];
      // The rollout adds up in float: 40 terms below 20.
      assertThat(sum).isCloseTo(request, within(1e-4));
      rollout.advance();
    }
  }

  @Test
  void namesTheResponsesThereAre() {
    assertThatThrownBy(() -> RankingTestSet.collect(WORLD, power(0), "vlaid", 1, 3, USERS, 1, 1))
        .hasMessageContaining("no response vlaid; it has [valid]");
  }
}
