package org.unifiedrl.data;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.duckdb.DuckDBAppender;
import org.duckdb.DuckDBConnection;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.experiment.RequestLog;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.Simulator;

/**
 * Writes explored requests as a production system might have logged them, with the mapping that
 * brings them back: text for users, timestamps, the powers and biases themselves, a policy version
 * that stands for the box, behaviours in columns of their own, rows in the order of time over
 * several Parquet files.
 */
public final class ExampleLog {

  private static final String VERSION = "2026-11-baseline";
  private static final int FILES = 3;

  private final Replay replay;
  private final Environment environment;
  private final double halfWidth;

  /** Columns of the log by name, with DuckDB's types, in order. */
  private final Map<String, String> columns = new LinkedHashMap<>();

  private final List<String> behaviours;
  private final boolean linear;

  /**
   * Prepares to write.
   *
   * @param replay explored uniformly in a box
   * @param environment that it was explored in
   * @param halfWidth of the box, in normalised action
   */
  public ExampleLog(Replay replay, Environment environment, double halfWidth) {
    this.replay = replay;
    this.environment = environment;
    this.halfWidth = halfWidth;
    // Elsewhere rewards are no weighted sums of what the log has of behaviours.
    this.linear = environment instanceof Simulator;
    this.behaviours = environment.responseNames().stream().map(ExampleLog::plain).toList();
    columns.put("request_id", "VARCHAR");
    columns.put("member", "VARCHAR");
    columns.put("served_at", "TIMESTAMP");
    columns.put("policy", "VARCHAR");
    environment.stateNames().forEach(name -> columns.put("f_" + plain(name), "FLOAT"));
    for (String prefix : List.of("", "base_")) {
      for (String kind : List.of("power_", "bias_")) {
        environment
            .scoreNames()
            .forEach(name -> columns.put(prefix + kind + plain(name), "DOUBLE"));
      }
    }
    behaviours.forEach(name -> columns.put(name, "DOUBLE"));
    if (!linear) {
      environment.rewardGroups().forEach(name -> columns.put("value_" + plain(name), "DOUBLE"));
    }
  }

  private static String plain(String name) {
    return name.replaceAll("[^A-Za-z0-9]+", "_");
  }

  /** Writes {@code requests-1.parquet} and so on, and {@code mapping.yaml}, into a folder. */
  public void write(Path folder) {
    try {
      Files.createDirectories(folder);
      try (Connection connection = DriverManager.getConnection("jdbc:duckdb:");
          Statement statement = connection.createStatement()) {
        statement.execute(
            columns.entrySet().stream()
                .map(column -> ImportQuery.quoted(column.getKey()) + " " + column.getValue())
                .collect(Collectors.joining(", ", "CREATE TABLE requests (", ")")));
        try (DuckDBAppender rows =
            connection
                .unwrap(DuckDBConnection.class)
                .createAppender(DuckDBConnection.DEFAULT_SCHEMA, "requests")) {
          append(rows);
        }
        statement.execute(
            "CREATE TABLE numbered AS SELECT *, ntile("
                + FILES
                + ") OVER (ORDER BY served_at, request_id) AS file FROM requests");
        for (int file = 1; file <= FILES; file++) {
          statement.execute(
              "COPY (SELECT * EXCLUDE file FROM numbered WHERE file = %d ORDER BY served_at, request_id) TO %s"
                  .formatted(
                      file,
                      ImportQuery.text(
                          folder.resolve("requests-" + file + ".parquet").toString())));
        }
      }
      Files.writeString(folder.resolve("mapping.yaml"), mapping(), StandardCharsets.UTF_8);
    } catch (SQLException | IOException e) {
      throw new ImportException("cannot write the example into " + folder + ": " + e, e);
    }
  }

