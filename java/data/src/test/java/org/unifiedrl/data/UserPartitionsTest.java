package org.unifiedrl.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UserPartitionsTest {

  private static final RowLayout LAYOUT = new RowLayout(3);

  /** A chunk holds 65,536 bytes, 60 a row: four keys and seven ints. */
  private static final long CHUNK = 65_536 / 60 * 60;

  @TempDir Path temporary;

  private record Row(long user, long session, long order, long time, long number) {}

  /** Adds rows, some at a time. */
  private static void add(UserPartitions partitions, List<Row> rows) throws IOException {
    int width = LAYOUT.width();
    for (int from = 0; from < rows.size(); from += 250) {
      List<Row> some = rows.subList(from, Math.min(rows.size(), from + 250));
      long[][] keys = new long[RowLayout.KEYS][300];
      int[] ints = new int[300 * width];
      for (int i = 0; i < some.size(); i++) {
        Row row = some.get(i);
        keys[RowLayout.USER][i] = row.user();
        keys[RowLayout.SESSION][i] = row.session();
        keys[RowLayout.ORDER][i] = row.order();
        keys[RowLayout.TIME][i] = row.time();
        ints[i * width + 2] = Float.floatToRawIntBits((float) row.number());
        ints[i * width + LAYOUT.number()] = (int) row.number();
        ints[i * width + LAYOUT.number() + 1] = (int) (row.number() >>> 32);
      }
      partitions.add(keys, ints, some.size());
    }
  }

  private boolean hasFiles() throws Exception {
    try (Stream<Path> files = Files.list(temporary.resolve("users"))) {
      return files.findAny().isPresent();
    }
  }

  /** Rows in files, in memory, and first there and then in files. */
  @ParameterizedTest
  @ValueSource(longs = {0, 3 * CHUNK, 1 << 30})
  void rowsComeInTheOrderOfSessionsWhereverTheyLie(long memory) throws Exception {
    SplittableRandom random = new SplittableRandom(5);
    List<Row> rows = new ArrayList<>();
    Map<Long, List<Row>> read = new TreeMap<>();
    List<Long> users = new ArrayList<>();
    try (UserPartitions partitions =
        new UserPartitions(temporary.resolve("users"), LAYOUT, 4, 1 << 20, memory)) {
      for (int i = 0; i < 20_000; i++) {
        rows.add(
            new Row(
                random.nextInt(300) - 150L,
                random.nextInt(3),
                random.nextInt(4),
                random.nextLong(1L << 40),
                i));
      }
      add(partitions, rows);
      assertThat(hasFiles()).isEqualTo(memory < 1 << 30);
      partitions.sorted(
          (user, session, time, values, at) -> {
            int low = Float.floatToRawIntBits(values.get(at + LAYOUT.number()));
            int high = Float.floatToRawIntBits(values.get(at + LAYOUT.number() + 1));
            Row row = rows.get((int) RowLayout.number(low, high));
            assertThat(values.get(at + 2)).isEqualTo((float) row.number());
            assertThat(List.of(user, session, time))
                .containsExactly(row.user(), row.session(), row.time());
            if (users.isEmpty() || users.get(users.size() - 1) != row.user()) {
              users.add(row.user());
            }
            read.computeIfAbsent(row.user(), any -> new ArrayList<>()).add(row);
          });
    }
    assertThat(users).doesNotHaveDuplicates(); // a user's rows come together
    Map<Long, List<Row>> expected =
        rows.stream()
            .sorted(
                Comparator.comparingLong(Row::session)
                    .thenComparingLong(Row::order)
                    .thenComparingLong(Row::time))
            .collect(Collectors.groupingBy(Row::user, TreeMap::new, Collectors.toList()));
    assertThat(read).isEqualTo(expected);
    assertThat(temporary.resolve("users")).doesNotExist();
  }

  /** A log in the order of time, whose own columns say another. */
  @Test
  void sessionsAndPlacesComeBeforeTime() throws Exception {
    List<Long> times = new ArrayList<>();
    try (UserPartitions partitions =
        new UserPartitions(temporary.resolve("users"), LAYOUT, 1, 1000, 1 << 20)) {
      add(
          partitions,
          List.of(
              new Row(7, 2, 0, 10, 1),
              new Row(7, 1, 5, 20, 2),
              new Row(7, 1, 4, 30, 3),
              new Row(8, 1, 0, 40, 4)));
      partitions.sorted((user, session, time, values, at) -> times.add(time));
    }
    assertThat(times).containsExactly(30L, 20L, 10L, 40L);
  }

  /** One user with very many rows. */
  @Test
  void aUserOfEndlessRowsIsRefusedByName() throws Exception {
    try (UserPartitions partitions =
        new UserPartitions(temporary.resolve("users"), LAYOUT, 1, 1000, 1 << 20)) {
      List<Row> rows = new ArrayList<>();
      for (int i = 0; i < 1100; i++) {
        rows.add(new Row(i < 900 ? 42 : i, 0, 0, i, i));
      }
      add(partitions, rows);
      assertThatThrownBy(() -> partitions.sorted((user, session, time, values, at) -> {}))
          .isInstanceOf(ImportException.class)
          .hasMessageContaining("user 42 has 900 requests");
    }
    assertThat(temporary.resolve("users")).doesNotExist();
  }
}
