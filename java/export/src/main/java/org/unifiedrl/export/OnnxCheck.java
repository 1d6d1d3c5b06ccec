package org.unifiedrl.export;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import org.unifiedrl.export.OnnxGraph.Signature;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.serving.FusionPolicy;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.serving.PolicyModel.Kind;

/**
 * Runs written graphs in onnxruntime, and a written model in {@link FusionPolicy}, and compares
 * every output with what the trained policy, action map and fusion give for the same rows.
 *
 * <p>A difference may be {@value #TOLERANCE} of a scale, which is
 *
 * <ul>
 *   <li>1 for actions, which lie in [-1, 1];
 *   <li>the larger of 1 and the power itself for powers;
 *   <li>the bias itself for biases, which span decades and act by their ratio to a score;
 *   <li>the larger of 1 and {@code SUM_i |power_i ln(score_i + bias_i)|} for fused scores: a sum of
 *       terms of both signs is no more exact than its terms are.
 * </ul>
 *
 * <p>Both sides compute in float32 and add in different orders. A network's layers of some hundred
 * inputs leave 1e-7 to 5e-7 in an action; the map multiplies that by half its range of powers and
 * of log biases (about 1 and 5), and a logarithm of ours is within 2e-7: all well below 1e-5, while
 * a wrong weight, order or constant is far above it. Scores are drawn at 0 or above, so that with a
 * positive bias no logarithm is taken near its pole.
 *
 * <p>Of candidate actions whose values differ by less than the tolerance a policy of {@link
 * Kind#BEST_OF_DECODED} may serve either: rounding decides.
 *
 * <p>The order of the candidates is exact: it must be {@link Fusion#top} of the graph's own scores.
 */
final class OnnxCheck {

  /** Largest difference, relative to the scale of what is compared. */
  static final double TOLERANCE = 1e-5;

  /** Of the second call; the first has one request of one candidate. */
  private static final int CANDIDATES = 48;

  private static final int SHOWN = 10;

  private final PolicyModel model;
  private final Policy ours;
  private final float[] states;
  private final int rows;
  private final long seed;

  /** What one row should give at one output, and by what scale differences are judged. */
  private record Expected(String output, double[] values, double[] scales) {}

  /**
   * A check of a policy's graphs.
   *
   * @param ours the policy that the graphs must agree with
   * @param states raw features, row-major [rows, S], at least two rows
   * @param seed key of the draws of scores
   */
  OnnxCheck(PolicyModel model, Policy ours, float[] states, long seed) {
    this.model = model;
    this.ours = ours;
    this.states = states;
    this.seed = seed;
    rows = states.length / model.stateSize();
    if (rows < 2 || states.length % model.stateSize() != 0) {
      throw new ExportException(
          "a check needs at least 2 states of "
              + model.stateSize()
              + " features, found "
              + states.length
              + " values");
    }
    int expected = model.shift().length;
    if (ours.stateSize() != expected || ours.actionSize() != model.actionSize()) {
      throw new ExportException(
          "the policy has S=%d A=%d, but its model S=%d A=%d: they are not of one checkpoint"
              .formatted(ours.stateSize(), ours.actionSize(), expected, model.actionSize()));
    }
  }

  /** Number of states. */
  int rows() {
    return rows;
  }

  /** States within three deviations of the model's normalisation, row-major [rows, S]. */
  static float[] drawStates(PolicyModel model, int rows, long seed) {
    Random random = new Random(seed);
    int s = model.stateSize();
    float[] drawn = new float[rows * s];
    for (int i = 0; i < drawn.length; i++) {
      drawn[i] = feature(model, i % s, random);
    }
    return drawn;
  }

  private static float feature(PolicyModel model, int input, Random random) {
    double deviations = Math.max(-3, Math.min(3, random.nextGaussian()));
    return (float) (model.shift()[input] + deviations / model.scale()[input]);
  }

