package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.evaluation.AbTest.Progress;
import org.unifiedrl.mtf.evaluation.AbTest.Result;
import org.unifiedrl.mtf.evaluation.AbTest.Settings;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.session.Environment.UserRange;
import org.unifiedrl.mtf.session.UserTotals;

class AbTestTest {

  private static final TinyWorld WORLD = new TinyWorld();
  private static final Settings SETTINGS = new Settings(5, new UserRange(100, 230), 2, 1, 16, 400);

  @Test
  void comparesPoliciesOnEqualLuck() {
    Result result =
        AbTest.run(WORLD, () -> constant(0.0f), () -> constant(0.5f), SETTINGS, Progress.NONE);
    // In this world a request earns (1 + a) times the user's luck, under either policy.
    assertThat(result.uvcLift().mean()).isCloseTo(50, within(1e-4));
    assertThat(result.uvcLift().low()).isCloseTo(50, within(1e-4));
    assertThat(result.uvcLift().high()).isCloseTo(50, within(1e-4));
    assertThat(result.udtLift().mean()).isCloseTo(50, within(1e-4));
    assertThat(result.requestsLift().mean()).isZero();
    assertThat(result.sessionLengthLift().mean()).isZero();
    assertThat(result.users()).isEqualTo(230);
    assertThat(result.baseline().sessionLength()).isCloseTo(3, within(1.0));
    assertThat(result.policy().uvc()).isGreaterThan(result.baseline().uvc());
  }

  /** As few users of a canary may: what cannot be known is not 0. */
  @Test
  void noLiftIsKnownOverUsersWhoConsumedNothing() {
    double[] nothing = {0, 0};
    double[] some = {1, 3};
    UserTotals idle = new UserTotals(nothing, some, some, some, some);
    Result result = AbTest.compare(idle, idle, new PairedBootstrap(1, 100));
    assertThat(result.uvcLift().mean()).isNaN();
    assertThat(result.uvcLift().low()).isNaN();
    assertThat(result.udtLift().mean()).isZero();
  }

  @Test
  void threadsAndLanesChangeNothing() {
    UserTotals one = AbTest.serve(WORLD, () -> constant(0.3f), SETTINGS, Progress.NONE);
    for (int threads : new int[] {2, 5}) {
      for (int lanes : new int[] {1, 7, 500}) {
        Settings other = new Settings(5, SETTINGS.users(), 2, threads, lanes, 400);
        UserTotals totals = AbTest.serve(WORLD, () -> constant(0.3f), other, Progress.NONE);
        assertThat(totals.validConsumptions()).isEqualTo(one.validConsumptions());
        assertThat(totals.watchSeconds()).isEqualTo(one.watchSeconds());
        assertThat(totals.requests()).isEqualTo(one.requests());
        assertThat(totals.sessions()).isEqualTo(one.sessions());
        assertThat(totals.returns()).isEqualTo(one.returns());
      }
    }
  }

  @Test
  void reportsProgressInOrder() {
    List<Integer> reports = new ArrayList<>();
    AbTest.run(
        WORLD,
        () -> constant(0),
        () -> constant(0),
        new Settings(5, SETTINGS.users(), 1, 3, 4, 40),
        (served, total) -> {
          assertThat(total).isEqualTo(460);
          reports.add(served);
        });
    assertThat(reports).isSorted().doesNotHaveDuplicates().contains(230, 460);
  }

  @Test
  void aFailingPolicyFailsTheTest() {
    AtomicInteger calls = new AtomicInteger();
    CountDownLatch called = new CountDownLatch(1);
    Policy failing =
        new Constant(1, 2, 0) {
          @Override
          public void act(float[] states, int rows, float[] actions) {
            calls.incrementAndGet();
            called.countDown();
            throw new IllegalStateException("out of order");
          }
        };
    Policy patient =
        new Constant(1, 2, 0) {
          @Override
          public void act(float[] states, int rows, float[] actions) {
            try { // else one thread could serve all users before the other begins
              called.await();
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
            super.act(states, rows, actions);
          }
        };
    Settings threads = new Settings(5, SETTINGS.users(), 1, 2, 4, 40);
    AtomicInteger given = new AtomicInteger();
    assertThatThrownBy(
            () ->
                AbTest.serve(
                    WORLD,
                    () -> given.getAndIncrement() == 0 ? failing : patient,
                    threads,
                    Progress.NONE))
        .hasMessage("out of order");
    assertThat(calls).hasValue(1);
  }

  @Test
  void anInterruptedTestHasNoResult() {
    for (int threads = 1; threads <= 2; threads++) {
      Settings settings = new Settings(5, SETTINGS.users(), 1, threads, 4, 40);
      Thread.currentThread().interrupt();
      assertThatThrownBy(() -> AbTest.serve(WORLD, () -> constant(0), settings, Progress.NONE))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("interrupted");
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void refusesWrongUse() {
    Policy shared = constant(0);
    Settings threads = new Settings(5, SETTINGS.users(), 1, 2, 4, 40);
    assertThatThrownBy(() -> AbTest.serve(WORLD, () -> shared, threads, Progress.NONE))
        .hasMessageContaining("one policy instance to two threads");
    assertThatThrownBy(
            () -> AbTest.serve(WORLD, () -> new Constant(3, 2, 0), SETTINGS, Progress.NONE))
        .hasMessageContaining("policy has S=3 A=2, environment tiny has S=1 A=2");
    assertThatThrownBy(() -> new Settings(1, new UserRange(0, 0), 1, 1, 1, 40))
        .hasMessageContaining("users=0");
  }

  private static Policy constant(float action) {
    return new Constant(1, 2, action);
  }

  private static class Constant implements Policy {
    private final int stateSize;
    private final int actionSize;
    private final float action;

    Constant(int stateSize, int actionSize, float action) {
      this.stateSize = stateSize;
      this.actionSize = actionSize;
      this.action = action;
    }

    @Override
    public int stateSize() {
      return stateSize;
    }

    @Override
    public int actionSize() {
      return actionSize;
    }

    @Override
    public void act(float[] states, int rows, float[] actions) {
      Arrays.fill(actions, 0, rows * actionSize, action);
    }
  }
}
