package org.unifiedrl.mtf.evaluation;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.InferencePolicy;
import org.unifiedrl.engine.NativeReplay;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.NotFiniteException;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.engine.Section;

/**
 * Fitted Q evaluation (FQE) and its conservative form (specification 10 and 8.7): critics of the
 * judged policy are trained on the log by temporal differences ({@link FittedQProgram}), and the
 * policy's value is theirs at the first requests of sessions,
 *
 * <pre>
 *   V = mean over sessions of SUM_i Q_i(s_0, mu_e(s_0)):
 * </pre>
 *
 * the discounted return of a session. Unlike importance weights it follows the policy through whole
 * sessions at no price in variance; unlike them it is biased wherever the critics extrapolate,
 * which is why {@link BoxSupport} decides whether it may be used.
 *
 * <p>Every member of the ensemble is trained on a bootstrap resample of the units (each counts
 * Poisson(1) times), from other initial weights and with other batches. The spread of their values,
 * each at the starts of its own resample, is therefore that of the whole procedure, and the
 * interval is the estimate, the members' mean, plus or minus Student's t of it. Two policies are
 * judged with the same resamples, initial weights and batches: their difference is paired.
 *
 * <p>Rewards are divided by the standard deviation of their group's return, states and actions
 * standardised; the learning rate falls linearly to a tenth. One thread at a time.
 */
public final class FittedQEvaluation {

  /** Parts of a run between which the learning rate falls. */
  private static final int PARTS = 10;

  private static final double NORMAL_QUANTILE = 1.959963984540054;
  private static final int ROWS = 4096;

  /**
   * How critics are trained.
   *
   * @param members bootstrap resamples, each with critics of its own; at least 3
   * @param steps gradient steps of each
   * @param batch requests a step draws (B)
   * @param hidden hidden units of each layer
   * @param rate Adam's learning rate at first
   * @param targetRate share of the critics in their targets at every step, in (0, 1]
   * @param conservatism weight of the conservative term (alpha), in standard deviations of the
   *     return; 0 for plain FQE
   * @param sampledActions uniform actions a state in the conservative term, beside mu_e's
   */
  public record Settings(
      int members,
      long steps,
      int batch,
      List<Integer> hidden,
      double rate,
      double targetRate,
      double conservatism,
      int sampledActions) {

    /** Checks every range. */
    public Settings {
      hidden = List.copyOf(hidden);
      require("members", members, members >= 3, "at least 3, whose spread is the interval");
      require("steps", (double) steps, steps >= PARTS, "at least " + PARTS);
      require("batch", batch, batch >= 1, "at least 1");
      require("layers of hidden", hidden.size(), !hidden.isEmpty() && hidden.size() <= 6, "1 to 6");
      for (int units : hidden) {
        require("hidden", units, units >= 1, "at least 1 unit a layer");
      }
      require("rate", rate, rate > 0, "positive");
      require("target_rate", targetRate, targetRate > 0 && targetRate <= 1, "in (0, 1]");
      require("conservatism", conservatism, conservatism >= 0, "at least 0");
      require("sampled_actions", sampledActions, sampledActions >= 1, "at least 1");
    }

    private static void require(String key, double value, boolean valid, String expected) {
      if (!valid || !Double.isFinite(value)) {
        throw new IllegalArgumentException(
            "fitted_q." + key + " is " + value + ": expected " + expected);
      }
    }

    /** Five resamples of 2,000 steps of 256 requests; 64-64; a conservatism of 0.1. */
    public static Settings defaults() {
      return new Settings(5, 2_000, 256, List.of(64, 64), 1e-3, 0.01, 0.1, 10);
    }

    /** The same with another weight of the conservative term. */
    public Settings withConservatism(double alpha) {
      return new Settings(members, steps, batch, hidden, rate, targetRate, alpha, sampledActions);
    }
  }