  /**
   * Checks {@link PolicyGraphs#actor}.
   *
   * @return largest differences found, by output; relative to their scales
   * @throws ExportException naming output, row and value of the first difference that is too large
   */
  Map<String, Double> actor(Path file) {
    OnnxGraph graph = PolicyGraphs.actor(model); // for what it should look like
    return run(
        file,
        graph,
        (session, largest) -> {
          int width = model.shift().length;
          float[] all = model.kind() == Kind.PAIR_ACTOR ? pairs(drawScores(1), 1) : states;
          for (int from = 0; from < rows; from = from == 0 ? 1 : rows) {
            int to = from == 0 ? 1 : rows;
            float[] x = Arrays.copyOfRange(all, from * width, to * width);
            float[] actions = new float[(to - from) * model.actionSize()];
            ours.act(x, to - from, actions);
            try (OnnxTensor state = tensor(x, to - from, width);
                OrtSession.Result outputs = session.run(Map.of(PolicyGraphs.STATE, state))) {
              Map<String, float[]> found = floats(outputs, graph);
              for (int row = from; row < to; row++) {
                int at = row - from;
                float[] action = actionOf(actions, at);
                compare(PolicyExport.ACTOR, largest, row, at, found, action, this::mapped);
              }
            }
          }
        });
  }

  /**
   * Checks {@link PolicyGraphs#ranker}.
   *
   * @return largest differences found, by output; relative to their scales
   * @throws ExportException naming output, row and value of the first difference that is too large
   */
  Map<String, Double> ranker(Path file) {
    OnnxGraph graph = PolicyGraphs.ranker(model);
    return run(
        file,
        graph,
        (session, largest) -> {
          rank(session, graph, largest, 0, 1, 1);
          rank(session, graph, largest, 1, rows, CANDIDATES);
        });
  }

  private void rank(
      OrtSession session,
      OnnxGraph graph,
      Map<String, Double> largest,
      int from,
      int to,
      int candidates)
      throws OrtException {
    int s = model.stateSize();
    int k = model.scores();
    int a = model.actionSize();
    int n = to - from;
    float[] scores = drawScores(candidates);
    boolean pairs = model.kind() == Kind.PAIR_ACTOR;
    float[] x = pairs ? pairs(scores, candidates) : states;
    float[] actions = new float[rows * a * (pairs ? candidates : 1)];
    ours.act(x, pairs ? rows * candidates : rows, actions);
    try (OnnxTensor state = tensor(Arrays.copyOfRange(states, from * s, to * s), n, s);
        OnnxTensor predicted =
            tensor(
                Arrays.copyOfRange(scores, from * k * candidates, to * k * candidates),
                n,
                k,
                candidates);
        OnnxTensor count = integer(SHOWN);
        OrtSession.Result outputs =
            session.run(
                Map.of(
                    PolicyGraphs.STATE,
                    state,
                    PolicyGraphs.SCORES,
                    predicted,
                    PolicyGraphs.COUNT,
                    count))) {
      Map<String, float[]> found = floats(outputs, graph);
      LongBuffer top = ((OnnxTensor) outputs.get(PolicyGraphs.TOP).orElseThrow()).getLongBuffer();
      for (int row = from; row < to; row++) {
        int at = row;
        float[] action =
            pairs
                ? Arrays.copyOfRange(actions, at * candidates * a, (at + 1) * candidates * a)
                : actionOf(actions, at);
        compare(
            PolicyExport.RANKER,
            largest,
            row,
            row - from,
            found,
            action,
            served -> List.of(fused(scores, at, candidates, served)));
        compareOrder(graph, row, found.get(PolicyGraphs.SCORE), row - from, candidates, top);
      }
    }
  }

