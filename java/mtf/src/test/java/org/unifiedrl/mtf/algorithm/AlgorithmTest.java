package org.unifiedrl.mtf.algorithm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.replay.ReplayException;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplaySchema.Column;

class AlgorithmTest {

  private static final int STATES = 128;
  private static final int ACTIONS = 10;

  private static Transitions log() {
    return new Transitions(ReplaySchema.standard(STATES, ACTIONS, 2, Map.of()));
  }

  /** The count by hand of a step with 48 critics, 256-256. */
  @Test
  void multiplyAddsAreThoseOfTheMatrixProducts() {
    long actor = 128 * 256 + 256 * 256 + 256 * 10;
    long critic = 138 * 256 + 256 * 256 + 256;
    long critics =
        3 * critic // Q', Q, Q(s, mu(s))
            + critic // weight gradients
            + (critic - 138 * 256) // of activations
            + (critic - 128 * 256); // down to the action only
    long actors = 2 * actor + actor + (actor - 128 * 256);
    UnifiedRl unified = new UnifiedRl(UnifiedRlConfig.defaults(), log());
    assertThat(unified.multiplyAdds()).isEqualTo(48 * critics + actors);
    assertThat(unified.batch().size()).isEqualTo(256);
    CommonConfig common = UnifiedRlConfig.defaults().common();
    assertThat(new Ddpg(common, log()).multiplyAdds()).isEqualTo(critics + actors);
    assertThat(new Td3(common, Td3Config.defaults(), log()).multiplyAdds())
        .isEqualTo(2 * critics + actors);
    long squashed = 128 * 256 + 256 * 256 + 256 * 20; // mean and deviation, of s and of s'
    long squashedActors = 2 * squashed + squashed + (squashed - 128 * 256);
    assertThat(new Edac(common, edac(0), log()).multiplyAdds())
        .isEqualTo(5 * critics + squashedActors);
    long second =
        critic // the direction up, but for states and the last layer
            - 128 * 256
            - 256
            + (critic - 138 * 256) // down again
            + (critic - 128 * 256); // weight gradients, but for states
    assertThat(new Edac(common, edac(1), log()).multiplyAdds())
        .isEqualTo(5 * (critics + critic - 128 * 256 + second) + squashedActors);
    long rows = 1 + 3 * 10; // logged action, and n = 10 of three kinds
    long conservative =
        2 * critic // Q', Q(s, a~)
            + (critic - 128 * 256) // down to the action only
            + rows * (2 * critic + critic - 138 * 256);
    assertThat(new Cql(common, CqlConfig.defaults(), log()).multiplyAdds())
        .isEqualTo(2 * conservative + squashedActors);
    // The same products, layer by layer.
    assertThat(new ReBrac(common, ReBracConfig.defaults(), log()).multiplyAdds())
        .isEqualTo(2 * critics + actors);
  }

  private static EdacConfig edac(double diversity) {
    return new EdacConfig(5, diversity, -1, 1, 3e-4);
  }

  @Test
  void networksThatAnOptimiserMovesAreKnown() {
    UnifiedRl unified = new UnifiedRl(UnifiedRlConfig.defaults(), log());
    assertThat(unified.networks())
        .extracting(NetworkRef::name)
        .containsExactly("critic", "target_critic", "actor", "target_actor");
    assertThat(unified.trained()).extracting(NetworkRef::name).containsExactly("critic", "actor");
    assertThat(unified.metrics()).contains("critic_loss", "q_mean", "attenuation");
  }

  @Test
  void layoutsThatDoNotFitAreRefusedByName() {
    Column state = new Column("state", 3);
    Column action = new Column("action", 2);
    Column reward = new Column("reward", 1);
    assertThatThrownBy(() -> new Transitions(new ReplaySchema(List.of(state, action), Map.of())))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("no column 'reward'");
    ReplaySchema narrow =
        new ReplaySchema(
            List.of(state, action, reward, new Column("next_state", 2), new Column("done", 1)),
            Map.of());
    assertThatThrownBy(() -> new Transitions(narrow))
        .hasMessageContaining("column 'next_state' has width 2: expected 3");
    ReplaySchema endless =
        new ReplaySchema(List.of(state, action, reward, new Column("next_state", 3)), Map.of());
    assertThatThrownBy(() -> new Transitions(endless)).hasMessageContaining("no column 'done'");
    Transitions explicit =
        new Transitions(
            new ReplaySchema(
                List.of(state, action, reward, new Column("next_state", 3), new Column("done", 1)),
                Map.of()));
    assertThat(explicit.explicit()).isTrue();
    CommonConfig two = UnifiedRlConfig.defaults().common();
    assertThatThrownBy(() -> new Ddpg(two, explicit))
        .hasMessageContaining("the log has 1 reward groups and groupWeights 2");
    assertThatThrownBy(() -> new UnifiedRl(one(), explicit))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("no column 'box_low'");
    assertThatThrownBy(() -> new ReBrac(one().common(), ReBracConfig.defaults(), explicit))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("no column 'next_action'");
  }

  private static UnifiedRlConfig one() {
    UnifiedRlConfig d = UnifiedRlConfig.defaults();
    return new UnifiedRlConfig(
        d.batch(),
        d.hidden(),
        d.criticsPerGroup(),
        d.eta(),
        d.omega(),
        d.exactPenalty(),
        d.lambda(),
        d.beta(),
        d.theta(),
        d.discount(),
        List.of(1.0),
        d.targetRate(),
        d.targetPeriod(),
        d.actorRate(),
        d.criticRate(),
        d.gradientClip(),
        d.normaliseReturns());
  }

  @Test
  void coefficientsOutOfRangeAreRefusedByTheirKey() {
    assertThatThrownBy(() -> new Td3Config(-1, 0.5, 2))
        .hasMessage("td3.policy_noise is -1.0: expected at least 0");
    assertThatThrownBy(() -> new Td3BcConfig(2.5, 0.2, 0.5, 0))
        .hasMessage("td3_bc.actor_period is 0.0: expected at least 1");
    assertThatThrownBy(() -> new ReBracConfig(1, Double.NaN, 0.2, 0.5, 2))
        .hasMessage("rebrac.critic_weight is NaN: expected at least 0");
    assertThatThrownBy(() -> new AwacConfig(0, 100))
        .hasMessage("awac.lambda is 0.0: expected positive");
    assertThatThrownBy(() -> new AwacConfig(1, Double.NaN))
        .hasMessage("awac.weight_cap is NaN: expected positive");
    assertThatThrownBy(() -> new EdacConfig(1, 1, -1, 1, 3e-4))
        .hasMessage("edac.critics is 1.0: expected at least 2");
    assertThatThrownBy(() -> new BcqConfig(0, 0.75, 10, 100, 1e-3))
        .hasMessage("bcq.perturbation is 0.0: expected in (0, 1]");
    assertThatThrownBy(() -> new BcqConfig(0.05, 0.75, 10, 0, 1e-3))
        .hasMessage("bcq.served_candidates is 0.0: expected at least 1");
    assertThatThrownBy(() -> new CqlConfig(10, 0, 10, false, -1, 3e-4, false, -1, 1, 3e-5))
        .hasMessage("cql.temperature is 0.0: expected positive");
    assertThatThrownBy(() -> new UnifiedRlV4Config(-0.1))
        .hasMessage("unifiedrl_v4.target_penalty is -0.1: expected at least 0");
  }
}