  /**
   * A log of whole sessions in memory, in session order. Arrays are not copied.
   *
   * @param states row-major {@code [rows, stateSize]}
   * @param actions logged actions, {@code [rows, actionSize]}, each in [-1, 1]
   * @param rewards {@code [rows, groups]}
   * @param last whether a request is the last of its session; the last row's is
   * @param units unit of the bootstrap of each request: its session, or its user
   */
  public record Sessions(
      float[] states,
      int stateSize,
      float[] actions,
      int actionSize,
      float[] rewards,
      int groups,
      boolean[] last,
      long[] units) {

    /** Checks lengths. */
    public Sessions {
      int rows = last.length;
      if (rows == 0
          || !last[rows - 1]
          || units.length != rows
          || states.length != rows * stateSize
          || actions.length != rows * actionSize
          || rewards.length != rows * groups) {
        throw new IllegalArgumentException(
            rows
                + " flags, "
                + units.length
                + " units and "
                + states.length
                + ", "
                + actions.length
                + " and "
                + rewards.length
                + " numbers of states, actions and rewards: expected one of each per request, and"
                + " that the last one ends its session");
      }
    }

    int rows() {
      return last.length;
    }

    boolean first(int row) {
      return row == 0 || last[row - 1];
    }
  }

  /** Numbers that make a column's values standard: (x - shift) * scale. */
  private record Standard(float[] shift, float[] scale) {

    static Standard of(float[] values, int width) {
      int rows = values.length / width;
      float[] shift = new float[width];
      float[] scale = new float[width];
      for (int k = 0; k < width; k++) {
        double mean = 0;
        double squares = 0;
        for (int r = 0; r < rows; r++) {
          double difference = values[r * width + k] - mean;
          mean += difference / (r + 1);
          squares += difference * (values[r * width + k] - mean);
        }
        double deviation = Math.sqrt(squares / rows);
        shift[k] = (float) mean;
        scale[k] = deviation > 1e-6 * (1 + Math.abs(mean)) ? (float) (1 / deviation) : 1;
      }
      return new Standard(shift, scale);
    }
  }

  private final Settings settings;
  private final Sessions log;
  private final EngineOptions options;
  private final FittedQProgram step;
  private final Standard states;
  private final Standard actions;
  private final float[] rewardScale; // (groups)
  private final double[] scaledReturn; // (groups), where critics start

  /**
   * Prepares to judge policies by a log.
   *
   * @param discount gamma, in [0, 1)
   * @param options back end, threads, and the seed of everything
   */
  public FittedQEvaluation(
      Settings settings, double discount, Sessions log, EngineOptions options) {
    int widest = Math.max(log.stateSize(), Math.max(log.actionSize(), log.groups()));
    // A resample has a few rows more or less than the log; its columns are single buffers.
    long most = (long) (Integer.MAX_VALUE / 1.1) / ((long) widest * Float.BYTES);
    if (log.rows() > most) {
      throw new IllegalArgumentException(
          "fitted Q evaluation keeps the log in memory: "
              + log.rows()
              + " requests of "
              + widest
              + " numbers are too many; expected at most "
              + most);
    }
    this.settings = settings;
    this.log = log;
    this.options = options;
    step = new FittedQProgram(settings, discount, log.stateSize(), log.actionSize(), log.groups());
    states = Standard.of(log.states(), log.stateSize());
    actions = Standard.of(log.actions(), log.actionSize());
    float[] returns = log.rewards().clone();
    for (int r = log.rows() - 2; r >= 0; r--) {
      for (int i = 0; i < log.groups() && !log.last()[r]; i++) {
        returns[r * log.groups() + i] += (float) discount * returns[(r + 1) * log.groups() + i];
      }
    }
    Standard ofReturns = Standard.of(returns, log.groups());
    rewardScale = ofReturns.scale();
    scaledReturn = new double[log.groups()];
    Arrays.setAll(scaledReturn, i -> (double) ofReturns.shift()[i] * rewardScale[i]);
  }

  /**
   * What the ensemble says of one policy.
   *
   * @param atAll each member's value at the starts of all sessions
   * @param atOwn each member's value at those of its own resample
   * @param sessions sessions of the log
   * @param units units of the bootstrap
   * @param refusal why the estimate must not be used, if so
   */
  public record Judged(
      double[] atAll, double[] atOwn, long sessions, int units, Optional<String> refusal) {

    /** The estimate with its interval; it has no weights, so no effective sample size. */
    public OffPolicyEstimate estimate() {
      Interval value = interval(atAll, atOwn);
      return new OffPolicyEstimate(
          value.mean(),
          value.low(),
          value.high(),
          sessions,
          units,
          Double.NaN,
          Double.NaN,
          0,
          refusal);
    }

    /** How much more this policy is worth; not a number if either estimate is refused. */
    public Interval minus(Judged baseline) {
      if (refusal.isPresent() || baseline.refusal.isPresent()) {
        return new Interval(Double.NaN, Double.NaN, Double.NaN);
      }
      return interval(difference(atAll, baseline.atAll), difference(atOwn, baseline.atOwn));
    }

    private static double[] difference(double[] x, double[] y) {
      double[] difference = new double[x.length];
      Arrays.setAll(difference, j -> x[j] - y[j]);
      return difference;
    }

    private static Interval interval(double[] values, double[] resampled) {
      double value = Arrays.stream(values).average().orElseThrow();
      double mean = Arrays.stream(resampled).average().orElseThrow();
      double squares = Arrays.stream(resampled).map(x -> (x - mean) * (x - mean)).sum();
      int freedom = resampled.length - 1;
      double half = student(freedom) * Math.sqrt(squares / freedom);
      return new Interval(value, value - half, value + half);
    }
  }

