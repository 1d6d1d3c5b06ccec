package org.unifiedrl.mtf.serving;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.exploration.UniformBox;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.policy.Policy;

class FusionPolicyTest {

  private static final int STATES = 30;
  private static final int SCORES = 5;
  private static final int ACTIONS = 2 * SCORES;
  private static final int CANDIDATES = 60;

  @TempDir Path folder;

  private static Models.Made made(ServedPolicy kind, long seed) {
    return Models.of(kind, seed, STATES, SCORES, 37, 19);
  }

  private static float[] state(Random random) {
    float[] state = new float[STATES];
    for (int i = 0; i < STATES; i++) {
      state[i] = (float) (2 * random.nextGaussian());
    }
    return state;
  }

  private static float[] scores(Random random) {
    float[] scores = new float[SCORES * CANDIDATES];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = random.nextFloat();
    }
    return scores;
  }

  /** The native engine's answers, and the fusion that environments use. */
  @ParameterizedTest
  @EnumSource(ServedPolicy.class)
  void servesWhatTheTrainedPolicyWould(ServedPolicy kind) {
    for (int seed = 1; seed <= 5; seed++) {
      Models.Made made = made(kind, seed);
      boolean pairs = kind == ServedPolicy.PAIR_ACTOR;
      Policy expected = made.policy().of(made.networks()).get();
      Fusion fusion = new Fusion(made.model().actionMap());
      FusionPolicy.Request request = FusionPolicy.of(made.model()).request();
      Random random = new Random(seed);
      for (int i = 0; i < 40; i++) {
        float[] state = state(random);
        float[] scores = scores(random);
        int rows = pairs ? CANDIDATES : 1;
        float[] actions = new float[rows * ACTIONS];
        expected.act(pairs ? pairs(state, scores) : state, rows, actions);

        int shown = request.begin(i).features(state).rank(scores, CANDIDATES, 10);
        float[] fused = new float[CANDIDATES];
        if (pairs) {
          fusion.fuseEach(scores, 0, CANDIDATES, CANDIDATES, actions, 0, fused);
          for (int c = 0; c < CANDIDATES; c++) {
            assertThat(request.fused()[c]).isCloseTo(fused[c], within(1e-4f));
          }
        } else {
          assertThat(request.action()).containsExactly(actions, within(1e-5f));
          assertThat(request.servedAction()).containsExactly(request.action());
          // From the same action on, not a bit differs.
          fusion.fuse(scores, 0, CANDIDATES, CANDIDATES, request.action(), 0, fused);
          assertThat(Arrays.copyOf(request.fused(), CANDIDATES)).containsExactly(fused);
          for (int k = 0; k < SCORES; k++) {
            assertThat(request.powers()[k])
                .isEqualTo((float) made.model().actionMap().power(k, request.action()[k]));
            assertThat(request.biases()[k])
                .isEqualTo((float) made.model().actionMap().bias(k, request.action()[SCORES + k]));
          }
        }
        int[] page = new int[10];
        assertThat(shown).isEqualTo(Fusion.top(request.fused(), CANDIDATES, 10, page));
        assertThat(Arrays.copyOf(request.page(), 10)).containsExactly(page);
      }
    }
  }

  /** Row by row: the user's state, then the candidate's scores. */
  private static float[] pairs(float[] state, float[] scores) {
    float[] rows = new float[CANDIDATES * (STATES + SCORES)];
    for (int c = 0; c < CANDIDATES; c++) {
      System.arraycopy(state, 0, rows, c * (STATES + SCORES), STATES);
      for (int i = 0; i < SCORES; i++) {
        rows[c * (STATES + SCORES) + STATES + i] = scores[i * CANDIDATES + c];
      }
    }
    return rows;
  }

  @Test
  void featuresMayComeInABuffer() {
    float[] state = state(new Random(3));
    FusionPolicy policy = FusionPolicy.of(made(ServedPolicy.ACTOR, 1).model());
    FusionPolicy.Request request = policy.request();
    float[] action = request.begin(1).features(state).act().action().clone();
    FloatBuffer buffer = FloatBuffer.allocate(STATES + 4).position(4);
    buffer.put(state).position(4);
    assertThat(request.begin(1).features(buffer).act().action()).containsExactly(action);
    assertThat(buffer.position()).isEqualTo(4);
    buffer.position(3);
    assertThatThrownBy(() -> request.begin(1).features(buffer))
        .hasMessageContaining(
            "got 31 features: the model has 30, from 'feature_0' to 'feature_29'");
  }

  @Test
  void scoresMayLieInALargerArray() {
    Random random = new Random(4);
    float[] state = state(random);
    float[] scores = scores(random);
    float[] spread = new float[7 + SCORES * (CANDIDATES + 3)];
    for (int i = 0; i < SCORES; i++) {
      System.arraycopy(scores, i * CANDIDATES, spread, 7 + i * (CANDIDATES + 3), CANDIDATES);
    }
    for (ServedPolicy kind : ServedPolicy.values()) {
      FusionPolicy.Request request = FusionPolicy.of(made(kind, 1).model()).request();
      request.begin(1).features(state).rank(scores, CANDIDATES, 10);
      int[] page = request.page().clone();
      request.begin(2).features(state).rank(spread, 7, CANDIDATES + 3, CANDIDATES, 10);
      assertThat(request.page()).containsExactly(page);
    }
  }

  @Test
  void aCandidateWithoutAScoreIsNeverPicked() {
    Random random = new Random(5);
    float[] state = state(random);
    float[] scores = scores(random);
    for (ServedPolicy kind : ServedPolicy.values()) {
      FusionPolicy.Request request = FusionPolicy.of(made(kind, 1).model()).request();
      float[] holes = scores.clone();
      request.begin(1).features(state).rank(scores, CANDIDATES, 3);
      int best = request.page()[0];
      holes[2 * CANDIDATES + best] = Float.NaN;
      int shown = request.begin(1).features(state).rank(holes, CANDIDATES, CANDIDATES);
      assertThat(shown).isEqualTo(CANDIDATES - 1);
      assertThat(Arrays.stream(request.page()).limit(shown)).doesNotContain(best);
    }
  }

  @Test
  void explorationIsUniformInTheBoxAndKeyedByTheRequestAlone() throws Exception {
    PolicyModel model = made(ServedPolicy.ACTOR, 1).model();
    FusionPolicy policy = FusionPolicy.of(model);
    Random random = new Random(6);
    List<float[]> states = new ArrayList<>();
    List<float[]> actions = new ArrayList<>();
    FusionPolicy.Request request = policy.request();
    UniformBox explorer = new UniformBox(model.box().orElseThrow());
    for (int i = 0; i < 200; i++) {
      states.add(state(random));
      request.begin(1000 + i).features(states.get(i)).explore(77);
      actions.add(request.action().clone());
      double logDensity = 0;
      float[] served = request.servedAction();
      for (int k = 0; k < ACTIONS; k++) {
        float low = Math.max(served[k] - 0.15f, -1);
        float high = Math.min(served[k] + 0.25f, 1);
        assertThat(request.boxLow()[k]).isEqualTo(low);
        assertThat(request.boxHigh()[k]).isEqualTo(high);
        assertThat(request.action()[k]).isBetween(low, high);
        logDensity -= Math.log(high - low);
      }
      assertThat((double) request.logDensity()).isCloseTo(logDensity, within(1e-5));
      assertThat(request.explored()).isTrue();
      float[] same = new float[ACTIONS];
      explorer.explore(
          77,
          new int[1],
          new long[1],
          new long[] {1000 + i},
          1,
          served,
          same,
          new float[ACTIONS],
          new float[ACTIONS],
          new float[1]);
      assertThat(same).containsExactly(request.action());
    }
    // Backwards, on another thread, by another instance: the same actions.
    ExecutorService thread = Executors.newSingleThreadExecutor();
    try {
      thread
          .submit(
              () -> {
                FusionPolicy.Request other = FusionPolicy.of(model).request();
                for (int i = 199; i >= 0; i--) {
                  other.begin(1000 + i).features(states.get(i)).explore(77);
                  assertThat(other.action()).containsExactly(actions.get(i));
                }
              })
          .get();
    } finally {
      thread.shutdown();
    }
    request.begin(1000).features(states.get(0)).explore(78);
    assertThat(request.action()).as("another seed").isNotEqualTo(actions.get(0));
    request.begin(1001).features(states.get(0)).explore(77);
    assertThat(request.action()).as("another request").isNotEqualTo(actions.get(0));
    // What was drawn ranks.
    float[] scores = scores(random);
    request.rank(scores, CANDIDATES, 5);
    float[] fused = new float[CANDIDATES];
    new Fusion(model.actionMap())
        .fuse(scores, 0, CANDIDATES, CANDIDATES, request.action(), 0, fused);
    assertThat(Arrays.copyOf(request.fused(), CANDIDATES)).containsExactly(fused);
  }

  @Test
  void whatIsWrongIsNamed() {
    FusionPolicy policy = FusionPolicy.of(made(ServedPolicy.ACTOR, 1).model());
    FusionPolicy.Request request = policy.request();
    float[] state = state(new Random(1));
    float[] scores = scores(new Random(1));
    assertThatThrownBy(() -> request.begin(1).features(new float[29]))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("got 29 features: the model has 30");
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      float[] wrong = state.clone();
      wrong[17] = bad;
      assertThatThrownBy(() -> request.begin(1).features(wrong))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("feature 'feature_17' is " + bad + ": send a finite number");
    }
    assertThatThrownBy(request::act).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> request.rank(scores, CANDIDATES, 1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("rank was called at stage BEGUN");
    assertThatThrownBy(request::action).isInstanceOf(IllegalStateException.class);
    request.begin(1).features(state).act();
    assertThatThrownBy(request::logDensity)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("not explored");
    assertThatThrownBy(() -> request.rank(scores, CANDIDATES + 1, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("got 300 scores: 61 candidates of 5 scores");
    for (int[] wrong :
        new int[][] {
          {-1, 60, 60, 1}, {0, 59, 60, 1}, {1, 60, 60, 1}, {0, 60, -1, 1}, {0, 1, 1, -1}
        }) {
      assertThatThrownBy(() -> request.rank(scores, wrong[0], wrong[1], wrong[2], wrong[3]))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(request.rank(scores, 0, 5)).isZero();
    assertThat(request.rank(scores, CANDIDATES, Integer.MAX_VALUE)).isEqualTo(CANDIDATES);

    // Finite, and too much for the networks: not a page of nothing in particular.
    for (ServedPolicy kind : ServedPolicy.values()) {
      float[] huge = new float[STATES];
      for (int i = 0; i < STATES; i++) {
        huge[i] = i % 2 == 0 ? Float.MAX_VALUE : -Float.MAX_VALUE; // sums of both infinities
      }
      FusionPolicy.Request other = FusionPolicy.of(made(kind, 1).model()).request();
      assertThatThrownBy(() -> other.begin(1).features(huge).rank(scores, CANDIDATES, 5))
          .as("%s", kind)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("networks overflow: feature 'feature_");
    }
    FusionPolicy.Request pairs =
        FusionPolicy.of(made(ServedPolicy.PAIR_ACTOR, 1).model()).request();
    assertThatThrownBy(() -> pairs.begin(1).features(state).explore(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("kind pair_actor acts on candidates");
  }

  @Test
  void aModelOfOtherNamesIsRefusedUnlessAsked() {
    Models.Made other = Models.of(ServedPolicy.ACTOR, 2, STATES + 1, SCORES, 8);
    FusionPolicy same = FusionPolicy.of(made(ServedPolicy.ACTOR, 1).model());
    assertThatThrownBy(() -> same.swap(other.model()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("the new model has 31 state_names, and 30 are served");
    assertThatThrownBy(() -> same.swap(made(ServedPolicy.PAIR_ACTOR, 2).model()))
        .hasMessageContaining("the new model is of kind pair_actor");
    assertThat(same.model().version()).isEqualTo("seed-1");
    same.swap(made(ServedPolicy.BEST_OF_DECODED, 3).model());
    assertThat(same.model().version()).isEqualTo("seed-3");

    FusionPolicy any = FusionPolicy.of(made(ServedPolicy.ACTOR, 1).model(), FusionPolicy.Shape.ANY);
    FusionPolicy.Request request = any.request();
    request.begin(1).features(new float[STATES]).act();
    any.swap(other.model());
    assertThatThrownBy(() -> request.begin(2).features(new float[STATES]))
        .hasMessageContaining("got 30 features: the model has 31");
    assertThat(request.begin(2).features(new float[STATES + 1]).act().action()).hasSize(ACTIONS);
  }

  @Test
  void aFileIsReloadedWhenItHoldsAnotherModel() throws IOException {
    Path file = folder.resolve(PolicyModel.FILE);
    made(ServedPolicy.ACTOR, 1).model().write(file);
    FusionPolicy policy = FusionPolicy.open(folder);
    assertThat(policy.reload()).isFalse();
    made(ServedPolicy.ACTOR, 1).model().write(file); // the same again
    assertThat(policy.reload()).isFalse();
    made(ServedPolicy.ACTOR, 2).model().write(file);
    assertThat(policy.reload()).isTrue();
    assertThat(policy.model().version()).isEqualTo("seed-2");

    byte[] whole = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(whole, whole.length / 2)); // by something that is not atomic
    assertThatThrownBy(policy::reload)
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(file.toString());
    assertThatThrownBy(policy::reload)
        .as("until it changes")
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(file.toString());
    assertThat(policy.model().version()).isEqualTo("seed-2");
    Models.of(ServedPolicy.ACTOR, 3, STATES, SCORES - 1, 8).model().write(file);
    assertThatThrownBy(policy::reload)
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining("score_names");
    Files.delete(file);
    assertThatThrownBy(policy::reload).isInstanceOf(CheckpointException.class);
    assertThat(policy.model().version()).isEqualTo("seed-2");
    made(ServedPolicy.ACTOR, 4).model().write(file);
    assertThat(policy.reload()).isTrue();
    assertThat(policy.model().version()).isEqualTo("seed-4");
    assertThatThrownBy(() -> FusionPolicy.of(policy.model()).reload())
        .isInstanceOf(IllegalStateException.class);
  }

  /**
   * Four threads rank while models change under them, by files that are now and then torn. What a
   * request answers is one model's answer, all of it.
   */
  @Test
  void aRequestIsOneModels() throws Exception {
    int models = 4;
    Random random = new Random(8);
    float[] state = state(random);
    float[] scores = scores(random);
    byte[][] files = new byte[models][];
    float[][] actions = new float[models][];
    float[][] fused = new float[models][];
    for (int m = 0; m < models; m++) {
      PolicyModel model = made(ServedPolicy.ACTOR, m).model();
      Path file = folder.resolve("model-" + m);
      model.write(file);
      files[m] = Files.readAllBytes(file);
      FusionPolicy.Request alone = FusionPolicy.of(model).request();
      alone.begin(9).features(state).explore(5);
      alone.rank(scores, CANDIDATES, 10);
      actions[m] = alone.action().clone();
      fused[m] = alone.fused().clone();
    }
    Path file = folder.resolve(PolicyModel.FILE);
    Files.write(file, files[0]);
    FusionPolicy policy = FusionPolicy.open(file);
    AtomicBoolean stop = new AtomicBoolean();
    CountDownLatch started = new CountDownLatch(4);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    List<Future<int[]>> running = new ArrayList<>();
    for (int t = 0; t < 4; t++) {
      running.add(
          threads.submit(
              () -> {
                int[] seen = new int[models];
                FusionPolicy.Request request = policy.request();
                started.countDown();
                while (!stop.get()) {
                  request.begin(9).features(state).explore(5);
                  request.rank(scores, CANDIDATES, 10);
                  int m = Integer.parseInt(request.model().version().substring("seed-".length()));
                  assertThat(request.action()).containsExactly(actions[m]);
                  assertThat(request.fused()).containsExactly(fused[m]);
                  seen[m]++;
                }
                return seen;
              }));
    }
    started.await();
    Path written = folder.resolve("written");
    int refused = 0;
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(2);
    for (int i = 1; System.nanoTime() < end; i++) {
      byte[] next = files[i % models];
      boolean torn = i % 5 == 0;
      Files.write(written, torn ? Arrays.copyOf(next, next.length - 1 - i % 100) : next);
      Files.move(written, file, java.nio.file.StandardCopyOption.ATOMIC_MOVE);
      try {
        policy.reload();
        assertThat(torn).isFalse();
      } catch (CheckpointException e) {
        assertThat(torn).isTrue();
        refused++;
      }
    }
    stop.set(true);
    int[] seen = new int[models];
    for (Future<int[]> each : running) {
      int[] own = each.get();
      for (int m = 0; m < models; m++) {
        seen[m] += own[m];
      }
    }
    threads.shutdown();
    assertThat(refused).isPositive();
    for (int m = 0; m < models; m++) {
      assertThat(seen[m]).as("answers of model %d", m).isPositive();
    }
  }

  @ParameterizedTest
  @EnumSource(ServedPolicy.class)
  void aRequestAllocatesNothing(ServedPolicy kind) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    Random random = new Random(9);
    float[] state = state(random);
    float[] scores = scores(random);
    FusionPolicy.Request request = FusionPolicy.of(made(kind, 1).model()).request();
    boolean pairs = kind == ServedPolicy.PAIR_ACTOR;
    long least = Long.MAX_VALUE;
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (least > 0 && System.nanoTime() < end) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 200; i++) {
        request.begin(i).features(state);
        if (!pairs) {
          request.explore(1);
        }
        request.rank(scores, CANDIDATES, 10);
      }
      least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
    }
    assertThat(least).isZero();
  }
}