  private void append(DuckDBAppender rows) throws SQLException {
    float[] state = values(ReplaySchema.STATE);
    float[] action = values(ReplaySchema.ACTION);
    float[] served = values(ReplaySchema.BASELINE_ACTION);
    float[] reward = values(ReplaySchema.REWARD);
    float[] shown = values(RequestLog.PAGE_RESPONSES);
    for (long row = 0; row < replay.rows(); row++) {
      long user = replay.userId(row);
      rows.beginRow();
      rows.append("r" + row);
      rows.append("member-" + user);
      rows.append(
          LocalDateTime.ofInstant(Instant.ofEpochMilli(replay.timestamp(row)), ZoneOffset.UTC));
      rows.append(VERSION);
      read(row, ReplaySchema.STATE, state);
      for (float value : state) {
        rows.append(value);
      }
      append(rows, row, ReplaySchema.ACTION, action);
      append(rows, row, ReplaySchema.BASELINE_ACTION, served);
      read(row, RequestLog.PAGE_RESPONSES, shown);
      for (int i = 0; i < behaviours.size(); i++) {
        double sum = 0;
        for (int at = i; at < shown.length; at += behaviours.size()) {
          sum += shown[at];
        }
        rows.append(sum);
      }
      if (!linear) {
        read(row, ReplaySchema.REWARD, reward);
        for (float value : reward) {
          rows.append((double) value);
        }
      }
      rows.endRow();
    }
  }

  private void append(DuckDBAppender rows, long row, String column, float[] action)
      throws SQLException {
    ActionMap map = environment.actionMap();
    read(row, column, action);
    for (int i = 0; i < map.scores(); i++) {
      rows.append(map.power(i, action[i]));
    }
    for (int i = 0; i < map.scores(); i++) {
      rows.append(map.bias(i, action[map.scores() + i]));
    }
  }

  private float[] values(String column) {
    ReplaySchema schema = replay.schema();
    return new float[schema.columns().get(schema.columnIndex(column)).width()];
  }

  private void read(long row, String column, float[] values) {
    replay.get(row, replay.schema().columnIndex(column), values, 0);
  }

  private String mapping() {
    ActionMap map = environment.actionMap();
    StringBuilder yaml = new StringBuilder();
    yaml.append(
        """
        # What the columns of requests-*.parquet mean; one row is one request.
        user: member
        time: served_at
        session_gap: 30m
        request: request_id
        state: ["f_*"]
        scores: # of the fusion formula, with what an action of -1 and of +1 stands for
        """);
    for (int i = 0; i < map.scores(); i++) {
      yaml.append(
          "  %s: {power: [%s, %s], bias: [%s, %s]}%n"
              .formatted(
                  plain(environment.scoreNames().get(i)),
                  rounded(map.power(i, -1)),
                  rounded(map.power(i, 1)),
                  rounded(map.bias(i, -1)),
                  rounded(map.bias(i, 1))));
    }
    yaml.append("action_units: fusion # powers and biases as they were used, not normalised\n");
    yaml.append("action: " + actionColumns("") + "\n");
    yaml.append("baseline_action: " + actionColumns("base_") + "\n");
    yaml.append("box: {version: policy, half_widths: {%s: %s}}%n".formatted(VERSION, halfWidth));
    yaml.append("reward:\n");
    List<String> groups = environment.rewardGroups();
    for (int g = 0; g < groups.size(); g++) {
      yaml.append("  %s: {%s}%n".formatted(plain(groups.get(g)), weights(g)));
    }
    return yaml.toString();
  }

  /** Without what rounding left behind the digits that were meant. */
  private static String rounded(double value) {
    BigDecimal digits = new BigDecimal(value).round(new MathContext(9)).stripTrailingZeros();
    return digits.toPlainString();
  }

  private String actionColumns(String prefix) {
    List<String> names = new ArrayList<>();
    for (String kind : List.of("power_", "bias_")) {
      environment.scoreNames().forEach(name -> names.add(prefix + kind + plain(name)));
    }
    return "[" + String.join(", ", names) + "]";
  }

  /** Weights of a reward group: watch time is the first one's, everything else the second's. */
  private String weights(int group) {
    if (!linear) {
      return "value_" + plain(environment.rewardGroups().get(group)) + ": 1";
    }
    List<String> weights = new ArrayList<>();
    for (int i = 0; i < behaviours.size(); i++) {
      float[] one = new float[behaviours.size()];
      one[i] = 1;
      boolean watch = behaviours.get(i).startsWith("watch");
      boolean only = environment.rewardGroups().size() == 1;
      if (only || watch == (group == 0)) {
        weights.add(behaviours.get(i) + ": " + environment.reward(one, 0));
      }
    }
    return String.join(", ", weights);
  }
}
