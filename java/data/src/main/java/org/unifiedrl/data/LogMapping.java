package org.unifiedrl.data;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.cfg.EnumFeature;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.format.DateTimeParseException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.unifiedrl.mtf.fusion.ActionMap;

/**
 * What the columns of a production log mean. One row of the log is one request.
 *
 * <p>Columns of vectors are named one by one, by patterns ({@code f_*}: every column that matches,
 * in the log's order), or as a list column with its length ({@code embedding[16]}).
 *
 * @param user column of the user: numbers stay as they are, anything else is hashed to 63 bits
 * @param time column of the request's time: a timestamp (one without time zone is UTC), or a number
 *     with {@code timeUnit}
 * @param timeUnit unit of times that are numbers; null for timestamps
 * @param session column of the session; null if sessions are cut where {@code sessionGap} passes
 * @param sessionGap time without a request of the user that ends a session, as {@code 30m}; null if
 *     there is a session column
 * @param order column of a request's place in its session, a number; null if requests go by time.
 *     Time must not go back in that order
 * @param request column that must differ from row to row; null for no such check
 * @param state columns of the state, S values in all
 * @param missing values by state column, or pattern of columns, that stand for a missing one; null
 *     to refuse rows with missing values
 * @param scores the predicted scores that are fused, in order, with the ranges of their powers and
 *     biases: k of them, and A is 2k
 * @param actionUnits what the logged actions, baseline actions and edges of boxes are
 * @param action columns of the action that was taken, A values: those of the powers, then those of
 *     the biases
 * @param baselineAction columns of the served policy's action, A values
 * @param box what the action was drawn from
 * @param logDensity column of the natural logarithm of the density that the action was drawn with;
 *     null for uniform exploration of the box
 * @param reward weights of behaviour columns by reward group: a group's reward is their weighted
 *     sum
 */