  /**
   * Checks what the JVM serves from a written {@value PolicyModel#FILE}, on the same rows.
   *
   * @return largest differences found, by output; relative to their scales
   * @throws ExportException naming row and value of the first difference that is too large
   */
  Map<String, Double> served(Path file) {
    int k = model.scores();
    int a = model.actionSize();
    boolean pairs = model.kind() == Kind.PAIR_ACTOR;
    float[] scores = drawScores(CANDIDATES);
    float[] actions = new float[rows * a * (pairs ? CANDIDATES : 1)];
    ours.act(pairs ? pairs(scores, CANDIDATES) : states, actions.length / a, actions);
    Map<String, Double> largest = new LinkedHashMap<>();
    FusionPolicy.Request request = FusionPolicy.open(file).request();
    int s = model.stateSize();
    int own = actions.length / rows;
    for (int row = 0; row < rows; row++) {
      int at = row;
      request.begin(row).features(Arrays.copyOfRange(states, row * s, (row + 1) * s));
      request.rank(scores, row * k * CANDIDATES, CANDIDATES, CANDIDATES, SHOWN);
      compare(
          PolicyModel.FILE,
          largest,
          row,
          0,
          Map.of(PolicyGraphs.SCORE, request.fused()),
          Arrays.copyOfRange(actions, row * own, (row + 1) * own),
          action -> List.of(fused(scores, at, CANDIDATES, action)));
    }
    return largest;
  }

  /** What runs in a session. */
  private interface Body {
    void run(OrtSession session, Map<String, Double> largest) throws OrtException;
  }

