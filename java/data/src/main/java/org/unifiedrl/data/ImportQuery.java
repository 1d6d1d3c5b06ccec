package org.unifiedrl.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The SQL of an import: what is selected from a log of given columns, and which rows are bad. */
final class ImportQuery {

  /**
   * What may be wrong with a row.
   *
   * @param column place in the row, for messages
   * @param bad condition in SQL that is true for bad rows
   * @param found what is shown of a bad row, in SQL
   * @param expected what should have been there, and the remedy
   */
  record Check(String column, String bad, String found, String expected) {}

  private static final Set<String> INTEGERS =
      Set.of(
          "TINYINT",
          "SMALLINT",
          "INTEGER",
          "BIGINT",
          "HUGEINT",
          "UTINYINT",
          "USMALLINT",
          "UINTEGER",
          "UBIGINT",
          "UHUGEINT");
  private static final Pattern LIST = Pattern.compile("(.+)\\[([0-9]{1,6})]");
  private static final Pattern LIST_TYPE = Pattern.compile("(.+)\\[[0-9]*]");

  private final Map<String, String> types;
  private final LogMapping mapping;
  private final List<Check> checks = new ArrayList<>();
  private final List<String> selected = new ArrayList<>();
  private final List<String> stateNames;
  private final int actionSize;
  private final String order;

  /**
   * Plans an import.
   *
   * @param types DuckDB's types by column, in the log's order
   * @throws ImportException if the log lacks a column, or one has another type than it should
   */
  ImportQuery(LogMapping mapping, Map<String, String> types) {
    this.mapping = mapping;
    this.types = types;
    String user = id("user", mapping.user());
    String time = time();
    selected.add(user + " AS u");
    order = mapping.session() == null ? "u, t, n" : "u, s, t, n";
    selected.add((mapping.session() == null ? "0" : id("session", mapping.session())) + " AS s");
    selected.add(time + " AS t");
    selected.add("row_number() OVER () AS n");
    selected.add(logDensity() + " AS d");
    selected.add(halfWidth() + " AS h");
    Map<String, String> state = values("state", mapping.state());
    stateNames = List.copyOf(state.keySet());
    state.values().forEach(this::select);
    actionSize = shaped("action", mapping.action(), -1);
    shaped("baseline_action", mapping.baselineAction(), actionSize);
    if (mapping.box().low() != null) {
      shaped("box.low", mapping.box().low(), actionSize);
      shaped("box.high", mapping.box().high(), actionSize);
    }
    mapping.reward().forEach(this::reward);
  }

  /** Names of the S state values: columns, and elements of lists as {@code name[k]} from 1. */
  List<String> stateNames() {
    return stateNames;
  }

  int actionSize() {
    return actionSize;
  }

  List<Check> checks() {
    return checks;
  }

  /** Counts all rows and, by check, the bad ones. */
  String counts(String relation) {
    StringBuilder sql = new StringBuilder("SELECT count(*)");
    for (Check check : checks) {
      sql.append(", count(*) FILTER (WHERE ").append(check.bad()).append(')');
    }
    return sql.append(" FROM ").append(relation).toString();
  }

  /** Number from 1 of the first row that fails a check, and what was found there. */
  String first(Check check, String relation) {
    return "SELECT n, CAST(found AS VARCHAR) FROM (SELECT row_number() OVER () AS n, "
        + check.found()
        + " AS found, "
        + check.bad()
        + " AS bad FROM "
        + relation
        + ") WHERE bad LIMIT 1";
  }

  /** Condition of a row that passes all checks. */
  String good() {
    StringBuilder sql = new StringBuilder("NOT (");
    for (int i = 0; i < checks.size(); i++) {
      sql.append(i == 0 ? "" : " OR ").append(checks.get(i).bad());
    }
    return sql.append(')').toString();
  }

  /**
   * The rows in the order of sessions: user, session (0 without a column), milliseconds, place in
   * the log, log density and half width (NULL where neither is a column), then float32 values:
   * state, action, baseline action, edges of the box where they are logged, rewards.
   */
  String rows(String relation) {
    return "SELECT " + String.join(", ", selected) + " FROM " + relation + " ORDER BY " + order;
  }

