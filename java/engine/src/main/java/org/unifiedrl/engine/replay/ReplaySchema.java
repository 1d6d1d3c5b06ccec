package org.unifiedrl.engine.replay;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * What one logged request holds: float32 columns of fixed widths, in order, beside the fixed
 * columns {@code session_id}, {@code user_id}, {@code timestamp} (int64) and {@code last} (uint8).
 *
 * <p>The names below have a meaning to the engine and to validation; any other column is carried
 * along. Immutable; safe for all threads.
 *
 * @param columns float32 columns, in the order in which rows hold them
 * @param metadata free text about the data (environment, policy, seed, ...), stored in the file
 */
public record ReplaySchema(List<Column> columns, Map<String, String> metadata) {

  /** State s, width S. */
  public static final String STATE = "state";

  /** Action a that was taken, width A. */
  public static final String ACTION = "action";

  /** Action that the baseline policy would have taken, width A. */
  public static final String BASELINE_ACTION = "baseline_action";

  /** Lower edge of the box that the action was drawn from, width A. */
  public static final String BOX_LOW = "box_low";

  /** Upper edge of the box that the action was drawn from, width A. */
  public static final String BOX_HIGH = "box_high";

  /** Rewards, one per reward group, width q. */
  public static final String REWARD = "reward";

  /** Natural logarithm of the behaviour policy's density at the action, width 1. */
  public static final String LOG_DENSITY = "log_density";

  /** Fixed column: session of the request, int64. */
  public static final String SESSION_ID = "session_id";

  /** Fixed column: user of the request, int64. */
  public static final String USER_ID = "user_id";

  /** Fixed column: time of the request in milliseconds, int64. */
  public static final String TIMESTAMP = "timestamp";

  /** Fixed column: 1 if the request is the last of its session, else 0, uint8. */
  public static final String LAST = "last";

  /** Metadata key: smallest action value, default -1. */
  public static final String ACTION_LOW_KEY = "action_low";

  /** Metadata key: largest action value, default 1. */
  public static final String ACTION_HIGH_KEY = "action_high";

  /**
   * Metadata key: {@code off} if actions may leave their box by design, as under Gaussian
   * exploration; {@code on}, the default, if every action was drawn inside it.
   */
  public static final String BOX_CHECK_KEY = "box_check";

  static final List<String> FIXED = List.of(SESSION_ID, USER_ID, TIMESTAMP, LAST);
  private static final List<String> ACTION_SHAPED =
      List.of(ACTION, BASELINE_ACTION, BOX_LOW, BOX_HIGH);
  private static final int MAX_ROW_WIDTH = 1 << 20;

  /** Columns of a file, the fixed ones included. */
  static final int MAX_COLUMNS = 10_000;

  /** UTF-8 bytes of all column names of a file. */
  static final int MAX_NAME_BYTES = 1 << 20;

  /** Metadata entries of a file. */
  static final int MAX_METADATA_ENTRIES = 10_000;

  /** Half of what the reader takes for a whole footer, which holds columns and batches besides. */
  private static final int MAX_WRITTEN_METADATA_BYTES = 8 << 20;

  /**
   * One float32 column.
   *
   * @param name unique, not empty, not one of the fixed names
   * @param width values per row, at least 1
   */
  public record Column(String name, int width) {
    public Column {
      if (name.isBlank() || FIXED.contains(name)) {
        throw new ReplayException(
            "column name '" + name + "': expected a name other than blank and " + FIXED);
      }
      if (width < 1 || width > MAX_ROW_WIDTH) {
        throw new ReplayException(
            "column '" + name + "' has width " + width + ": expected 1 to " + MAX_ROW_WIDTH);
      }
    }
  }

  public ReplaySchema {
    columns = List.copyOf(columns);
    metadata = Collections.unmodifiableMap(new TreeMap<>(metadata)); // equal schemas, equal files
    if (columns.isEmpty()) {
      throw new ReplayException("a replay schema needs at least one float32 column, found none");
    }
    Set<String> names = new HashSet<>();
    long width = 0;
    int actionWidth = -1;
    for (Column column : columns) {
      if (!names.add(column.name())) {
        throw new ReplayException("column '" + column.name() + "' occurs twice in the schema");
      }
      if (ACTION_SHAPED.contains(column.name())) {
        if (actionWidth >= 0 && column.width() != actionWidth) {
          throw new ReplayException(
              "columns "
                  + ACTION_SHAPED
                  + " must have one width: found "
                  + actionWidth
                  + " and, for '"
                  + column.name()
                  + "', "
                  + column.width());
        }
        actionWidth = column.width();
      }
      width += column.width();
    }
    if (names.contains(BOX_LOW) != names.contains(BOX_HIGH)) {
      throw new ReplayException(
          "columns '" + BOX_LOW + "' and '" + BOX_HIGH + "' go together: only one was found");
    }
    if (width > MAX_ROW_WIDTH) {
      throw new ReplayException(
          "a row has " + width + " float32 values: expected at most " + MAX_ROW_WIDTH);
    }
  }

