package org.unifiedrl.data;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.apache.arrow.compression.CommonsCompressionFactory;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.compression.CompressionUtil;
import org.apache.arrow.vector.ipc.ArrowFileWriter;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.apache.arrow.vector.ipc.message.IpcOption;
import org.duckdb.DuckDBResultSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;

class LogImportTest {

  private static final String MAPPING =
      """
      user: member
      time: at
      time_unit: milliseconds
      session_gap: 30m
      state: [age, "f_*", "embedding[2]"]
      scores:
        click: {power: [0, 2], bias: [0.01, 1]}
      action: [a0, a1]
      baseline_action: [b0, b1]
      box: {half_width: 0.25}
      reward:
        watch: {seconds: 0.01}
        others: {clicked: 1, liked: 2}
      """;

  @TempDir Path temporary;

  /** One request as the log has it. */
  private record Row(
      long user,
      long at,
      float age,
      float f1,
      float f2,
      float[] embedding,
      float[] action,
      float[] baseline,
      double seconds,
      boolean clicked,
      int liked) {}

  private static List<Row> rows(int users) {
    SplittableRandom random = new SplittableRandom(7);
    List<Row> rows = new ArrayList<>();
    for (int user = 0; user < users; user++) {
      long at = 1_700_000_000_000L + random.nextInt(1_000_000_000);
      int requests = 1 + random.nextInt(9);
      for (int i = 0; i < requests; i++) {
        float[] baseline = {random.nextInt(9) / 8f - 0.5f, random.nextInt(9) / 8f - 0.5f};
        float[] action = new float[2];
        for (int k = 0; k < 2; k++) {
          action[k] = baseline[k] + (random.nextInt(9) / 8f - 0.5f) / 2;
        }
        rows.add(
            new Row(
                user,
                at,
                random.nextInt(80),
                random.nextInt(100) / 4f,
                random.nextInt(100) / 4f,
                new float[] {random.nextInt(8), random.nextInt(8)},
                action,
                baseline,
                random.nextInt(5000) / 4.0,
                random.nextInt(2) == 1,
                random.nextInt(3)));
        // A pause of exactly the gap ends no session, one of a millisecond more does.
        at += random.nextInt(4) == 0 ? 1_800_000 + i % 2 : 1 + random.nextInt(1_800_000);
      }
    }
    for (int i = rows.size() - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      Row row = rows.get(i);
      rows.set(i, rows.get(j));
      rows.set(j, row);
    }
    return rows;
  }

  private static String select(Row row) {
    return ("SELECT %d::BIGINT AS member, %d::BIGINT AS at, %s::INTEGER AS age, %s::DOUBLE AS f_1,"
            + " %s::FLOAT AS f_2, [%s, %s]::FLOAT[] AS embedding, %s::FLOAT AS a0, %s::FLOAT AS a1,"
            + " %s::FLOAT AS b0, %s::FLOAT AS b1, %s::DOUBLE AS seconds, %s AS clicked,"
            + " %d::TINYINT AS liked")
        .formatted(
            row.user,
            row.at,
            row.age,
            row.f1,
            row.f2,
            row.embedding[0],
            row.embedding[1],
            row.action[0],
            row.action[1],
            row.baseline[0],
            row.baseline[1],
            row.seconds,
            row.clicked,
            row.liked);
  }

