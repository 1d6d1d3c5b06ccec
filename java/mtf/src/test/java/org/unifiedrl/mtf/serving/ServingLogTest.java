package org.unifiedrl.mtf.serving;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.ThreadMXBean;
import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplayException;
import org.unifiedrl.engine.replay.ReplayRing;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.algorithm.Transitions;

class ServingLogTest {

  private static final int STATES = 3;
  private static final int ACTIONS = 4;

  @TempDir Path folder;

  private final FusionPolicy policy = FusionPolicy.of(Models.small(ServedPolicy.ACTOR, 1).model());

  private static float[] state(long id) {
    Random random = new Random(id);
    return new float[] {random.nextFloat(), random.nextFloat(), (float) random.nextGaussian()};
  }

  private List<Path> parts() throws IOException {
    try (Stream<Path> list = Files.list(folder)) {
      return list.sorted().toList();
    }
  }

  private static float[] values(Replay replay, long row, String column) {
    int index = replay.schema().columnIndex(column);
    float[] values = new float[replay.schema().columns().get(index).width()];
    replay.get(row, index, values, 0);
    return values;
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!condition.getAsBoolean() && System.nanoTime() < end) {
      Thread.sleep(5);
    }
    assertThat(condition.getAsBoolean()).isTrue();
  }

  /** Four threads append; a model is swapped in the middle and swapped back. */
  @Test
  void everyRowSaysHowItCameAbout() throws Exception {
    PolicyModel first = policy.model();
    PolicyModel second = Models.small(ServedPolicy.ACTOR, 2).model();
    int threads = 4;
    int each = 300;
    ServingLog.Options options =
        new ServingLog.Options(64, ReplayRing.Policy.BLOCK, 500, Duration.ofHours(1));
    try (ServingLog log = ServingLog.open(folder, policy, options)) {
      ExecutorService pool = Executors.newFixedThreadPool(threads);
      for (int phase = 0; phase < 3; phase++) {
        policy.swap(phase == 1 ? second : first);
        List<Future<?>> running = new ArrayList<>();
        for (int t = 0; t < threads; t++) {
          int from = (phase * threads + t) * each;
          running.add(
              pool.submit(
                  () -> {
                    FusionPolicy.Request request = policy.request();
                    for (int id = from; id < from + each; id++) {
                      request.begin(id).features(state(id)).explore(7);
                      assertThat(log.append(request, id % 10, 1_000_000L + id)).isTrue();
                    }
                  }));
        }
        for (Future<?> one : running) {
          one.get();
        }
      }
      pool.shutdown();
    }
    int rows = 3 * threads * each;
    assertThat(parts()).hasSize(1);
    Path part = parts().get(0);
    JsonNode models = new ObjectMapper().readTree(part.resolve("models.json").toFile());
    assertThat(models).hasSize(2);
    assertThat(models.get(1).path("version").asText()).isEqualTo("seed-2");
    assertThat(models.get(1).path("sha256").asText()).isEqualTo(second.sha256());
    Set<Long> ids = new HashSet<>();
    try (Replay replay = Replay.open(part)) {
      assertThat(replay.rows()).isEqualTo(rows);
      assertThat(replay.segmentCount()).isGreaterThan(1);
      assertThat(replay.schema().metadata())
          .containsEntry("outcomes", "pending")
          .containsEntry("state_names", "[\"feature_0\",\"feature_1\",\"feature_2\"]");
      for (long row = 0; row < rows; row++) {
        long id = replay.sessionId(row);
        ids.add(id);
        int model = (int) values(replay, row, ServingLog.MODEL)[0];
        assertThat(model).isEqualTo(id / ((long) threads * each) == 1 ? 1 : 0);
        FusionPolicy.Request same = FusionPolicy.of(model == 1 ? second : first).request();
        same.begin(id).features(state(id)).explore(7);
        assertThat(values(replay, row, ReplaySchema.STATE)).containsExactly(state(id));
        assertThat(values(replay, row, ReplaySchema.ACTION)).containsExactly(same.action());
        assertThat(values(replay, row, ReplaySchema.BASELINE_ACTION))
            .containsExactly(same.servedAction());
        assertThat(values(replay, row, ReplaySchema.BOX_LOW)).containsExactly(same.boxLow());
        assertThat(values(replay, row, ReplaySchema.BOX_HIGH)).containsExactly(same.boxHigh());
        assertThat(values(replay, row, ReplaySchema.LOG_DENSITY)[0])
            .isCloseTo(same.logDensity(), within(0f));
        assertThat(replay.userId(row)).isEqualTo(id % 10);
        assertThat(replay.timestamp(row)).isEqualTo(1_000_000L + id);
        assertThat(replay.isLast(row)).isTrue();
      }
      // Nothing is learned from rows whose outcomes are not known.
      assertThatThrownBy(() -> new Transitions(replay.schema()).toString())
          .isInstanceOf(ReplayException.class)
          .hasMessageContaining("no column 'reward'");
    }
    assertThat(ids).hasSize(rows);
  }

  @Test
  void whatDoesNotFitIsDroppedAndCounted() throws Exception {
    ServingLog.Options options =
        new ServingLog.Options(16, ReplayRing.Policy.DROP, 1_000_000, Duration.ofHours(1));
    int appended = 200_000;
    int taken = 0;
    try (ServingLog log = ServingLog.open(folder, policy, options)) {
      FusionPolicy.Request request = policy.request();
      request.begin(1).features(state(1)).explore(7);
      for (int i = 0; i < appended; i++) {
        taken += log.append(request, 1, 1) ? 1 : 0;
      }
      assertThat(log.droppedRows()).isEqualTo(appended - taken).isPositive();
    }
    try (Replay replay = Replay.open(parts().get(0))) {
      assertThat(replay.rows()).isEqualTo(taken);
    }
  }

  @Test
  void rowsAppearWhenTheyAreOldEnough() throws Exception {
    ServingLog.Options options =
        new ServingLog.Options(16, ReplayRing.Policy.DROP, 1_000_000, Duration.ofMillis(50));
    try (ServingLog log = ServingLog.open(folder, policy, options)) {
      FusionPolicy.Request request = policy.request();
      for (int i = 0; i < 2; i++) {
        request.begin(i).features(state(1)).explore(7);
        log.append(request, 1, 1);
        int expected = i + 1;
        await(() -> shards(folder) == expected);
      }
    }
    assertThat(parts()).hasSize(2);
    for (Path part : parts()) {
      try (Replay replay = Replay.open(part)) {
        assertThat(replay.rows()).isEqualTo(1);
      }
      assertThat(part.resolve("models.json")).exists();
    }
  }

  /** Shards below a log's folder while it writes: its files change their names, and parts go. */
  private static long shards(Path log) {
    long shards = 0;
    for (File part : listed(log.toFile())) {
      for (File file : listed(part)) {
        shards += file.getName().matches("shard-.*\\.arrow") ? 1 : 0;
      }
    }
    return shards;
  }

  private static File[] listed(File folder) {
    File[] files = folder.listFiles();
    return files == null ? new File[0] : files; // null: it has gone, or is none yet
  }

  @Test
  void anEmptyLogLeavesNothing() throws IOException {
    ServingLog log = ServingLog.open(folder, policy);
    log.close();
    log.close();
    assertThat(parts()).isEmpty();
    FusionPolicy.Request request = policy.request();
    request.begin(1).features(state(1)).explore(7);
    assertThatThrownBy(() -> log.append(request, 1, 1)).isInstanceOf(IllegalStateException.class);
  }

  /** The folder goes away under the log, and comes back. */
  @Test
  void aFolderThatCannotBeWrittenIsReportedAndTriedAgain() throws Exception {
    Path inside = folder.resolve("log");
    ServingLog.Options options =
        new ServingLog.Options(16, ReplayRing.Policy.DROP, 1, Duration.ofHours(1));
    ServingLog log = ServingLog.open(inside, policy, options);
    long taken;
    try (log) {
      FusionPolicy.Request request = policy.request();
      request.begin(1).features(state(1)).explore(7);
      DurableFiles.deleteTree(inside);
      Files.writeString(inside, "a file is in the way");
      taken = log.append(request, 1, 1) ? 1 : 0;
      await(() -> log.failure() != null);
      Files.delete(inside);
      long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
      while (shards(inside) == 0 && System.nanoTime() < end) {
        taken += log.append(request, 1, 1) ? 1 : 0;
        Thread.sleep(1);
      }
    }
    long written = 0;
    try (Stream<Path> parts = Files.list(inside)) {
      for (Path part : parts.toList()) {
        try (Replay replay = Replay.open(part)) {
          written += replay.rows();
        }
      }
    }
    assertThat(written).isEqualTo(log.writtenRows()).isEqualTo(taken - log.lostRows());
  }

  @Test
  void whatCannotBeWrittenUntilTheEndIsCountedAsLost() throws Exception {
    Path inside = folder.resolve("log");
    ServingLog log = ServingLog.open(inside, policy);
    try (log) {
      DurableFiles.deleteTree(inside);
      Files.writeString(inside, "a file is in the way");
      FusionPolicy.Request request = policy.request();
      for (int id = 0; id < 5; id++) {
        request.begin(id).features(state(1)).explore(7);
        assertThat(log.append(request, 1, 1)).isTrue();
      }
    }
    assertThat(log.failure()).isNotNull();
    assertThat(log.lostRows()).isEqualTo(5);
    assertThat(log.writtenRows()).isZero();
  }

  @Test
  void whatCannotBeLoggedIsRefused() throws IOException {
    try (ServingLog log = ServingLog.open(folder.resolve("log"), policy)) {
      FusionPolicy.Request request = policy.request();
      request.begin(1).features(state(1)).act();
      assertThatThrownBy(() -> log.append(request, 1, 1))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("not explored");
      FusionPolicy.Request other =
          FusionPolicy.of(Models.of(ServedPolicy.ACTOR, 1, STATES + 1, ACTIONS / 2, 3).model())
              .request();
      other.begin(1).features(new float[STATES + 1]).explore(1);
      assertThatThrownBy(() -> log.append(other, 1, 1))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("3 features and 4 action values, and model seed-1 has 4 and 4");
    }
    FusionPolicy pairs = FusionPolicy.of(Models.small(ServedPolicy.PAIR_ACTOR, 1).model());
    assertThatThrownBy(() -> ServingLog.open(folder, pairs))
        .isInstanceOf(IllegalArgumentException.class);
    Path file = Files.writeString(folder.resolve("file"), "x");
    assertThatThrownBy(() -> ServingLog.open(file, policy))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining(file.toString());
  }

  @Test
  void appendingAllocatesNothing() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long least = Long.MAX_VALUE;
    try (ServingLog log = ServingLog.open(folder, policy)) {
      FusionPolicy.Request request = policy.request();
      float[] state = state(1);
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
      while (least > 0 && System.nanoTime() < end) {
        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < 200; i++) {
          request.begin(i).features(state).explore(1);
          log.append(request, i, i);
        }
        least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
      }
    }
    assertThat(least).isZero();
  }
}
