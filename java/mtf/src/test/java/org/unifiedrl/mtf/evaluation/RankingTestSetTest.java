package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.baseline.ConstantPolicy;
import org.unifiedrl.mtf.evaluation.MtfGauc.UserWeight;
import org.unifiedrl.mtf.session.Environment.UserRange;

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

  @Test
  void namesTheResponsesThereAre() {
    assertThatThrownBy(() -> RankingTestSet.collect(WORLD, power(0), "vlaid", 1, 3, USERS, 1, 1))
        .hasMessageContaining("no response vlaid; it has [valid]");
  }
}