  private int shaped(String place, List<String> names, int size) {
    Map<String, String> values = values(place, names);
    if (size >= 0 && values.size() != size) {
      throw new ImportException(
          "%s has %d values, and action has %d: expected as many"
              .formatted(place, values.size(), size));
    }
    values.forEach(
        (name, sql) -> {
          select(sql);
          if (place.equals("action") || place.startsWith("box.")) {
            String low = Double.toString(mapping.actionLow());
            String high = Double.toString(mapping.actionHigh());
            checks.add(
                new Check(
                    place + " " + name,
                    "coalesce(" + sql + " NOT BETWEEN " + low + " AND " + high + ", false)",
                    sql,
                    "a value within the action range ["
                        + low
                        + ", "
                        + high
                        + "]; normalise it, or set action_low and action_high"));
          }
        });
    return values.size();
  }

  private void select(String sql) {
    selected.add("TRY_CAST(" + sql + " AS FLOAT) AS v" + selected.size());
  }

  private void reward(String group, Map<String, Double> weights) {
    StringBuilder sum = new StringBuilder();
    weights.forEach(
        (name, weight) -> {
          String sql = number("reward." + group, name);
          finite("reward." + group + " " + name, sql, quoted(name));
          sum.append(sum.isEmpty() ? "" : " + ").append('(').append(weight).append(") * ");
          sum.append(sql);
        });
    select("(" + sum + ")");
  }

  /** Values of columns, patterns and lists as SQL, by name. */
  private Map<String, String> values(String place, List<String> names) {
    Map<String, String> values = new LinkedHashMap<>();
    for (String name : names) {
      Matcher list = LIST.matcher(name);
      if (!types.containsKey(name) && list.matches()) {
        list(place, list.group(1), Integer.parseInt(list.group(2)), values);
        continue;
      }
      for (String column : matching(place, name)) {
        String sql = number(place, column);
        finite(place + " " + column, sql, quoted(column));
        if (values.put(column, sql) != null) {
          throw new ImportException(place + ": column '" + column + "' is named twice");
        }
      }
    }
    return values;
  }

  private void list(String place, String name, int length, Map<String, String> values) {
    String type = type(place, name);
    Matcher element = LIST_TYPE.matcher(type);
    if (!element.matches() || length == 0) {
      throw new ImportException(
          "%s: column '%s' has type %s: expected a list of numbers, of a length above 0"
              .formatted(place, name, type));
    }
    String column = quoted(name);
    checks.add(
        new Check(
            place + " " + name,
            "coalesce(len(" + column + ") <> " + length + ", false)",
            "len(" + column + ")",
            "a list of " + length + " numbers"));
    for (int k = 1; k <= length; k++) {
      String own = name + "[" + k + "]";
      String sql = number(place, own, column + "[" + k + "]", element.group(1));
      finite(place + " " + own, sql, column + "[" + k + "]");
      values.put(own, sql);
    }
  }

  private List<String> matching(String place, String name) {
    if (types.containsKey(name) || !name.contains("*")) {
      type(place, name);
      return List.of(name);
    }
    StringBuilder regex = new StringBuilder();
    for (String part : name.split("\\*", -1)) {
      regex.append(regex.isEmpty() ? "" : ".*").append(Pattern.quote(part));
    }
    Pattern pattern = Pattern.compile(regex.toString());
    List<String> found =
        types.keySet().stream().filter(column -> pattern.matcher(column).matches()).toList();
    if (found.isEmpty()) {
      throw new ImportException(
          place + ": no column matches '" + name + "'; the log has " + types.keySet());
    }
    return found;
  }

  private String type(String place, String name) {
    String type = types.get(name);
    if (type == null) {
      throw new ImportException(
          place + ": the log has no column '" + name + "'; it has " + types.keySet());
    }
    return type;
  }

  private void finite(String place, String sql, String column) {
    checks.add(
        new Check(
            place,
            "NOT coalesce(isfinite(TRY_CAST(" + sql + " AS FLOAT)), false)",
            column,
            "a finite number"));
  }

  private String number(String place, String name) {
    return number(place, name, quoted(name), type(place, name));
  }