  /**
   * The 97.5 % quantile of Student's t by Cornish and Fisher's expansion; 3 % low at 2, ever less.
   */
  private static double student(int freedom) {
    double z = NORMAL_QUANTILE;
    double z2 = z * z;
    double f = freedom;
    return z
        * (1
            + (z2 + 1) / (4 * f)
            + ((5 * z2 + 16) * z2 + 3) / (96 * f * f)
            + (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * f * f * f));
  }

  /**
   * Judges a policy.
   *
   * @param targets its actions in all states of the log, {@code [rows, actionSize]}
   * @param unsupported why the log cannot judge them, if so
   */
  public Judged judge(float[] targets, Optional<String> unsupported) {
    if (targets.length != log.actions().length) {
      throw new IllegalArgumentException(
          targets.length + " numbers of actions: expected " + log.actions().length);
    }
    double[] atAll = new double[settings.members()];
    double[] atOwn = new double[settings.members()];
    Set<Long> units = new HashSet<>();
    long sessions = 0;
    for (int r = 0; r < log.rows(); r++) {
      units.add(log.units()[r]);
      sessions += log.last()[r] ? 1 : 0;
    }
    Optional<String> refusal = unsupported;
    for (int j = 0; j < settings.members(); j++) {
      int[] counts = counts(j);
      try {
        double[] atStarts = train(targets, counts, j);
        mean(atStarts, counts, j, atAll, atOwn);
      } catch (NotFiniteException e) {
        Arrays.fill(atAll, Double.NaN);
        Arrays.fill(atOwn, Double.NaN);
        refusal =
            Optional.of(
                "fitted Q evaluation diverged: lower fitted_q.rate (" + e.getMessage() + ")");
        break;
      }
    }
    return new Judged(atAll, atOwn, sessions, units.size(), refusal);
  }

  /** How often each row counts in a member's resample: as often as its unit. */
  private int[] counts(int member) {
    int[] counts = new int[log.rows()];
    for (int r = 0; r < counts.length; r++) {
      double left = Philox.openDouble(Philox.bits(options.seed(), ~member, log.units()[r]));
      double probability = Math.exp(-1);
      while (left > probability) {
        left -= probability;
        probability /= ++counts[r];
      }
    }
    return counts;
  }

  private void mean(double[] atStarts, int[] counts, int j, double[] atAll, double[] atOwn) {
    long sessions = 0;
    long own = 0;
    for (int r = 0, start = 0; r < log.rows(); r++) {
      if (log.first(r)) {
        double value = atStarts[start++];
        sessions++;
        own += counts[r];
        atAll[j] += value;
        atOwn[j] += counts[r] * value;
      }
    }
    atAll[j] /= sessions;
    atOwn[j] /= own;
  }

  /** Trains one member's critics and gives their value at the start of each session. */
  private double[] train(float[] targets, int[] counts, int member) {
    EngineOptions own = options.withSeed(Philox.bits(options.seed(), 0, member));
    try (NativeReplay replay = resample(targets, counts);
        Engine engine = Engine.create(step.program, replay, own)) {
      engine.writeTensor(step.stateShift, states.shift());
      engine.writeTensor(step.stateScale, states.scale());
      engine.writeTensor(step.actionShift, actions.shift());
      engine.writeTensor(step.actionScale, actions.scale());
      engine.writeTensor(step.rewardScale, rewardScale);
      engine.initialise(step.critic, own.seed());
      double[] parameters = engine.readNetwork64(step.critic, Section.PARAMETERS);
      // The last values are the outputs' biases, one a group.
      System.arraycopy(scaledReturn, 0, parameters, parameters.length - log.groups(), log.groups());
      engine.writeNetwork64(step.critic, Section.PARAMETERS, parameters);
      engine.copyParameters(step.critic, step.targetCritic);
      for (int part = 0; part < PARTS; part++) {
        engine.setHyper(step.rate, settings.rate() * (PARTS - part) / PARTS);
        engine.run(settings.steps() * (part + 1) / PARTS - settings.steps() * part / PARTS);
      }
      return values(engine.readNetwork64(step.critic, Section.PARAMETERS), targets);
    }
  }

