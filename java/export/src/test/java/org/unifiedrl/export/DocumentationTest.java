package org.unifiedrl.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.PythonScript;
import org.unifiedrl.engine.checkpoint.Safetensors;
import org.unifiedrl.engine.checkpoint.Tensor;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.serving.FusionPolicy;
import org.unifiedrl.mtf.serving.Models;
import org.unifiedrl.mtf.serving.PolicyModel;

/** The blocks of docs/export.md, run as they stand there, beside what the JVM computes. */
class DocumentationTest {

  private static final Path ROOT = Path.of(System.getProperty("unifiedrl.root"));
  private static final int ROWS = 32;
  private static final int CANDIDATES = 20;

  @TempDir Path temporary;

  /** An exported policy, its inputs, and what the JVM makes of them. */
  private record Case(Path folder, Map<String, Tensor> values) {

    float[] floats(String name) {
      return values.get(name).toFloats();
    }
  }

  private Case export(ServedPolicy kind) {
    Models.Made made = Models.of(kind, 1, 6, 3, 32, 32);
    PolicyModel model = made.model();
    Policy policy = kind.of(made.networks()).get();
    Path folder = temporary.resolve(kind.name());
    float[] checked = PolicyExport.drawStates(model, 1);
    PolicyExport.write(model, policy, checked, 1, JsonNodeFactory.instance.objectNode(), folder);
    Random random = new Random(2);
    int s = model.stateSize();
    int k = model.scores();
    int a = model.actionSize();
    float[] states = Arrays.copyOf(checked, ROWS * s);
    float[] scores = new float[ROWS * k * CANDIDATES];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = random.nextFloat();
    }
    boolean pairs = kind == ServedPolicy.PAIR_ACTOR;
    int perRequest = pairs ? CANDIDATES : 1;
    float[] rows = pairs ? pairs(states, scores, s, k) : states;
    float[] actions = new float[ROWS * perRequest * a];
    policy.act(rows, ROWS * perRequest, actions);
    float[] fused = new float[ROWS * CANDIDATES];
    float[] one = new float[CANDIDATES];
    Fusion fusion = new Fusion(model.actionMap());
    for (int row = 0; row < ROWS; row++) {
      int at = row * k * CANDIDATES;
      if (pairs) {
        fusion.fuseEach(scores, at, CANDIDATES, CANDIDATES, actions, row * CANDIDATES * a, one);
      } else {
        fusion.fuse(scores, at, CANDIDATES, CANDIDATES, actions, row * a, one);
      }
      System.arraycopy(one, 0, fused, row * CANDIDATES, CANDIDATES);
    }
    Map<String, Tensor> values = new LinkedHashMap<>();
    values.put("state", Tensor.of(states, ROWS, s));
    values.put("scores", Tensor.of(scores, ROWS, k, CANDIDATES));
    values.put("rows", Tensor.of(rows, actions.length / a, rows.length * a / actions.length));
    values.put("action", Tensor.of(actions, actions.length / a, a));
    values.put("score", Tensor.of(fused, ROWS, CANDIDATES));
    Safetensors.write(folder.resolveSibling(kind + ".safetensors"), values, Map.of());
    return new Case(folder, values);
  }

  private static float[] pairs(float[] states, float[] scores, int s, int k) {
    float[] pairs = new float[ROWS * CANDIDATES * (s + k)];
    for (int pair = 0; pair < ROWS * CANDIDATES; pair++) {
      int row = pair / CANDIDATES;
      System.arraycopy(states, row * s, pairs, pair * (s + k), s);
      for (int i = 0; i < k; i++) {
        pairs[pair * (s + k) + s + i] = scores[(row * k + i) * CANDIDATES + pair % CANDIDATES];
      }
    }
    return pairs;
  }

  /** Fenced blocks of a language. */
  private static List<String> blocks(String language) throws IOException {
    String text = Files.readString(ROOT.resolve("docs/export.md"));
    Matcher matcher =
        Pattern.compile("```" + language + "\n(.*?)```", Pattern.DOTALL).matcher(text);
    List<String> blocks = new ArrayList<>();
    while (matcher.find()) {
      blocks.add(matcher.group(1));
    }
    return blocks;
  }

  private static String python(int block, Case exported) throws IOException {
    return "import numpy\nfrom safetensors.numpy import load_file\n"
        + "expected = load_file(sys.argv[1])\nstate, scores = expected['state'], expected['scores']\n"
        + blocks("python").get(block).replace("runs/export", exported.folder().toString())
        + "\n";
  }

  private static Path expected(Case exported) {
    Path folder = exported.folder();
    return folder.resolveSibling(folder.getFileName() + ".safetensors");
  }

  @Test
  void numpyComputesTheActionsFromTheWeights() throws IOException, InterruptedException {
    for (ServedPolicy kind : ServedPolicy.values()) {
      Case exported = export(kind);
      PythonScript.run(
          "import numpy, safetensors",
          python(1, exported)
              + """
              action = act(expected['rows'])
              assert action.shape == expected['action'].shape, action.shape
              assert numpy.ptp(action, axis=0).min() > 1e-3, 'it depends on the state'
              worst = numpy.abs(action - expected['action']).max()
              assert worst < 1e-5, worst
              power, bias = powers_and_biases(action)
              if about['kind'] != 'pair_actor':
                  terms = power[:, :, None] * numpy.log(scores + bias[:, :, None])
                  worst = numpy.abs(terms.sum(axis=1) - expected['score']).max()
                  assert worst < 1e-4, worst
              assert about['score_names'] == '["score_0","score_1","score_2"]', about
              """,
          expected(exported));
    }
  }

  @Test
  void onnxruntimeRanksInPython() throws IOException, InterruptedException {
    for (ServedPolicy kind : ServedPolicy.values()) {
      Case exported = export(kind);
      PythonScript.run(
          "import numpy, onnxruntime, safetensors",
          python(0, exported)
              + """
              worst = numpy.abs(score - expected['score']).max()
              assert worst < 1e-4, worst
              order = numpy.argsort(-score, axis=1, kind='stable')[:, :10]
              assert (top == order).all(), top
              """,
          expected(exported));
    }
  }

  /** ONNX's own checker and its evaluator in numpy, which share no code with onnxruntime. */
  @Test
  void onnxItselfAcceptsAndEvaluatesTheGraphs() throws IOException, InterruptedException {
    for (ServedPolicy kind : ServedPolicy.values()) {
      Case exported = export(kind);
      PythonScript.run(
          "import numpy, onnx.reference, safetensors",
          """
          import numpy, onnx, onnx.reference
          from safetensors.numpy import load_file
          expected = load_file(sys.argv[1])
          def load(name):
              model = onnx.load(sys.argv[2] + '/' + name)
              onnx.checker.check_model(model, full_check=True)
              assert [(o.domain, o.version) for o in model.opset_import] == [('', 17)]
              assert model.ir_version == 8
              return model
          actor, ranker = load('actor.onnx'), load('ranker.onnx')
          action, power, bias = onnx.reference.ReferenceEvaluator(actor).run(
              None, {'state': expected['rows']})
          worst = numpy.abs(action - expected['action']).max()
          assert worst < 1e-5, worst
          score, top = onnx.reference.ReferenceEvaluator(ranker).run(None, {
              'state': expected['state'], 'scores': expected['scores'], 'count': numpy.array([3])})
          worst = numpy.abs(score - expected['score']).max()
          assert worst < 1e-4, worst
          assert (top == numpy.argsort(-score, axis=1, kind='stable')[:, :3]).all(), top
          """,
          expected(exported),
          exported.folder());
    }
  }

  private record Ranking(float[][] score, long[][] top) {}

  private static int[] serve(
      Path folder, long requestId, float[] state, float[] predicted, int candidates) {
    FusionPolicy policy = FusionPolicy.open(folder); // swapped with swap(); see its Javadoc
    FusionPolicy.Request request = policy.request(); // one a thread
    int shown = request.begin(requestId).features(state).rank(predicted, candidates, 10);
    return Arrays.copyOf(request.page(), shown);
  }

  private static Ranking rank(Path folder, float[][] states, float[][][] predicted)
      throws OrtException {
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession ranker = environment.createSession(folder.resolve("ranker.onnx").toString());
        OnnxTensor state = OnnxTensor.createTensor(environment, states); // float[N][S]
        OnnxTensor scores = OnnxTensor.createTensor(environment, predicted); // float[N][k][C]
        OnnxTensor count = OnnxTensor.createTensor(environment, new long[] {10});
        OrtSession.Result result =
            ranker.run(Map.of("state", state, "scores", scores, "count", count))) {
      float[][] score = (float[][]) result.get("score").orElseThrow().getValue();
      long[][] top = (long[][]) result.get("top").orElseThrow().getValue();
      return new Ranking(score, top);
    }
  }

  @Test
  void fusionPolicyAndOnnxruntimeRankInJava() throws IOException, OrtException {
    String source =
        Files.readString(
            ROOT.resolve("java/export/src/test/java/org/unifiedrl/export/DocumentationTest.java"));
    for (String block : blocks("java")) {
      String indented = block.lines().map(line -> "    " + line).collect(Collectors.joining("\n"));
      assertThat(source).as("docs/export.md has the text of serve() and rank()").contains(indented);
    }
    assertThat(blocks("java")).hasSize(2);

    Case exported = export(ServedPolicy.ACTOR);
    float[] states = exported.floats("state");
    float[] scores = exported.floats("scores");
    float[][] state = {Arrays.copyOf(states, 6)};
    float[][] predicted = new float[3][];
    for (int i = 0; i < 3; i++) {
      predicted[i] = Arrays.copyOfRange(scores, i * CANDIDATES, (i + 1) * CANDIDATES);
    }
    Ranking ranking = rank(exported.folder(), state, new float[][][] {predicted});
    float[] fused = Arrays.copyOf(exported.floats("score"), CANDIDATES);
    assertThat(ranking.score()[0]).containsExactly(fused, within(1e-4f));
    int[] page = new int[10];
    Fusion.top(ranking.score()[0], CANDIDATES, 10, page);
    assertThat(ranking.top()[0]).containsExactly(Arrays.stream(page).asLongStream().toArray());
    assertThat(
            serve(
                exported.folder(), 1, state[0], Arrays.copyOf(scores, 3 * CANDIDATES), CANDIDATES))
        .containsExactly(page);
  }
}