  private static String number(String place, String name, String column, String type) {
    if (INTEGERS.contains(type) || type.equals("FLOAT") || type.equals("DOUBLE")) {
      return column;
    }
    if (type.equals("BOOLEAN")) {
      return "CAST(" + column + " AS TINYINT)";
    }
    if (type.equals("VARCHAR") || type.equals("JSON") || type.startsWith("DECIMAL")) {
      return "TRY_CAST(" + column + " AS DOUBLE)";
    }
    throw new ImportException(
        "%s: column '%s' has type %s: expected numbers".formatted(place, name, type));
  }

  private String id(String place, String name) {
    String type = type(place, name);
    String column = quoted(name);
    checks.add(new Check(place + " " + name, column + " IS NULL", "NULL", "a value"));
    if (INTEGERS.contains(type)) {
      checks.add(
          new Check(
              place + " " + name,
              column + " IS NOT NULL AND TRY_CAST(" + column + " AS BIGINT) IS NULL",
              column,
              "a number of 64 bits"));
      return "TRY_CAST(" + column + " AS BIGINT)";
    }
    String text = "CAST(" + column + " AS VARCHAR)";
    return "CASE WHEN regexp_full_match("
        + text
        + ", '-?[0-9]{1,18}') THEN TRY_CAST("
        + text
        + " AS BIGINT) ELSE CAST(md5_number_lower("
        + text
        + ") >> 1 AS BIGINT) END";
  }

  private String time() {
    String name = mapping.time();
    String type = type("time", name);
    String column = quoted(name);
    LogMapping.TimeUnit unit = mapping.timeUnit();
    boolean stamp = type.startsWith("TIMESTAMP") || type.equals("DATE");
    boolean number = INTEGERS.contains(type) || type.equals("DOUBLE") || type.startsWith("DECIMAL");
    if (!stamp && !number && !type.equals("VARCHAR")) {
      throw new ImportException(
          "time: column '%s' has type %s: expected timestamps or numbers".formatted(name, type));
    }
    if (number && unit == null) {
      throw new ImportException(
          "time_unit is missing: column '%s' holds numbers (%s); give seconds, milliseconds,"
                  .formatted(name, type)
              + " microseconds or nanoseconds");
    }
    if (stamp && unit != null) {
      throw new ImportException(
          "time_unit is given, and column '%s' holds timestamps (%s): leave it out"
              .formatted(name, type));
    }
    String sql;
    if (unit == null) {
      sql = "epoch_ms(TRY_CAST(" + column + " AS TIMESTAMPTZ))";
    } else if (unit == LogMapping.TimeUnit.SECONDS) { // which logs give with fractions
      sql = "TRY_CAST(floor(TRY_CAST(" + column + " AS DOUBLE) * 1000) AS BIGINT)";
    } else {
      sql = "TRY_CAST(TRY_CAST(" + column + " AS HUGEINT) // " + unit.divide + " AS BIGINT)";
    }
    checks.add(
        new Check(
            "time " + name,
            sql + " IS NULL",
            column,
            unit == null ? "a timestamp, as 2026-11-28 12:00:00" : "a number"));
    return sql;
  }

  private String logDensity() {
    if (mapping.logDensity() == null) {
      return "CAST(NULL AS FLOAT)";
    }
    String sql = number("log_density", mapping.logDensity());
    finite("log_density " + mapping.logDensity(), sql, quoted(mapping.logDensity()));
    return "TRY_CAST(" + sql + " AS FLOAT)";
  }

  private String halfWidth() {
    LogMapping.Box box = mapping.box();
    if (box.version() == null) {
      return "CAST(NULL AS FLOAT)";
    }
    type("box.version", box.version());
    String column = quoted(box.version());
    StringBuilder sql = new StringBuilder("CASE CAST(" + column + " AS VARCHAR)");
    box.halfWidths()
        .forEach(
            (version, width) ->
                sql.append(" WHEN ").append(text(version)).append(" THEN ").append(width));
    String width = sql + " END";
    checks.add(
        new Check(
            "box.version " + box.version(),
            width + " IS NULL",
            column,
            "one of " + box.halfWidths().keySet() + "; add it to box.half_widths"));
    return "CAST(" + width + " AS FLOAT)";
  }

  static String quoted(String column) {
    return '"' + column.replace("\"", "\"\"") + '"';
  }

  static String text(String value) {
    return "'" + value.replace("'", "''") + "'";
  }
}