  /**
   * The seven standard columns.
   *
   * @param stateSize S, at least 1
   * @param actionSize A, at least 1
   * @param rewardGroups q, at least 1
   */
  public static ReplaySchema standard(
      int stateSize, int actionSize, int rewardGroups, Map<String, String> metadata) {
    return new ReplaySchema(
        List.of(
            new Column(STATE, stateSize),
            new Column(ACTION, actionSize),
            new Column(BASELINE_ACTION, actionSize),
            new Column(BOX_LOW, actionSize),
            new Column(BOX_HIGH, actionSize),
            new Column(REWARD, rewardGroups),
            new Column(LOG_DENSITY, 1)),
        metadata);
  }

  /** This schema with further columns at the end of the row. */
  public ReplaySchema with(Column... more) {
    List<Column> all = new ArrayList<>(columns);
    Collections.addAll(all, more);
    return new ReplaySchema(all, metadata);
  }

  /** Number of float32 values of a row, all columns together. */
  public int rowWidth() {
    return columns.stream().mapToInt(Column::width).sum();
  }

  /** Index of a column, or -1 if there is none of that name. */
  public int find(String name) {
    for (int i = 0; i < columns.size(); i++) {
      if (columns.get(i).name().equals(name)) {
        return i;
      }
    }
    return -1;
  }

  /**
   * Index of a column.
   *
   * @throws ReplayException naming the columns that there are, if there is none of that name
   */
  public int columnIndex(String name) {
    int index = find(name);
    if (index < 0) {
      throw new ReplayException("no column '" + name + "' in this replay; it has " + columns);
    }
    return index;
  }

  /** Where a column's values start within a row. */
  public int rowOffset(int column) {
    return columns.subList(0, column).stream().mapToInt(Column::width).sum();
  }

  /** Smallest action value that the data may hold. */
  public float actionLow() {
    return number(ACTION_LOW_KEY, -1);
  }

  /** Largest action value that the data may hold. */
  public float actionHigh() {
    return number(ACTION_HIGH_KEY, 1);
  }

  /** Whether actions were drawn inside their box, so that one outside is a defect. */
  public boolean boxCheck() {
    String value = metadata.getOrDefault(BOX_CHECK_KEY, "on");
    if (!value.equals("on") && !value.equals("off")) {
      throw new ReplayException(
          "metadata '" + BOX_CHECK_KEY + "' is '" + value + "': expected 'on' or 'off'");
    }
    return value.equals("on");
  }

  /**
   * Refuses what a file could not give back: more columns, names or metadata than the reader takes
   * from a file that it does not trust, and metadata that makes no sense.
   */
  void checkWritable() {
    checkMetadata();
    if (columns.size() + FIXED.size() > MAX_COLUMNS) {
      throw new ReplayException(
          "the schema has "
              + columns.size()
              + " columns: expected at most "
              + (MAX_COLUMNS - FIXED.size())
              + "; give columns of one kind a width instead");
    }
    long names = columns.stream().mapToLong(column -> utf8Length(column.name())).sum();
    if (names > MAX_NAME_BYTES) {
      throw new ReplayException(
          "the column names have " + names + " bytes: expected at most " + MAX_NAME_BYTES);
    }
    long bytes = 0;
    for (Map.Entry<String, String> entry : metadata.entrySet()) {
      bytes += utf8Length(entry.getKey()) + utf8Length(entry.getValue());
    }
    if (metadata.size() > MAX_METADATA_ENTRIES || bytes > MAX_WRITTEN_METADATA_BYTES) {
      throw new ReplayException(
          "the metadata has "
              + metadata.size()
              + " entries of "
              + bytes
              + " bytes: expected at most "
              + MAX_METADATA_ENTRIES
              + " and "
              + MAX_WRITTEN_METADATA_BYTES
              + "; keep larger texts in a file of their own");
    }
  }

  private static long utf8Length(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  /** Refuses metadata that has a meaning here and does not make sense. */
  void checkMetadata() {
    if (!(actionLow() < actionHigh())) {
      throw new ReplayException(
          "metadata gives the action range ["
              + actionLow()
              + ", "
              + actionHigh()
              + "]: expected low < high");
    }
    boxCheck();
  }

  private float number(String key, float fallback) {
    String text = metadata.get(key);
    if (text == null) {
      return fallback;
    }
    float value = Float.NaN;
    try {
      value = Float.parseFloat(text);
    } catch (NumberFormatException e) {
      // Reported below together with numbers that are not finite.
    }
    if (!Float.isFinite(value)) {
      throw new ReplayException("metadata '" + key + "' is '" + text + "': expected a number");
    }
    return value;
  }

  /** Name and place of one value of a row, for messages: {@code column 'state'[3]}. */
  String describeRowIndex(int index) {
    int start = 0;
    for (Column column : columns) {
      if (index < start + column.width()) {
        return "column '" + column.name() + "'[" + (index - start) + "]";
      }
      start += column.width();
    }
    throw new IndexOutOfBoundsException(index);
  }
}