  private static Map<String, Double> run(Path file, OnnxGraph graph, Body body) {
    Map<String, Double> largest = new LinkedHashMap<>();
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1);
      try (OrtSession session = environment.createSession(file.toString(), options)) {
        requireSignatures(graph, "input", graph.inputs(), session.getInputInfo());
        requireSignatures(graph, "output", graph.outputs(), session.getOutputInfo());
        body.run(session, largest);
      }
    } catch (OrtException e) {
      throw new ExportException(
          graph.name() + ".onnx does not run in onnxruntime: " + e.getMessage(), e);
    }
    return largest;
  }

  private static void requireSignatures(
      OnnxGraph graph, String what, List<Signature> expected, Map<String, NodeInfo> found) {
    List<String> names = expected.stream().map(Signature::name).toList();
    if (!found.keySet().equals(Set.copyOf(names))) {
      throw new ExportException(
          "%s.onnx has the %ss %s: expected %s"
              .formatted(graph.name(), what, found.keySet(), names));
    }
    for (Signature signature : expected) {
      NodeInfo info = found.get(signature.name());
      String wanted = signature.element() + " " + signature.extents();
      if (!(info.getInfo() instanceof TensorInfo tensor) || !fits(signature, tensor)) {
        throw new ExportException(
            "%s.onnx: %s '%s' is %s: expected %s"
                .formatted(graph.name(), what, signature.name(), info.getInfo(), wanted));
      }
    }
  }

  private static boolean fits(Signature signature, TensorInfo tensor) {
    long[] shape = tensor.getShape();
    boolean fits =
        tensor.type.name().equals(signature.element().name())
            && shape.length == signature.extents().size();
    for (int i = 0; fits && i < shape.length; i++) {
      String extent = signature.extents().get(i);
      // onnxruntime gives -1 for an extent that callers choose.
      fits = shape[i] == -1 ? !Character.isDigit(extent.charAt(0)) : extent.equals("" + shape[i]);
    }
    return fits;
  }

  /** Outputs of float32, row-major. */
  private static Map<String, float[]> floats(OrtSession.Result outputs, OnnxGraph graph) {
    Map<String, float[]> values = new LinkedHashMap<>();
    for (Signature output : graph.outputs()) {
      if (output.element() == OnnxGraph.Element.FLOAT) {
        FloatBuffer buffer =
            ((OnnxTensor) outputs.get(output.name()).orElseThrow()).getFloatBuffer();
        float[] array = new float[buffer.remaining()];
        buffer.get(array);
        values.put(output.name(), array);
      }
    }
    return values;
  }

  private static OnnxTensor tensor(float[] values, long... shape) throws OrtException {
    return OnnxTensor.createTensor(
        OrtEnvironment.getEnvironment(), FloatBuffer.wrap(values), shape);
  }

  private static OnnxTensor integer(long value) throws OrtException {
    return OnnxTensor.createTensor(
        OrtEnvironment.getEnvironment(), LongBuffer.wrap(new long[] {value}), new long[] {1});
  }

  /** Scores of all states' candidates, [rows, k, candidates], none below 0. */
  private float[] drawScores(int candidates) {
    Random random = new Random(seed + candidates);
    int k = model.scores();
    float[] scores = new float[rows * k * candidates];
    for (int i = 0; i < scores.length; i++) {
      int score = i / candidates % k;
      scores[i] =
          model.kind() == Kind.PAIR_ACTOR
              ? Math.max(0, feature(model, model.stateSize() + score, random)) // what it has seen
              : random.nextInt(16) == 0
                  ? 0
                  : (float) Math.pow(10, -6 + 8 * random.nextDouble()); // decades
    }
    return scores;
  }

  /** Each state with each of its candidates' scores, [rows * candidates, S + k]. */
  private float[] pairs(float[] scores, int candidates) {
    int s = model.stateSize();
    int k = model.scores();
    float[] pairs = new float[rows * candidates * (s + k)];
    int to = 0;
    for (int row = 0; row < rows; row++) {
      for (int c = 0; c < candidates; c++, to += s + k) {
        System.arraycopy(states, row * s, pairs, to, s);
        for (int i = 0; i < k; i++) {
          pairs[to + s + i] = scores[(row * k + i) * candidates + c];
        }
      }
    }
    return pairs;
  }

  private float[] actionOf(float[] actions, int row) {
    int a = model.actionSize();
    return Arrays.copyOfRange(actions, row * a, (row + 1) * a);
  }

  private List<Expected> mapped(float[] action) {
    ActionMap map = model.actionMap();
    int k = map.scores();
    double[] actions = new double[2 * k];
    double[] ones = new double[2 * k];
    Arrays.fill(ones, 1);
    double[] powers = new double[k];
    double[] powerScales = new double[k];
    double[] biases = new double[k];
    for (int i = 0; i < k; i++) {
      actions[i] = action[i];
      actions[k + i] = action[k + i];
      powers[i] = map.power(i, action[i]);
      powerScales[i] = Math.max(1, Math.abs(powers[i]));
      biases[i] = map.bias(i, action[k + i]);
    }
    return List.of(
        new Expected(PolicyGraphs.ACTION, actions, ones),
        new Expected(PolicyGraphs.POWER, powers, powerScales),
        new Expected(PolicyGraphs.BIAS, biases, biases));
  }

  /**
   * Fused scores of a row's candidates.
   *
   * @param actions one action, or one for each candidate
   */
  private Expected fused(float[] scores, int row, int candidates, float[] actions) {
    ActionMap map = model.actionMap();
    int k = map.scores();
    boolean each = actions.length > 2 * k;
    int offset = row * k * candidates;
    float[] fused = new float[candidates];
    Fusion fusion = new Fusion(map);
    if (each) {
      fusion.fuseEach(scores, offset, candidates, candidates, actions, 0, fused);
    } else {
      fusion.fuse(scores, offset, candidates, candidates, actions, 0, fused);
    }
    double[] values = new double[candidates];
    double[] scales = new double[candidates];
    for (int c = 0; c < candidates; c++) {
      values[c] = fused[c];
      int from = each ? c * 2 * k : 0;
      double terms = 0;
      for (int i = 0; i < k; i++) {
        double sum = scores[offset + i * candidates + c] + map.bias(i, actions[from + k + i]);
        terms +=
            Math.abs(map.power(i, actions[from + i]) * Math.log(Math.max(sum, Fusion.EPSILON)));
      }
      scales[c] = Math.max(1, terms);
    }
    return new Expected(PolicyGraphs.SCORE, values, scales);
  }

  /** A difference, relative to its scale. */
  private record Difference(String output, int column, double found, double expected, double size) {

    boolean isSmall() {
      return size <= TOLERANCE;
    }
  }

  /**
   * Compares a row with what our action gives; where that differs, and there are other actions of
   * equal value, with what these give.
   *
   * @param row in messages
   * @param at row among those found
   */
  private void compare(
      String file,
      Map<String, Double> largest,
      int row,
      int at,
      Map<String, float[]> found,
      float[] own,
      Function<float[], List<Expected>> ofAction) {
    List<Difference> nearest = differences(ofAction.apply(own), found, at);
    if (!isSmall(nearest)) {
      for (float[] action : equalsOf(own, row)) {
        List<Difference> each = differences(ofAction.apply(action), found, at);
        nearest = isSmall(each) ? each : nearest;
      }
    }
    for (Difference d : nearest) {
      if (!d.isSmall()) {
        throw new ExportException(
            ("%s disagrees with the trained policy: output '%s' of row %d, column %d is %s, and %s"
                    + " of the policy, a difference of %.1e of its scale (at most %.0e); the export"
                    + " or the library that ran it is wrong: report it, with the run folder")
                .formatted(
                    file,
                    d.output(),
                    row,
                    d.column(),
                    d.found(),
                    d.expected(),
                    d.size(),
                    TOLERANCE));
      }
      largest.merge(d.output(), d.size(), Math::max);
    }
  }

  /** Other actions that our policy might as well have served in a row. */
  private List<float[]> equalsOf(float[] own, int row) {
    if (model.kind() != Kind.BEST_OF_DECODED) {
      return List.of();
    }
    List<float[]> best =
        new DecodedCandidates(model).best(states, row * model.stateSize(), TOLERANCE);
    return best.stream().anyMatch(action -> isNear(action, own)) ? best : List.of();
  }

  private static boolean isNear(float[] a, float[] b) {
    for (int i = 0; i < a.length; i++) {
      if (Math.abs(a[i] - b[i]) > TOLERANCE) {
        return false;
      }
    }
    return true;
  }

  private static boolean isSmall(List<Difference> differences) {
    return differences.stream().allMatch(Difference::isSmall);
  }

  private static List<Difference> differences(
      List<Expected> expected, Map<String, float[]> found, int at) {
    return expected.stream().map(e -> largest(e, found.get(e.output()), at)).toList();
  }

  private static Difference largest(Expected expected, float[] found, int at) {
    int width = expected.values().length;
    Difference largest = null;
    for (int column = 0; column < width; column++) {
      float value = found[at * width + column];
      double wanted = expected.values()[column];
      double size = Math.abs(value - wanted) / expected.scales()[column];
      if (Double.isNaN(size)) {
        size = Double.POSITIVE_INFINITY;
      }
      if (largest == null || size > largest.size()) {
        largest = new Difference(expected.output(), column, value, wanted, size);
      }
    }
    return largest;
  }

  private static void compareOrder(
      OnnxGraph graph, int row, float[] scores, int at, int candidates, LongBuffer top) {
    float[] own = Arrays.copyOfRange(scores, at * candidates, (at + 1) * candidates);
    int[] page = new int[SHOWN];
    int shown = Fusion.top(own, candidates, SHOWN, page);
    for (int place = 0; place < shown; place++) {
      long found = top.get(at * shown + place);
      if (found != page[place]) {
        throw new ExportException(
            "%s.onnx orders otherwise than we do: output '%s' of row %d, place %d is candidate %d: expected %d"
                .formatted(graph.name(), PolicyGraphs.TOP, row, place, found, page[place]));
      }
    }
  }
}
