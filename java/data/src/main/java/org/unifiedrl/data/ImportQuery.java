package org.unifiedrl.data;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

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
  private final List<String> stateNames = new ArrayList<>();
  private final int actionSize;

  /**
   * Plans an import.
   *
   * @param types DuckDB's types by column, in the log's order
   * @throws ImportException if the log lacks a column, or one has another type than it should
   */
  ImportQuery(LogMapping mapping, Map<String, String> types) {
    this.mapping = mapping;
    this.types = types;
    selected.add(id("user", mapping.user()) + " AS u");
    selected.add(
        (mapping.session() == null ? "0::BIGINT" : id("session", mapping.session())) + " AS s");
    selected.add(time() + " AS t");
    selected.add((mapping.order() == null ? "0::BIGINT" : order()) + " AS o");
    selected.add(logDensity() + " AS d");
    selected.add(halfWidth() + " AS h");
    for (Value value : values("state", mapping.state())) {
      stateNames.addAll(value.names());
      selected.add(value.sql());
    }
    checkMissing();
    actionSize = shaped("action", mapping.action(), 2 * mapping.scores().size());
    shaped("baseline_action", mapping.baselineAction(), actionSize);
    if (mapping.box().low() != null) {
      List<String> low = actionColumns("box.low", mapping.box().low());
      List<String> high = actionColumns("box.high", mapping.box().high());
      for (int k = 0; k < actionSize; k++) {
        checks.add(
            new Check(
                "box",
                "coalesce(" + low.get(k) + " > " + high.get(k) + ", false)",
                low.get(k) + " || ' > ' || " + high.get(k),
                "a lower edge below the upper one"));
      }
    }
    mapping.reward().forEach(this::reward);
    if (mapping.request() != null) {
      type("request", mapping.request());
    }
  }

  /**
   * What the log says of some neighbouring values of a row.
   *
   * @param names of the values: columns, and elements of lists as {@code name[k]} from 1
   * @param sql float32 values: one, or an array of as many as there are names
   */
  private record Value(List<String> names, String sql) {}

  /** Names of the S state values: columns, and elements of lists as {@code name[k]} from 1. */
  List<String> stateNames() {
    return stateNames;
  }

  /** Number of action values A. */
  int actionSize() {
    return actionSize;
  }

  /** Whether the log has the edges of boxes. */
  boolean edges() {
    return mapping.box().low() != null;
  }

  /** Number of float32 values that are read of a row. */
  int valueCount() {
    return stateNames.size() + (edges() ? 4 : 2) * actionSize + mapping.reward().size();
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

  /** State columns whose missing values the mapping fills in. */
  List<String> filled() {
    return stateNames.stream().filter(name -> missing(name) != null).toList();
  }

  /** Counts the missing values of each {@link #filled} column. */
  String missingCounts(String relation) {
    return filled().stream()
        .map(name -> "count(*) FILTER (WHERE " + isMissing(name) + ")")
        .collect(Collectors.joining(", ", "SELECT ", " FROM " + relation));
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
    return checks.stream().map(Check::bad).collect(Collectors.joining(" OR ", "NOT (", ")"));
  }

  /** The rows that fail a check: what is wrong with them first, their number, then all columns. */
  String bad(String relation) {
    StringBuilder reason = new StringBuilder("concat_ws('; '");
    for (Check check : checks) {
      reason
          .append(", CASE WHEN ")
          .append(check.bad())
          .append(" THEN ")
          .append(text(check.column() + ": expected " + check.expected()))
          .append(" END");
    }
    return "SELECT * FROM (SELECT "
        + reason
        + ") AS unifiedrl_reason, row_number() OVER () AS unifiedrl_row, * FROM "
        + relation
        + ") WHERE unifiedrl_reason <> ''";
  }

  /**
   * The rows in the log's order: user, session (0 without a column), milliseconds, place in the
   * session (0 without a column), log density and half width (NULL where neither is a column), then
   * {@link #valueCount} float32 values: state, action, baseline action, edges of the box where they
   * are logged, rewards. What is missing or no number is NULL.
   */
  String rows(String relation) {
    return "SELECT " + String.join(", ", selected) + " FROM " + relation;
  }

  private int shaped(String place, List<String> names, int size) {
    List<String> columns = actionColumns(place, names);
    if (columns.size() != size) {
      throw new ImportException(
          "%s has %d values, and there are %d scores: expected %d, a power and a bias of each"
              .formatted(place, columns.size(), mapping.scores().size(), size));
    }
    return size;
  }

  /** Normalised action values as SQL, one by one: each has a range. */
  private List<String> actionColumns(String place, List<String> names) {
    List<LogMapping.Score> scores = List.copyOf(mapping.scores().values());
    boolean fusion = mapping.actionUnits() == LogMapping.ActionUnits.FUSION;
    List<String> all = new ArrayList<>();
    elements(place, names)
        .forEach(
            (name, sql) -> {
              int at = all.size();
              if (at == 2 * scores.size()) { // refused by its length
                all.add(sql);
                return;
              }
              boolean power = at < scores.size();
              LogMapping.Score score = scores.get(at % scores.size());
              List<Double> range =
                  !fusion ? List.of(-1.0, 1.0) : power ? score.power() : score.bias();
              String low = range.get(0).toString();
              String high = range.get(1).toString();
              // What was rounded to float32 on its way may lie a little outside.
              double slack = 1e-6 * Math.max(Math.abs(range.get(0)), Math.abs(range.get(1)));
              checks.add(
                  new Check(
                      place + " " + name,
                      "coalesce(%s NOT BETWEEN %s AND %s, false)"
                          .formatted(sql, range.get(0) - slack, range.get(1) + slack),
                      sql,
                      fusion
                          ? "a %s within [%s, %s]; widen the range in scores"
                              .formatted(power ? "power" : "bias", low, high)
                          : "a normalised action value within [-1.0, 1.0]; normalise it, or set"
                              + " action_units to fusion"));
              // What the checks refuse is NULL, so that nobody need run them to see that it is
              // there.
              String value =
                  "TRY_CAST(CASE WHEN %s BETWEEN %s AND %s THEN %s END AS FLOAT)"
                      .formatted(
                          sql,
                          range.get(0) - slack,
                          range.get(1) + slack,
                          fusion ? normalised(sql, range, !power) : sql);
              selected.add(value);
              all.add(value);
            });
    return all;
  }

  /** The inverse of the action map: affine in powers, and in logarithms of biases. */
  private static String normalised(String sql, List<Double> range, boolean logarithmic) {
    double low = logarithmic ? Math.log(range.get(0)) : range.get(0);
    double high = logarithmic ? Math.log(range.get(1)) : range.get(1);
    String value = logarithmic ? "CASE WHEN " + sql + " > 0 THEN ln(" + sql + ") END" : sql;
    // Rounding may leave a value at an edge a little outside it.
    return "greatest(-1, least(1, 2 * (" + value + " - " + low + ") / " + (high - low) + " - 1))";
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
    finite("reward." + group, "(" + sum + ")", "(" + sum + ")");
    selected.add("TRY_CAST((" + sum + ") AS FLOAT)");
  }

  /** Values one by one as SQL, by name. */
  private Map<String, String> elements(String place, List<String> names) {
    Map<String, String> values = new LinkedHashMap<>();
    for (String name : names) {
      ListColumn list = list(place, name);
      if (list == null) {
        for (String column : matching(place, name)) {
          String sql = number(place, column);
          finite(place + " " + column, sql, quoted(column));
          put(place, column, sql, values);
        }
      } else {
        for (int k = 1; k <= list.length(); k++) {
          String own = list.name() + "[" + k + "]";
          String column = quoted(list.name());
          String element =
              "CASE WHEN len("
                  + column
                  + ") = "
                  + list.length()
                  + " THEN "
                  + column
                  + "["
                  + k
                  + "] END";
          String sql = number(place, own, element, list.type());
          finite(place + " " + own, sql, element);
          put(place, own, sql, values);
        }
      }
    }
    return values;
  }

  private static void put(String place, String name, String sql, Map<String, String> values) {
    if (values.put(name, sql) != null) {
      throw new ImportException(place + ": column '" + name + "' is named twice");
    }
  }

  /** Values as SQL, lists as a whole: of a long list that is many times faster. */
  private List<Value> values(String place, List<String> names) {
    List<Value> values = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    for (String name : names) {
      ListColumn list = list(place, name);
      if (list != null) {
        values.add(array(place, list));
      } else {
        for (String column : matching(place, name)) {
          String sql = number(place, column);
          Double missing = missing(column);
          if (missing != null) {
            sql = "CASE WHEN " + isMissing(column) + " THEN " + missing + " ELSE " + sql + " END";
          }
          finite(place + " " + column, sql, quoted(column));
          values.add(new Value(List.of(column), "TRY_CAST(" + sql + " AS FLOAT)"));
        }
      }
    }
    for (Value value : values) {
      for (String name : value.names()) {
        if (!seen.add(name)) {
          throw new ImportException(place + ": column '" + name + "' is named twice");
        }
      }
    }
    return values;
  }

  /** Nothing, or what files have for nothing; text that is no number is a mistake instead. */
  private String isMissing(String name) {
    String column = quoted(name);
    String type = types.get(name);
    return column
        + " IS NULL"
        + (type.equals("FLOAT") || type.equals("DOUBLE") ? " OR isnan(" + column + ")" : "")
        + (type.equals("VARCHAR") ? " OR lower(trim(" + column + ")) IN ('', 'nan', 'null')" : "");
  }

  private void checkMissing() {
    for (String name : mapping.missing().keySet()) {
      if (stateNames.stream().noneMatch(column -> pattern(name).matcher(column).matches())) {
        throw new ImportException(
            "missing." + name + ": no such column among those of state " + stateNames);
      }
      if (stateNames.stream()
          .anyMatch(c -> !types.containsKey(c) && pattern(name).matcher(c).matches())) {
        throw new ImportException(
            "missing." + name + " matches elements of a list: expected single columns");
      }
    }
  }

  private Double missing(String column) {
    Double found = mapping.missing().get(column);
    if (found != null) {
      return found;
    }
    return mapping.missing().entrySet().stream()
        .filter(entry -> pattern(entry.getKey()).matcher(column).matches())
        .map(Map.Entry::getValue)
        .findFirst()
        .orElse(null);
  }

  private Value array(String place, ListColumn list) {
    String column = quoted(list.name());
    List<String> names = new ArrayList<>();
    for (int k = 1; k <= list.length(); k++) {
      names.add(list.name() + "[" + k + "]");
    }
    String type = "FLOAT[" + list.length() + "]";
    number(place, list.name(), column, list.type()); // refuses what holds no numbers
    checks.add(
        new Check(
            place + " " + list.name(),
            "coalesce(list_bool_or(list_transform("
                + column
                + ", x -> NOT coalesce(isfinite(TRY_CAST(x AS FLOAT)), false))), false)",
            column,
            "finite numbers"));
    // To float32 first: a cast of both at once may read a part of a longer list wrongly.
    return new Value(names, "TRY_CAST(TRY_CAST(" + column + " AS FLOAT[]) AS " + type + ")");
  }

  /** A column that holds lists of a length. */
  private record ListColumn(String name, int length, String type) {}

  /** The list that a name such as {@code embedding[16]} means; null if it means no list. */
  private ListColumn list(String place, String name) {
    Matcher named = LIST.matcher(name);
    if (types.containsKey(name) || !named.matches()) {
      return null;
    }
    String column = named.group(1);
    int length = Integer.parseInt(named.group(2));
    String type = type(place, column);
    Matcher element = LIST_TYPE.matcher(type);
    if (!element.matches() || length == 0) {
      throw new ImportException(
          "%s: column '%s' has type %s: expected a list of numbers, of a length above 0"
              .formatted(place, column, type));
    }
    checks.add(
        new Check(
            place + " " + column,
            "coalesce(len(" + quoted(column) + "), -1) <> " + length,
            "len(" + quoted(column) + ")",
            "a list of " + length + " numbers"));
    return new ListColumn(column, length, element.group(1));
  }

  private List<String> matching(String place, String name) {
    if (types.containsKey(name) || !name.contains("*")) {
      type(place, name);
      return List.of(name);
    }
    Pattern pattern = pattern(name);
    List<String> found =
        types.keySet().stream().filter(column -> pattern.matcher(column).matches()).toList();
    if (found.isEmpty()) {
      throw new ImportException(
          place + ": no column matches '" + name + "'; the log has " + types.keySet());
    }
    return found;
  }

  private static Pattern pattern(String name) {
    StringBuilder regex = new StringBuilder();
    for (String part : name.split("\\*", -1)) {
      regex.append(regex.isEmpty() ? "" : ".*").append(Pattern.quote(part));
    }
    return Pattern.compile(regex.toString());
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
    // Only what a number would be written as: 007 and 7 are two users.
    return "CASE WHEN regexp_full_match("
        + text
        + ", '0|-?[1-9][0-9]{0,18}') AND TRY_CAST("
        + text
        + " AS BIGINT) IS NOT NULL THEN TRY_CAST("
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

  private String order() {
    String name = mapping.order();
    String type = type("order", name);
    if (!INTEGERS.contains(type) && !type.equals("VARCHAR")) {
      throw new ImportException(
          "order: column '%s' has type %s: expected whole numbers".formatted(name, type));
    }
    String sql = "TRY_CAST(" + quoted(name) + " AS BIGINT)";
    checks.add(new Check("order " + name, sql + " IS NULL", quoted(name), "a whole number"));
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