  private Path log(String name, List<String> selects) {
    Path file = temporary.resolve(name);
    try (Connection connection = DriverManager.getConnection("jdbc:duckdb:");
        Statement statement = connection.createStatement()) {
      statement.execute("CREATE TABLE log AS " + selects.get(0) + " LIMIT 0");
      for (int i = 0; i < selects.size(); i += 100) {
        statement.execute(
            "INSERT INTO log "
                + String.join(
                    " UNION ALL ", selects.subList(i, Math.min(i + 100, selects.size()))));
      }
      statement.execute(
          "COPY log TO '" + file + "'" + (name.endsWith("jsonl") ? " (FORMAT json)" : ""));
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
    return file;
  }

  private LogSource source(Path... files) {
    return LogSource.files(
        Arrays.stream(files).map(Path::toString).toList(), temporary.resolve("sorting"));
  }

  private LogMapping mapping(String text) throws IOException {
    return LogMapping.read(Files.writeString(temporary.resolve("mapping.yaml"), text));
  }

  private LogImport.Result run(LogMapping mapping, LogSource source, double heldOut, String out) {
    LogImport.Options options =
        new LogImport.Options(heldOut, 1, 2, 256, temporary.resolve("sorting"), null);
    return run(mapping, source, options, out);
  }

  private LogImport.Result run(
      LogMapping mapping, LogSource source, LogImport.Options options, String out) {
    return new LogImport(mapping, options)
        .run(
            source,
            temporary.resolve(out).resolve("train"),
            temporary.resolve(out).resolve("held-out"),
            (done, total) -> assertThat(done).isLessThanOrEqualTo(total));
  }

  /** Every value of every row, beside what a plain sort of the same rows gives. */
  @ParameterizedTest
  @ValueSource(strings = {"log.parquet", "log.jsonl"})
  void rowsComeSortedByUserAndTimeAndCutByTheGap(String name) throws IOException {
    List<Row> rows = rows(60);
    Path file = log(name, rows.stream().map(LogImportTest::select).toList());
    LogImport.Result result = run(mapping(MAPPING), source(file), 0, "out");
    List<Row> sorted = new ArrayList<>(rows);
    List<Long> users = rows.stream().map(Row::user).distinct().toList(); // as they come
    sorted.sort(
        Comparator.comparingInt((Row row) -> users.indexOf(row.user)).thenComparingLong(Row::at));
    assertThat(result.requests()).isEqualTo(rows.size());
    assertThat(result.heldOutRequests()).isZero();
    assertThat(result.outOfBox()).isZero();
    try (Replay replay = Replay.open(temporary.resolve("out/train"))) {
      assertThat(replay.rows()).isEqualTo(rows.size());
      assertThat(replay.schema().metadata())
          .containsEntry(
              "state_names", "[\"age\",\"f_1\",\"f_2\",\"embedding[1]\",\"embedding[2]\"]")
          .containsEntry("reward_groups", "[\"watch\",\"others\"]");
      long sessions = 0;
      for (int i = 0; i < sorted.size(); i++) {
        Row row = sorted.get(i);
        Row next = i + 1 < sorted.size() ? sorted.get(i + 1) : null;
        boolean last = next == null || next.user != row.user || next.at - row.at > 1_800_000;
        assertThat(replay.userId(i)).isEqualTo(row.user);
        assertThat(replay.timestamp(i)).isEqualTo(row.at);
        assertThat(replay.isLast(i)).isEqualTo(last);
        sessions += last ? 1 : 0;
        assertThat(values(replay, i, ReplaySchema.STATE))
            .containsExactly(row.age, row.f1, row.f2, row.embedding[0], row.embedding[1]);
        assertThat(values(replay, i, ReplaySchema.ACTION)).containsExactly(row.action);
        assertThat(values(replay, i, ReplaySchema.BASELINE_ACTION)).containsExactly(row.baseline);
        double density = 0;
        float[] low = values(replay, i, ReplaySchema.BOX_LOW);
        float[] high = values(replay, i, ReplaySchema.BOX_HIGH);
        for (int k = 0; k < 2; k++) {
          assertThat(low[k]).isEqualTo(Math.max(-1, row.baseline[k] - 0.25f));
          assertThat(high[k]).isEqualTo(Math.min(1, row.baseline[k] + 0.25f));
          density -= Math.log((double) high[k] - low[k]);
        }
        assertThat(values(replay, i, ReplaySchema.LOG_DENSITY)).containsExactly((float) density);
        assertThat(values(replay, i, ReplaySchema.REWARD))
            .containsExactly((float) (0.01 * row.seconds), (row.clicked ? 1 : 0) + 2f * row.liked);
      }
      assertThat(result.sessions()).isEqualTo(sessions).isGreaterThan(60);
    }
  }

  private static float[] values(Replay replay, long row, String column) {
    int index = replay.schema().columnIndex(column);
    float[] values = new float[replay.schema().columns().get(index).width()];
    replay.get(row, index, values, 0);
    return values;
  }

  /** Users go to one side as a whole, about as many as were asked for, the same ones each time. */
  @Test
  void aShareOfTheUsersIsHeldOut() throws IOException {
    List<Row> rows = rows(300);
    Path file = log("log.parquet", rows.stream().map(LogImportTest::select).toList());
    LogImport.Result result = run(mapping(MAPPING), source(file), 0.2, "split");
    assertThat(result.requests() + result.heldOutRequests()).isEqualTo(rows.size());
    try (Replay train = Replay.open(temporary.resolve("split/train"));
        Replay held = Replay.open(temporary.resolve("split/held-out"))) {
      List<Long> learned = users(train);
      List<Long> kept = users(held);
      assertThat(kept).doesNotContainAnyElementsOf(learned).hasSizeBetween(35, 85);
      assertThat(learned.size() + kept.size()).isEqualTo(300);
    }
    run(mapping(MAPPING), source(file), 0.2, "again");
    assertThat(Files.mismatch(shard("split/held-out"), shard("again/held-out"))).isEqualTo(-1);
  }

  private Path shard(String folder) {
    return temporary.resolve(folder).resolve("shard-00000.arrow");
  }

  private static List<Long> users(Replay replay) {
    return java.util.stream.LongStream.range(0, replay.rows())
        .map(replay::userId)
        .distinct()
        .boxed()
        .toList();
  }

  /** Powers and biases come out as the normalised actions that stand for them. */
  @Test
  void actionsInUnitsOfTheFusionAreNormalised() throws IOException {
    String text =
        MAPPING
            .replace("action: [a0, a1]", "action_units: fusion\naction: [p, b]")
            .replace("[b0, b1]", "[p0, b0]")
            .replace(
                "box: {half_width: 0.25}", "box: {low: [p_low, b_low], high: [p_high, b_high]}");
    String select =
        "SELECT 5 AS member, %d AS at, 1 AS age, 1 AS f_1, [1, 2] AS embedding, 1 AS seconds,"
            + " true AS clicked, 0 AS liked, %s AS p, %s AS b, 1.0 AS p0, 0.1 AS b0, 0.5 AS p_low,"
            + " 1.5 AS p_high, 0.03162277660168379 AS b_low, 0.31622776601683794 AS b_high";
    Path file =
        log(
            "fusion.parquet",
            List.of(select.formatted(1, "1.50", "0.1"), select.formatted(2, "0.75", "0.2")));
    LogImport.Result result = run(mapping(text), source(file), 0, "fusion");
    assertThat(result.baselineAction()[0]).isZero();
    assertThat(result.baselineAction()[1]).isCloseTo(0, within(1e-7f));
    try (Replay replay = Replay.open(temporary.resolve("fusion/train"))) {
      assertThat(values(replay, 0, ReplaySchema.ACTION)[0]).isEqualTo(0.5f);
      assertThat(values(replay, 0, ReplaySchema.BOX_LOW)).containsExactly(-0.5f, -0.5f);
      assertThat(values(replay, 0, ReplaySchema.BOX_HIGH)).containsExactly(0.5f, 0.5f);
      assertThat(values(replay, 0, ReplaySchema.LOG_DENSITY)[0]).isCloseTo(0, within(1e-6f));
      float[] second = values(replay, 1, ReplaySchema.ACTION);
      assertThat(second[0]).isEqualTo(-0.25f);
      assertThat(second[1]).isCloseTo((float) Math.log10(2), within(1e-6f));
    }
  }

  /** What the fusion cannot have been given is refused, not moved to the edge of its range. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "3.00 | 0.1 | action p: expected a power within [0.0, 2.0]; widen the range in scores, found '3.0",
        "NULL | 0.1 | action p: expected a finite number, found nothing",
        "1.50 | 0.0 | action b: expected a bias within [0.01, 1.0]",
        "1.50 | 'nan' | action b: expected a finite number",
      })
  void impossiblePowersAndBiasesAreRefused(String power, String bias, String message)
      throws IOException {
    String text =
        MAPPING
            .replace("action: [a0, a1]", "action_units: fusion\naction: [p, b]")
            .replace("[b0, b1]", "[p0, b0]");
    String select =
        "SELECT 5 AS member, 1 AS at, 1 AS age, 1 AS f_1, [1, 2] AS embedding, 1 AS seconds,"
            + " true AS clicked, 0 AS liked, %s::DECIMAL(9, 2) AS p, %s::DOUBLE AS b, 1.9 AS p0,"
            + " 0.1 AS b0";
    Path file =
        log(
            "impossible.parquet",
            List.of(select.formatted("1.90", "0.1"), select.formatted(power, bias)));
    refused(file, text, "impossible.parquet: row 2, " + message);
  }

  /** Texts that a number would not be written as are texts; lists are parts of longer ones. */
  @Test
  void usersAndListsAreWhatTheyAre() throws IOException {
    List<String> selects = new ArrayList<>();
    for (String user : List.of("007", "7", "07", "1700000000000000001")) {
      selects.add(
          ONE.replaceAll("SELECT [0-9]+::BIGINT AS member", "SELECT '" + user + "' AS member")
              .replaceAll(
                  "\\[[^]]*]::FLOAT\\[] AS embedding",
                  "[0.5, 1.5, 2.5, 3.5]::DOUBLE[] AS embedding"));
    }
    Path file = log("texts[1].parquet", selects);
    Files.copy(log("texts1.parquet", List.of(ONE)), temporary.resolve("other.parquet"));
    String mapping = MAPPING.replace("embedding[2]", "embedding[4]");
    run(mapping(mapping), source(file), 0, "texts");
    try (Replay replay = Replay.open(temporary.resolve("texts/train"))) {
      assertThat(users(replay)).hasSize(4).contains(7L, 1_700_000_000_000_000_001L);
    }
    LogSource sliced =
        LogSource.query(
            "SELECT * REPLACE (embedding[3:4] AS embedding) FROM '"
                + temporary
                + "/texts[[]1].parquet' -- the last two");
    run(mapping(MAPPING), sliced, 0, "sliced");
    try (Replay replay = Replay.open(temporary.resolve("sliced/train"))) {
      assertThat(replay.rows()).isEqualTo(4);
      for (int row = 0; row < 4; row++) {
        float[] state = values(replay, row, ReplaySchema.STATE);
        assertThat(Arrays.copyOfRange(state, state.length - 2, state.length))
            .containsExactly(2.5f, 3.5f);
      }
    }
  }

  /** The narrowest box counts, but not where the action range cut it. */
  @Test
  void theBoxOfTheLogIsKnown() throws IOException {
    String wide = ONE.replaceAll("-?[0-9.]+::FLOAT AS ([ab])([01])", "0.9::FLOAT AS $1$2");
    String below = ONE.replaceAll("-?[0-9.]+::FLOAT AS ([ab])([01])", "-0.9::FLOAT AS $1$2");
    String narrow = ONE.replaceAll("-?[0-9.]+::FLOAT AS ([ab])([01])", "0.25::FLOAT AS $1$2");
    Path file =
        log(
            "boxes.parquet",
            List.of(
                wide + ", 'v1' AS version",
                below + ", 'v1' AS version",
                narrow + ", 'v2' AS version"));
    String text =
        MAPPING.replace(
            "{half_width: 0.25}", "{version: version, half_widths: {v1: 0.5, v2: 0.125}}");
    LogImport.Result result = run(mapping(text), source(file), 0, "boxes");
    assertThat(result.lowerBounds()).containsExactly(-0.125, -0.125);
    assertThat(result.upperBounds()).containsExactly(0.125, 0.125);
    Path one = query("one.parquet", ONE);
    assertThatThrownBy(
            () -> {
              for (int seed = 1; seed < 30; seed++) { // by one of them this user is held out
                LogImport.Options most =
                    new LogImport.Options(0.9, seed, 1, 256, temporary.resolve("sorting"), null);
                run(mapping(MAPPING), source(one), most, "held-" + seed);
              }
            })
        .isInstanceOf(ImportException.class)
        .hasMessageContaining("all 1 requests are of held-out users: give a smaller --held-out");
  }

  @Test
  void anActionOutsideItsBoxIsNamedByFileAndRow() throws IOException {
    String outside =
        ONE.replaceAll("-?[0-9.]+::FLOAT AS a([01])", "0.9::FLOAT AS a$1")
            .replaceAll("-?[0-9.]+::FLOAT AS b([01])", "0.25::FLOAT AS b$1");
    Path first = log("first.parquet", List.of(ONE, ONE, outside));
    Path second = log("second.parquet", List.of(outside, ONE));
    Path good = log("good.parquet", List.of(ONE, ONE));
    assertThatThrownBy(() -> run(mapping(MAPPING), source(first, good), 0, "last-of-first"))
        .isInstanceOf(ImportException.class)
        .hasMessageContaining(
            "first.parquet: row 3: the action lies outside its box, as in 1 of 5");
    assertThatThrownBy(() -> run(mapping(MAPPING), source(good, second), 0, "first-of-second"))
        .isInstanceOf(ImportException.class)
        .hasMessageContaining(
            "second.parquet: row 1: the action lies outside its box, as in 1 of 4");
    assertThat(temporary.resolve("first-of-second/train")).doesNotExist();
  }

  @Test
  void missingStatesTakeTheValuesOfTheMapping() throws IOException {
    List<String> selects = new ArrayList<>(rows(1).stream().map(LogImportTest::select).toList());
    String nothing = selects.get(0).replaceAll("[0-9.]+::DOUBLE AS f_1", "'nan'::DOUBLE AS f_1");
    nothing = nothing.replaceAll("[0-9.]+::INTEGER AS age", "NULL::INTEGER AS age");
    selects.set(0, nothing);
    Path file = log("missing.parquet", selects);
    String text = MAPPING + "missing: {age: 40, \"f_*\": -3.5}\n";
    run(mapping(text), source(file), 0, "missing");
    try (Replay replay = Replay.open(temporary.resolve("missing/train"))) {
      assertThat(replay.schema().metadata())
          .containsEntry(LogImport.MISSING_VALUES, "{\"age\":1,\"f_1\":1,\"f_2\":0}");
      List<Float> ages = new ArrayList<>();
      List<Float> firsts = new ArrayList<>();
      for (int i = 0; i < replay.rows(); i++) {
        ages.add(values(replay, i, ReplaySchema.STATE)[0]);
        firsts.add(values(replay, i, ReplaySchema.STATE)[1]);
      }
      assertThat(firsts.stream().filter(f -> f == -3.5f)).hasSize(1);
      assertThat(ages.get(firsts.indexOf(-3.5f))).isEqualTo(40);
    }
  }

  /** Bad rows go into the file that was asked for, with their places, and the others are there. */
  @ParameterizedTest
  @ValueSource(strings = {"bad.jsonl", "bad.csv", "bad.parquet"})
  void badRowsAreQuarantined(String name) throws Exception {
    List<String> selects = new ArrayList<>(rows(9).stream().map(LogImportTest::select).toList());
    selects.set(4, selects.get(4).replaceAll("[0-9.]+::INTEGER AS age", "NULL::INTEGER AS age"));
    selects.set(6, selects.get(6).replaceAll(", -?[0-9.]+::FLOAT AS a1", ", 2::FLOAT AS a1"));
    Path good = log("good.parquet", rows(3).stream().map(LogImportTest::select).toList());
    Path file = log("log.parquet", selects);
    Path bad = temporary.resolve(name);
    LogImport.Options options =
        new LogImport.Options(0, 1, 1, 256, temporary.resolve("sorting"), bad);
    LogImport.Result result = run(mapping(MAPPING), source(good, file), options, "quarantine");
    assertThat(result.quarantined()).isEqualTo(2);
    assertThat(result.requests()).isEqualTo(rows(3).size() + selects.size() - 2L);
    try (Connection connection = DriverManager.getConnection("jdbc:duckdb:");
        Statement statement = connection.createStatement();
        ResultSet rows =
            statement.executeQuery(
                "SELECT unifiedrl_file, unifiedrl_row, unifiedrl_reason, member FROM '"
                    + bad
                    + "'")) {
      assertThat(rows.next()).isTrue();
      assertThat(rows.getString(1)).isEqualTo(file.toString());
      assertThat(rows.getLong(2)).isEqualTo(5);
      assertThat(rows.getString(3)).isEqualTo("state age: expected a finite number");
      assertThat(rows.next()).isTrue();
      assertThat(rows.getLong(2)).isEqualTo(7);
      assertThat(rows.getString(3)).startsWith("action a1: expected a normalised action value");
      assertThat(rows.next()).isFalse();
    }
  }

  /** What is wrong with a row is said by file, row and column, and nothing is left. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "age | NULL::INTEGER | row 3, state age: expected a finite number, found nothing (1 such row)",
        "f_1 | 'nan'::DOUBLE | row 3, state f_1: expected a finite number, found 'nan'",
        "f_1 | 1e300::DOUBLE | row 3, state f_1: expected a finite number",
        "embedding | [1]::FLOAT[] | row 3, state embedding: expected a list of 2 numbers, found '1'",
        "embedding | [1, 2, 3]::FLOAT[] | row 3, state embedding: expected a list of 2 numbers, found '3'",
        "member | NULL::BIGINT | row 3, user member: expected a value, found nothing",
        "at | NULL::BIGINT | row 3, time at: expected a number, found nothing",
        "a1 | 1.5::FLOAT | row 3, action a1: expected a normalised action value within [-1.0, 1.0]",
        "b1 | 7::FLOAT | row 3, baseline_action b1: expected a normalised action value",
        "seconds | 1e300::DOUBLE | row 3, reward.watch seconds: expected a finite number",
        "liked | NULL::TINYINT | row 3, reward.others liked: expected a finite number"
      })
  void aBadRowIsRefusedByItsPlace(String column, String value, String message) throws IOException {
    List<String> selects =
        new ArrayList<>(rows(3).stream().map(LogImportTest::select).limit(5).toList());
    selects.set(
        2,
        selects
            .get(2)
            .replaceFirst(
                "(SELECT|,)( [^,\\[]+|  ?\\[[^]]*][^,]*) AS " + column + "\\b",
                "$1 " + value + " AS " + column));
    Path good = log("good.parquet", rows(2).stream().map(LogImportTest::select).toList());
    Path file = log("bad.parquet", selects);
    LogMapping mapping = mapping(MAPPING);
    assertThatThrownBy(() -> run(mapping, source(good, file), 0.5, "refused"))
        .isInstanceOf(ImportException.class)
        .hasMessageContaining("bad.parquet: ")
        .hasMessageContaining(message);
    assertThat(temporary.resolve("refused/train")).doesNotExist();
    assertThat(temporary.resolve("refused/held-out")).doesNotExist();
    assertThat(temporary.resolve("sorting/users")).doesNotExist();
  }

  private void refused(Path file, String text, String... messages) throws IOException {
    LogMapping mapping = mapping(text);
    assertThatThrownBy(() -> run(mapping, source(file), 0, "refused"))
        .isInstanceOf(ImportException.class)
        .satisfies(e -> assertThat(e.getMessage()).contains(messages));
    assertThat(temporary.resolve("refused/train")).doesNotExist();
  }

  private Path text(String name, String text) throws IOException {
    return Files.writeString(temporary.resolve(name), text);
  }

  private Path query(String name, String select) {
    return log(name, List.of(select));
  }

  private static final String ONE =
      select(rows(1).get(0)); // a whole good row, to which more columns may be added

  /** Arrow files, compressed as Python's Feather files are unless told otherwise. */
  @Test
  void arrowFilesAreImported() throws IOException {
    List<Row> rows = rows(5);
    Path parquet = log("rows.parquet", rows.stream().map(LogImportTest::select).toList());
    Path arrow = temporary.resolve("rows.arrow");
    writeArrow(parquet, arrow);
    run(mapping(MAPPING), source(parquet), 0, "parquet");
    run(mapping(MAPPING), source(arrow), 0, "arrow");
    assertThat(Files.mismatch(shard("parquet/train"), shard("arrow/train"))).isEqualTo(-1);
    Path none = text("none.arrow", "this is no Arrow file at all");
    assertThatThrownBy(() -> source(none))
        .isInstanceOf(ImportException.class)
        .hasMessageContaining("none.arrow is no Arrow IPC file");
  }

  private static void writeArrow(Path parquet, Path arrow) throws IOException {
    try (Connection connection = DriverManager.getConnection("jdbc:duckdb:");
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("FROM '" + parquet + "'");
        RootAllocator allocator = new RootAllocator();
        ArrowReader reader =
            (ArrowReader) rows.unwrap(DuckDBResultSet.class).arrowExportStream(allocator, 7);
        FileChannel channel =
            FileChannel.open(arrow, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        ArrowFileWriter writer =
            new ArrowFileWriter(
                reader.getVectorSchemaRoot(),
                reader,
                channel,
                Map.of(),
                IpcOption.DEFAULT,
                CommonsCompressionFactory.INSTANCE,
                CompressionUtil.CodecType.LZ4_FRAME)) {
      writer.start();
      while (reader.loadNextBatch()) {
        writer.writeBatch();
      }
      writer.end();
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Text is no number until it is read as one: what is none has a row. */
  @Test
  void textFilesAreImportedAndRefusedByRow() throws IOException {
    String mapping =
        MAPPING.replace(", \"embedding[2]\"", "").replace("[age, ", "[").replace("\"f_*\"", "f");
    String head = "member\tat\tf\ta0\ta1\tb0\tb1\tseconds\tclicked\tliked\n";
    String good = "u1\t1000\t0.5\t0\t0\t0\t0\t3\t1\t0\n";
    Path file = text("log.tsv", head + good + good.replace("1000", "900"));
    assertThat(run(mapping(mapping), source(file), 0, "tsv").requests()).isEqualTo(2);
    try (Replay replay = Replay.open(temporary.resolve("tsv/train"))) {
      assertThat(replay.timestamp(0)).isEqualTo(900);
      assertThat(values(replay, 0, ReplaySchema.REWARD)).containsExactly(0.03f, 1);
    }
    refused(
        text("bad.tsv", head + good + good.replace("0.5", "half")),
        mapping,
        "bad.tsv: row 2, state f: expected a finite number, found 'half' (1 such row)");
    Path json =
        text(
            "mixed.jsonl",
            "{\"member\":1,\"at\":1000,\"f\":1,\"a0\":0,\"a1\":0,\"b0\":0,\"b1\":0,\"seconds\":1,"
                + "\"clicked\":1,\"liked\":0}\n{\"member\":1,\"at\":1001,\"f\":\"x\",\"a0\":0,\"a1\":0,"
                + "\"b0\":0,\"b1\":0,\"seconds\":1,\"clicked\":1,\"liked\":0}\n");
    refused(json, mapping, "mixed.jsonl: row 2, state f: expected a finite number, found ");
    Path latin = temporary.resolve("latin.csv");
    Files.write(
        latin, (head + good.replace("u1", "Jos\u00e9")).replace('\t', ',').getBytes(ISO_8859_1));
    refused(latin, mapping, "the log cannot be read: ", "latin.csv");
  }

  @Test
  void columnsTypesAndFilesThatDoNotFitAreRefused() throws IOException {
    Path good = query("good.parquet", ONE);
    refused(good, MAPPING.replace("f_*", "g_*"), "state: no column matches 'g_*'; the log has [");
    refused(good, MAPPING.replace("member", "usr"), "user: the log has no column 'usr'; it has [");
    refused(
        good,
        MAPPING.replace("embedding[2]", "embedding[3]"),
        "row 1, state embedding: expected a list of 3 numbers, found '2'");
    refused(
        good, MAPPING.replace("embedding[2]", "age[2]"), "column 'age' has type INTEGER", "a list");
    refused(
        good, MAPPING.replace("[a0, a1]", "[a0]"), "action has 1 values, and there are 1 scores");
    refused(good, MAPPING.replace("time_unit: milliseconds\n", ""), "time_unit is missing");
    refused(good, MAPPING + "missing: {nobody: 1}\n", "missing.nobody: no such column");
    refused(good, MAPPING + "request: id\n", "request: the log has no column 'id'; it has [");
    refused(
        good,
        MAPPING.replace("{half_width: 0.25}", "{low: [b0, b1], high: [a0, a1]}"),
        "row 1, box: expected a lower edge below the upper one");
    refused(
        query("version.parquet", ONE + ", NULL AS version"),
        MAPPING.replace("{half_width: 0.25}", "{version: version, half_widths: {v1: 0.1}}"),
        "row 1, box.version version: expected one of [v1]; add it to box.half_widths, found nothing");
    refused(
        query("text.parquet", ONE.replaceAll("[0-9]+::BIGINT AS at", "'soon' AS at")),
        MAPPING.replace("time_unit: milliseconds\n", ""),
        "row 1, time at: expected a timestamp",
        "found 'soon'");
    refused(
        query("nested.parquet", ONE.replaceAll("[0-9.]+::DOUBLE AS f_1", "{'x': 1} AS f_1")),
        MAPPING,
        "state: column 'f_1' has type STRUCT(x INTEGER): expected numbers");
    Path other = query("other.parquet", ONE + ", 1 AS more");
    assertThatThrownBy(() -> run(mapping(MAPPING), source(good, other), 0, "refused"))
        .hasMessageContaining("other.parquet: column 'more' has type INTEGER, and in ")
        .hasMessageContaining("good.parquet it is not there");
    Path typed =
        query("typed.parquet", ONE.replaceAll("([0-9.]+)::DOUBLE AS f_1", "$1::FLOAT AS f_1"));
    assertThatThrownBy(() -> run(mapping(MAPPING), source(good, typed), 0, "refused"))
        .hasMessageContaining("typed.parquet: column 'f_1' has type FLOAT, and in ")
        .hasMessageContaining("good.parquet it has type DOUBLE");
    assertThatThrownBy(() -> source(good, good)).hasMessageContaining("is given twice");
    Path again = good.getParent().resolve("new/..").resolve(good.getFileName());
    Files.createDirectories(again.getParent().getParent());
    assertThatThrownBy(() -> source(good, again)).hasMessageContaining("is given twice");
    assertThatThrownBy(() -> source(good, text("a.csv", "x\n1\n")))
        .hasMessageContaining("is of another kind than");
    assertThatThrownBy(() -> source(text("empty.csv", "")))
        .hasMessageContaining("is empty (0 bytes)");
    assertThatThrownBy(() -> source(temporary.resolve("absent.csv")))
        .hasMessageContaining("absent.csv: there is no such file");
    refused(query("none.parquet", ONE + " WHERE false"), MAPPING, "the log has no rows");
    refused(text("cut.parquet", "PAR1 and then nothing"), MAPPING, "cut.parquet");
  }

  @Test
  void repeatedRequestsAndTimesThatGoBackAreRefused() throws IOException {
    Path twice =
        log(
            "twice.parquet",
            List.of(ONE + ", 'r7' AS id", ONE + ", 'r8' AS id", ONE + ", 'r7' AS id"));
    refused(twice, MAPPING + "request: id\n", "request id: 'r7' is there 2 times");
    String mapping = MAPPING.replace("session_gap: 30m", "session: visit\norder: step");
    List<String> steps = new ArrayList<>();
    for (int step = 3; step >= 1; step--) {
      steps.add(
          ONE.replaceAll("[0-9]+::BIGINT AS at", 1000 + step + "::BIGINT AS at")
              + ", 5 AS visit, "
              + step
              + " AS step");
    }
    assertThat(run(mapping(mapping), source(log("steps.parquet", steps)), 0, "steps").sessions())
        .isEqualTo(1);
    try (Replay replay = Replay.open(temporary.resolve("steps/train"))) {
      assertThat(replay.timestamp(0)).isEqualTo(1001);
      assertThat(replay.timestamp(2)).isEqualTo(1003);
    }
    steps.set(0, steps.get(0).replace("1003::", "900::"));
    Path quarantine = temporary.resolve("rejected.csv");
    Path both = log("both.parquet", withBadAge(steps));
    LogImport.Options leaving =
        new LogImport.Options(0, 1, 1, 256, temporary.resolve("sorting"), quarantine);
    assertThatThrownBy(() -> run(mapping(mapping), source(both), leaving, "refused"))
        .hasMessageContaining("time goes back from 1002 to 900 ms");
    assertThat(quarantine).doesNotExist();
    refused(
        log("back.parquet", steps),
        mapping,
        "session 5: time goes back from 1002 to 900 ms in the order of column 'step'");
  }

  private static List<String> withBadAge(List<String> selects) {
    List<String> all = new ArrayList<>(selects);
    all.add(selects.get(0).replaceAll("[0-9.]+::INTEGER AS age", "NULL::INTEGER AS age"));
    return all;
  }

  /** Whatever a mapping says wrongly is named by its key. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "user: member | usr: member | user is missing: expected the name of a column",
        "user: member | user: member@usr: member | Unrecognized field",
        "session_gap: 30m | session_gap: soon | session_gap is 'soon': expected a duration as 30m",
        "session_gap: 30m | request: id | expected session (a column) or session_gap",
        "session_gap: 30m | order: at | expected session (a column) or session_gap",
        "{half_width: 0.25} | {half_width: -1} | box.half_width is -1.0: expected 1e-6 to 2",
        "{half_width: 0.25} | {} | box: expected half_width, or version and half_widths, or low and high",
        "box: {half_width: 0.25} | missing: {} | box is missing: UnifiedRL needs to know",
        "[0.01, 1] | [0, 1] | scores.click.bias is [0.0, 1.0]: expected a least bias above 0",
        "[0, 2] | [2, 0] | scores.click.power is [2.0, 0.0]: expected [LEAST, LARGEST]",
        "{seconds: 0.01} | {seconds: .nan} | line 12: Malformed numeric value",
        "watch: {seconds: 0.01} | watch: {} | reward.watch is empty: expected COLUMN: WEIGHT",
        "action: [a0, a1] | action: a0 | line 8",
        "time: at | time: at@time: then | line 3",
      })
  void aWrongMappingIsRefused(String from, String to, String message) {
    assertThatThrownBy(() -> mapping(MAPPING.replace(from, to.replace('@', '\n'))))
        .isInstanceOf(ImportException.class)
        .hasMessageContaining("mapping.yaml")
        .hasMessageContaining(message);
  }

  /** References to references would be billions of strings. */
  @Test
  void aMappingThatGrowsWithoutEndIsRefused() {
    StringBuilder bomb = new StringBuilder("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
      String before = "*a" + (i - 1);
      bomb.append(
          "a%d: &a%d [%s]%n".formatted(i, i, String.join(", ", Collections.nCopies(10, before))));
    }
    bomb.append("state: *a11\n");
    assertTimeoutPreemptively(
        Duration.ofSeconds(20),
        () ->
            assertThatThrownBy(() -> mapping(bomb + MAPPING))
                .isInstanceOf(ImportException.class)
                .hasMessageContaining("mapping.yaml"));
    assertThatThrownBy(() -> mapping("#" + "x".repeat(2 << 20)))
        .hasMessageContaining("has more than 1048576 bytes");
    assertThatThrownBy(() -> mapping("")).hasMessageContaining("is empty");
  }
}