public record LogMapping(
    String user,
    String time,
    TimeUnit timeUnit,
    String session,
    String sessionGap,
    String order,
    String request,
    List<String> state,
    Map<String, Double> missing,
    Map<String, Score> scores,
    ActionUnits actionUnits,
    List<String> action,
    List<String> baselineAction,
    Box box,
    String logDensity,
    Map<String, Map<String, Double>> reward) {

  /** What logged actions are. */
  public enum ActionUnits {
    /** In [-1, 1], as {@link ActionMap} has them. */
    NORMALISED,
    /** The powers and biases themselves. */
    FUSION
  }

  /**
   * Ranges of one score in the fusion formula: what an action of -1 and of +1 stands for.
   *
   * @param power least and largest power
   * @param bias least and largest bias, above 0
   */
  public record Score(List<Double> power, List<Double> bias) {}

  /** Units of times that are numbers, since 1970-01-01 UTC. */
  public enum TimeUnit {
    SECONDS(1),
    MILLISECONDS(1),
    MICROSECONDS(1000),
    NANOSECONDS(1_000_000);

    /** Units in a millisecond, where that many are no fraction. */
    final long divide;

    TimeUnit(long divide) {
      this.divide = divide;
    }
  }

  /**
   * The box that an action was drawn from: around the baseline action, or with logged edges.
   *
   * @param halfWidth half width around the normalised baseline action, cut at -1 and 1
   * @param version column of the policy's version, where {@code halfWidths} go by it
   * @param halfWidths half width by version
   * @param low columns of the lower edges
   * @param high columns of the upper edges
   */
  public record Box(
      Double halfWidth,
      String version,
      Map<String, Double> halfWidths,
      List<String> low,
      List<String> high) {

    private void check() {
      boolean edges = low != null || high != null;
      boolean versions = version != null || halfWidths != null;
      if ((halfWidth != null ? 1 : 0) + (edges ? 1 : 0) + (versions ? 1 : 0) != 1) {
        throw new ImportException(
            "box: expected half_width, or version and half_widths, or low and high");
      }
      if (edges) {
        columns("box.low", low);
        columns("box.high", high);
      }
      if (halfWidth != null) {
        width("box.half_width", halfWidth);
      }
      if (versions) {
        column("box.version", version);
        if (halfWidths == null || halfWidths.isEmpty()) {
          throw new ImportException("box.half_widths is missing: expected VERSION: HALF_WIDTH");
        }
        halfWidths.forEach((name, width) -> width("box.half_widths." + name, width));
      }
    }
  }

  private static final YAMLMapper YAML =
      YAMLMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .enable(EnumFeature.WRITE_ENUMS_TO_LOWERCASE)
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .build();

  /** Largest mapping file, in bytes: it names columns, and holds no data. */
  private static final long MAX_BYTES = 1 << 20;

  public LogMapping {
    column("user", user);
    column("time", time);
    if ((session == null) == (sessionGap == null)) {
      throw new ImportException("expected session (a column) or session_gap (as 30m), one of them");
    }
    if (session != null) {
      column("session", session);
    } else {
      duration(sessionGap);
    }
    if (order != null) {
      column("order", order);
      if (session == null) {
        throw new ImportException("order is given without session: it is a place in a session");
      }
    }
    columns("state", state);
    missing = missing == null ? Map.of() : missing;
    missing.forEach((name, value) -> finite("missing." + name, value));
    if (scores == null || scores.isEmpty()) {
      throw new ImportException(
          "scores is missing: expected SCORE: {power: [LEAST, LARGEST], bias: [LEAST, LARGEST]} for"
              + " each predicted score that is fused");
    }
    map(scores);
    actionUnits = actionUnits == null ? ActionUnits.NORMALISED : actionUnits;
    columns("action", action);
    columns("baseline_action", baselineAction);
    if (box == null) {
      throw new ImportException(
          "box is missing: UnifiedRL needs to know what actions were drawn from; give half_width,"
              + " or version and half_widths, or the columns low and high");
    }
    box.check();
    if (reward == null || reward.isEmpty()) {
      throw new ImportException("reward is missing: expected GROUP: {COLUMN: WEIGHT}");
    }
    reward.forEach(LogMapping::checkGroup);
    if (logDensity != null && actionUnits == ActionUnits.FUSION) {
      throw new ImportException(
          "log_density is given and action_units is fusion: a density is of the normalised action;"
              + " normalise actions and densities in a query (--sql), or leave log_density out for"
              + " uniform exploration");
    }
  }

  /**
   * Reads a mapping from a YAML file.
   *
   * @throws ImportException if the file cannot be read, or is no mapping
   */
  public static LogMapping read(Path file) {
    try {
      if (Files.size(file) > MAX_BYTES) {
        throw new ImportException(
            file + " has more than " + MAX_BYTES + " bytes: expected a mapping");
      }
      String text = Files.readString(file);
      LogMapping mapping = text.isBlank() ? null : YAML.readValue(text, LogMapping.class);
      if (mapping == null) {
        throw new ImportException(file + " is empty: expected user: COLUMN and so on");
      }
      return mapping;
    } catch (JacksonException e) {
      if (e.getCause() instanceof ImportException own) {
        throw new ImportException(file + ": " + own.getMessage(), e);
      }
      String at = e.getLocation() == null ? "" : " line " + e.getLocation().getLineNr();
      throw new ImportException(file + at + ": " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new ImportException("cannot read the mapping " + file + ": " + e, e);
    }
  }

  /** The map between normalised actions and the powers and biases of the scores. */
  public ActionMap actionMap() {
    return map(scores);
  }

  private static ActionMap map(Map<String, Score> scores) {
    double[][] bounds = new double[4][scores.size()];
    int at = 0;
    for (Map.Entry<String, Score> entry : scores.entrySet()) {
      String place = "scores." + entry.getKey();
      Score score = entry.getValue();
      if (score == null) {
        throw new ImportException(place + " is empty: expected power and bias");
      }
      range(place + ".power", score.power(), bounds[0], bounds[1], at);
      range(place + ".bias", score.bias(), bounds[2], bounds[3], at);
      if (!(bounds[2][at] > 0)) {
        throw new ImportException(
            place + ".bias is " + score.bias() + ": expected a least bias above 0");
      }
      at++;
    }
    return new ActionMap(bounds[0], bounds[1], bounds[2], bounds[3]);
  }

  private static void range(String place, List<Double> range, double[] low, double[] high, int at) {
    if (range == null
        || range.size() != 2
        || range.get(0) == null
        || range.get(1) == null
        || !(range.get(0) < range.get(1))
        || Double.isInfinite(range.get(1) - range.get(0))) {
      throw new ImportException(place + " is " + range + ": expected [LEAST, LARGEST]");
    }
    low[at] = range.get(0);
    high[at] = range.get(1);
  }

  /** The time without a request that ends a session, in milliseconds; 0 with a session column. */
  long gapMillis() {
    return sessionGap == null ? 0 : duration(sessionGap);
  }

  private static long duration(String text) {
    try {
      long millis = Duration.parse("PT" + text.trim().toUpperCase(Locale.ROOT)).toMillis();
      if (millis > 0) {
        return millis;
      }
    } catch (DateTimeParseException | ArithmeticException e) {
      // Reported below, as a duration that is not positive.
    }
    throw new ImportException("session_gap is '" + text + "': expected a duration as 30m or 1h30m");
  }

  private static void checkGroup(String group, Map<String, Double> weights) {
    String place = "reward." + group;
    if (weights == null || weights.isEmpty()) {
      throw new ImportException(place + " is empty: expected COLUMN: WEIGHT");
    }
    weights.forEach((name, weight) -> finite(place + "." + name, weight));
  }

  private static void finite(String place, Double value) {
    if (value == null || !Double.isFinite(value)) {
      throw new ImportException(place + " is " + value + ": expected a number");
    }
  }

  private static void column(String place, String name) {
    if (name == null || name.isBlank()) {
      throw new ImportException(place + " is missing: expected the name of a column");
    }
  }

  private static void columns(String place, List<String> names) {
    if (names == null || names.isEmpty()) {
      throw new ImportException(place + " is missing: expected a list of columns");
    }
    names.forEach(name -> column(place, name));
  }

  /** Of a normalised action, whose range is 2 wide. */
  private static void width(String place, Double value) {
    if (value == null || !(value >= 1e-6 && value <= 2)) {
      throw new ImportException(place + " is " + value + ": expected 1e-6 to 2");
    }
  }
}