  private NativeReplay resample(float[] targets, int[] counts) {
    int rows = Arrays.stream(counts).sum();
    if (rows == 0) {
      throw new IllegalArgumentException(
          log.rows() + " requests are too few units to resample; more users are needed");
    }
    int[] widths = {log.stateSize(), log.actionSize(), log.actionSize(), log.groups()};
    float[][] sources = {log.states(), log.actions(), targets, log.rewards()};
    ByteBuffer[] columns = new ByteBuffer[widths.length];
    for (int c = 0; c < widths.length; c++) {
      columns[c] =
          ByteBuffer.allocateDirect(Math.multiplyExact(rows, widths[c] * Float.BYTES))
              .order(ByteOrder.nativeOrder());
    }
    ByteBuffer last = ByteBuffer.allocateDirect(rows);
    for (int r = 0; r < log.rows(); ) {
      int end = r;
      while (!log.last()[end]) {
        end++;
      }
      // Whole sessions are repeated, so that the row after each is still its next request.
      for (int copy = 0; copy < counts[r]; copy++) {
        for (int c = 0; c < widths.length; c++) {
          int from = r * widths[c];
          int length = (end + 1 - r) * widths[c];
          columns[c].asFloatBuffer().put(sources[c], from, length);
          columns[c].position(columns[c].position() + length * Float.BYTES);
        }
        for (int i = r; i <= end; i++) {
          last.put((byte) (i == end ? 1 : 0));
        }
      }
      r = end + 1;
    }
    for (ByteBuffer column : columns) {
      column.clear();
    }
    return NativeReplay.ofMemory(widths, List.of(columns), last.clear());
  }

  /** SUM_i Q_i at the start of each session, in the rewards' own units. */
  private double[] values(double[] parameters, float[] targets) {
    int s = log.stateSize();
    int a = log.actionSize();
    float[] shift = Arrays.copyOf(states.shift(), s + a);
    float[] scale = Arrays.copyOf(states.scale(), s + a);
    System.arraycopy(actions.shift(), 0, shift, s, a);
    System.arraycopy(actions.scale(), 0, scale, s, a);
    int[] starts = new int[log.rows()];
    int count = 0;
    for (int r = 0; r < log.rows(); r++) {
      if (log.first(r)) {
        starts[count++] = r;
      }
    }
    double[] values = new double[count];
    int[] sizes = step.critic.sizes().stream().mapToInt(Integer::intValue).toArray();
    FloatBuffer x = Engine.directFloats((long) ROWS * (s + a));
    FloatBuffer q = Engine.directFloats(ROWS);
    for (int i = 0; i < log.groups(); i++) {
      float[] own = member(step.critic, parameters, i);
      try (InferencePolicy critic =
          InferencePolicy.create(sizes, Activation.LINEAR, own, shift, scale)) {
        for (int from = 0; from < count; from += ROWS) {
          int rows = Math.min(ROWS, count - from);
          for (int r = 0; r < rows; r++) {
            x.put(r * (s + a), log.states(), starts[from + r] * s, s);
            x.put(r * (s + a) + s, targets, starts[from + r] * a, a);
          }
          critic.run(x, rows, q);
          for (int r = 0; r < rows; r++) {
            values[from + r] += (double) q.get(r) / rewardScale[i];
          }
        }
      }
    }
    return values;
  }

  /** One member's parameters out of an ensemble's: layer by layer all weights, then all biases. */
  private static float[] member(NetworkRef network, double[] parameters, int member) {
    int members = network.members();
    float[] own = new float[parameters.length / members];
    int at = 0;
    int to = 0;
    for (int l = 1; l < network.sizes().size(); l++) {
      int out = network.sizes().get(l);
      for (int length : new int[] {network.sizes().get(l - 1) * out, out}) {
        for (int i = 0; i < length; i++) {
          own[to++] = (float) parameters[at + member * length + i];
        }
        at += members * length;
      }
    }
    return own;
  }
}
