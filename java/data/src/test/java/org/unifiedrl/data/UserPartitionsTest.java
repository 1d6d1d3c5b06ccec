package org.unifiedrl.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
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

  /** A chunk holds 65,536 bytes, 60 a row. */
  private static final long CHUNK = 65_536 / 60 * 60;

  @TempDir Path temporary;

  private record Row(long user, long session, long order, long time, long number) {}

  private static int[] ints(Row row) {
    int[] ints = new int[LAYOUT.width()];
    RowLayout.putLong(ints, RowLayout.USER, row.user());
    RowLayout.putLong(ints, RowLayout.SESSION, row.session());
    RowLayout.putLong(ints, RowLayout.ORDER, row.order());
    RowLayout.putLong(ints, RowLayout.TIME, row.time());
    RowLayout.putLong(ints, RowLayout.NUMBER, row.number());
    ints[RowLayout.VALUES + 2] = Float.floatToRawIntBits((float) row.number());
    return ints;
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
        Row row =
            new Row(
                random.nextInt(300) - 150L,
                random.nextInt(3),
                random.nextInt(4),
                random.nextLong(1L << 40),
                i);
        rows.add(row);
        partitions.add(ints(row), 0);
      }
      assertThat(hasFiles()).isEqualTo(memory < 1 << 30);
      partitions.sorted(
          (head, values) -> {
            assertThat(values).hasSize(3);
            long number = RowLayout.getLong(head, RowLayout.NUMBER);
            assertThat(values[2]).isEqualTo((float) number);
            Row row = rows.get((int) number);
            assertThat(head).startsWith(Arrays.copyOf(ints(row), RowLayout.VALUES));
            if (users.isEmpty() || users.get(users.size() - 1) != row.user()) {
              users.add(row.user());
            }
            read.computeIfAbsent(row.user(), user -> new ArrayList<>()).add(row);
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

  /** One user with very many rows. */
  @Test
  void aUserOfEndlessRowsIsRefusedByName() throws Exception {
    RowLayout layout = new RowLayout(1);
    try (UserPartitions partitions =
        new UserPartitions(temporary.resolve("users"), layout, 1, 1000, 1 << 20)) {
      int[] row = new int[layout.width()];
      for (int i = 0; i < 1100; i++) {
        RowLayout.putLong(row, RowLayout.USER, i < 900 ? 42 : i);
        partitions.add(row, 0);
      }
      assertThatThrownBy(() -> partitions.sorted((head, values) -> {}))
          .isInstanceOf(ImportException.class)
          .hasMessageContaining("user 42 has 900 requests");
    }
    assertThat(temporary.resolve("users")).doesNotExist();
  }
}
