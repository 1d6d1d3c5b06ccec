package org.unifiedrl.export;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.unifiedrl.export.OnnxGraph.Attribute;
import org.unifiedrl.export.OnnxGraph.Element;
import org.unifiedrl.export.OnnxGraph.Value;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.fusion.Fusion;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.serving.PolicyModel.Decoding;
import org.unifiedrl.mtf.serving.PolicyModel.Kind;
import org.unifiedrl.mtf.serving.PolicyModel.Layer;
import org.unifiedrl.mtf.serving.PolicyModel.Network;

/**
 * A policy as ONNX graphs of raw features: what {@code MlpPolicy}, {@code ActionMap} and {@code
 * Fusion} compute, in float32.
 *
 * <p>A first layer of several inputs (state and scores, state and latents) is a sum of products,
 * one an input, so that what is the same for all rows of a request is multiplied once and nothing
 * is repeated.
 */
final class PolicyGraphs {

  static final String STATE = "state";
  static final String SCORES = "scores";
  static final String COUNT = "count";
  static final String ACTION = "action";
  static final String POWER = "power";
  static final String BIAS = "bias";
  static final String SCORE = "score";
  static final String TOP = "top";

  private static final String REQUESTS = "requests";
  private static final String CANDIDATES = "candidates";

  private static final ObjectMapper JSON = new ObjectMapper();

  private final PolicyModel model;
  private final OnnxGraph graph;

  /** What a layer takes: already normalised, [..., rows, width]. */
  private record Part(String name, Value value, int width) {}

  private PolicyGraphs(PolicyModel model, String name, String description) {
    this.model = model;
    this.graph = new OnnxGraph(name, description);
  }

  /**
   * From states to actions: {@code state} [N, S] to {@code action} [N, A], {@code power} [N, k] and
   * {@code bias} [N, k]. A row of {@link Kind#PAIR_ACTOR} is a pair, its state followed by the
   * candidate's k scores.
   */
  static OnnxGraph actor(PolicyModel model) {
    boolean pairs = model.kind() == Kind.PAIR_ACTOR;
    PolicyGraphs policy =
        new PolicyGraphs(
            model,
            "actor",
            pairs
                ? "State and scores of (user, candidate) pairs to actions, fusion powers and biases"
                : "States of requests to actions, fusion powers and biases");
    policy.buildActor(pairs ? "pairs" : REQUESTS);
    return policy.graph;
  }

  /**
   * From states and predicted scores to a ranking: {@code state} [N, S], {@code scores} [N, k, C]
   * and {@code count} [1] to {@code score} [N, C] and {@code top} [N, min(count, C)].
   */
  static OnnxGraph ranker(PolicyModel model) {
    PolicyGraphs policy =
        new PolicyGraphs(
            model,
            "ranker",
            "States of requests and predicted scores of their candidates to fused scores (in log"
                + " space) and the best candidates");
    policy.buildRanker();
    return policy.graph;
  }

  private void buildActor(String rows) {
    int width = model.shift().length;
    Value state = graph.input(STATE, Element.FLOAT, rows, text(width));
    Value action = action(normalised(new Part(STATE, state, width), 0));
    List<Value> halves = powersAndBiases(action);
    graph.output(action, Element.FLOAT, rows, text(model.actionSize()));
    graph.output(halves.get(0), Element.FLOAT, rows, text(model.scores()));
    graph.output(halves.get(1), Element.FLOAT, rows, text(model.scores()));
  }

  private void buildRanker() {
    int k = model.scores();
    Value raw = graph.input(STATE, Element.FLOAT, REQUESTS, text(model.stateSize()));
    Value scores = graph.input(SCORES, Element.FLOAT, REQUESTS, text(k), CANDIDATES);
    Value count = graph.input(COUNT, Element.INT64, "1");
    Part state = normalised(new Part(STATE, raw, model.stateSize()), 0);
    Value ofCandidates;
    List<Value> halves;
    int axis; // of the scores
    if (model.kind() == Kind.PAIR_ACTOR) {
      ofCandidates =
          graph.node(
              "Transpose", "candidate_scores", List.of(new Attribute("perm", 0, 2, 1)), scores);
      Part pairs = normalised(new Part(SCORES, ofCandidates, k), state.width());
      halves =
          powersAndBiases(
              perceptron("actor", "Tanh", ACTION, rowOfEach(state), pairs)); // [N, C, k]
      axis = 2;
    } else {
      ofCandidates = scores;
      Value last = graph.integers("last_axis", 2);
      halves =
          powersAndBiases(action(state)).stream()
              .map(v -> graph.node("Unsqueeze", v.name() + ".of_all", v, last)) // [N, k, 1]
              .toList();
      axis = 1;
    }
    Value score = fused(ofCandidates, halves.get(0), halves.get(1), axis);
    graph.output(score, Element.FLOAT, REQUESTS, CANDIDATES);
    graph.output(top(scores, score, count), Element.INT64, REQUESTS, "shown");
  }

  /** [N, S] as [N, 1, S]: broadcast over the rows of a request. */
  private Part rowOfEach(Part state) {
    Value axis = graph.integers("row_axis", 1);
    return new Part(
        state.name(),
        graph.node("Unsqueeze", "state.of_request", state.value(), axis),
        state.width());
  }

  /** (x - shift) * scale, of the inputs from a position on. */
  private Part normalised(Part part, int from) {
    int to = from + part.width();
    Value shift =
        graph.constant(
            part.name() + ".shift", Arrays.copyOfRange(model.shift(), from, to), part.width());
    Value scale =
        graph.constant(
            part.name() + ".scale", Arrays.copyOfRange(model.scale(), from, to), part.width());
    Value centred = graph.node("Sub", part.name() + ".centred", part.value(), shift);
    Value value = graph.node("Mul", part.name() + ".normalised", centred, scale);
    return new Part(part.name(), value, part.width());
  }

  /** The action of normalised inputs: [N, A]. */
  private Value action(Part state) {
    return model.decoding().isPresent()
        ? bestOfDecoded(rowOfEach(state), model.decoding().get())
        : perceptron("actor", "Tanh", ACTION, state);
  }

  /** BCQ's: candidates are decoded from the latents, perturbed, cut and judged by the critic. */
  private Value bestOfDecoded(Part state, Decoding decoding) {
    int a = model.actionSize();
    Part latents =
        new Part(
            "latents",
            graph.constant(
                "latents", transposed(decoding), decoding.count(), decoding.latentSize()),
            decoding.latentSize());
    Value decoded = perceptron("decoder", "Tanh", "decoded", state, latents); // [N, count, A]
    Value direction =
        perceptron("perturbation", "Tanh", "direction", state, new Part("decoded", decoded, a));
    Value range = graph.constant("range", decoding.range(), a);
    Value moved = graph.node("Add", "moved", decoded, graph.node("Mul", "shift", direction, range));
    Value proposed =
        graph.node(
            "Clip", "proposed", moved, number("least_action", -1), number("largest_action", 1));
    Value value =
        perceptron("critic", null, "value", state, new Part("proposed", proposed, a)); // [N, n, 1]
    Value best =
        graph.node(
            "ArgMax",
            "best",
            List.of(new Attribute("axis", 1), new Attribute("keepdims", 0)),
            value); // [N, 1]: the value's own axis stays
    return graph.node("GatherND", ACTION, List.of(new Attribute("batch_dims", 1)), proposed, best);
  }

  /** [latent, count] as [count, latent]. */
  private static float[] transposed(Decoding decoding) {
    int width = decoding.latentSize();
    float[] rows = new float[decoding.latents().length];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = decoding.latents()[i % width * decoding.count() + i / width];
    }
    return rows;
  }

  /**
   * A network with ReLU between its layers.
   *
   * @param last what its last layer ends in, or null for nothing
   * @param parts its inputs, side by side
   */
  private Value perceptron(String name, String last, String output, Part... parts) {
    Network network = model.networks().get(name);
    int inputs = Arrays.stream(parts).mapToInt(Part::width).sum();
    if (inputs != network.inputs()) {
      throw new IllegalArgumentException(
          "network '%s' has %d inputs: expected %d".formatted(name, network.inputs(), inputs));
    }
    Value x = null;
    for (int l = 0; l < network.layers().size(); l++) {
      Layer layer = network.layers().get(l);
      String at = name + "." + l;
      Value product =
          l == 0
              ? products(at, layer, parts)
              : graph.node(
                  "MatMul", at + ".product", x, weight(at + ".weight", layer, 0, layer.inputs()));
      boolean isLast = l + 1 == network.layers().size();
      Value bias = graph.constant(at + ".bias", layer.bias(), layer.outputs());
      Value sum = graph.node("Add", isLast && last == null ? output : at + ".sum", product, bias);
      if (isLast) {
        return last == null ? sum : graph.node(last, output, sum);
      }
      x = graph.node("Relu", at + ".relu", sum);
    }
    throw new IllegalArgumentException("network '" + name + "' has no layers");
  }

  private Value products(String at, Layer layer, Part... parts) {
    Value sum = null;
    int from = 0;
    for (Part part : parts) {
      String of = parts.length == 1 ? "" : "." + part.name();
      Value weight = weight(at + ".weight" + of, layer, from, from + part.width());
      Value product = graph.node("MatMul", at + ".product" + of, part.value(), weight);
      sum = sum == null ? product : graph.node("Add", at + ".product.to" + of, sum, product);
      from += part.width();
    }
    return sum;
  }

  /** Rows of a layer's weights. */
  private Value weight(String name, Layer layer, int from, int to) {
    float[] rows = Arrays.copyOfRange(layer.weight(), from * layer.outputs(), to * layer.outputs());
    return graph.constant(name, rows, to - from, layer.outputs());
  }

  /** Powers and biases [..., k] of actions [..., 2 k]. */
  private List<Value> powersAndBiases(Value action) {
    int k = model.scores();
    ActionMap map = model.actionMap();
    float[] powerHalf = new float[k];
    float[] powerMiddle = new float[k];
    float[] biasHalf = new float[k];
    float[] biasMiddle = new float[k];
    for (int i = 0; i < k; i++) {
      powerHalf[i] = (float) ((map.powerHigh()[i] - map.powerLow()[i]) / 2);
      powerMiddle[i] = (float) ((map.powerHigh()[i] + map.powerLow()[i]) / 2);
      double low = Math.log(map.biasLow()[i]);
      double high = Math.log(map.biasHigh()[i]);
      biasHalf[i] = (float) ((high - low) / 2);
      biasMiddle[i] = (float) ((high + low) / 2);
    }
    List<Value> halves =
        graph.nodes(
            "Split",
            List.of("power_action", "bias_action"),
            List.of(new Attribute("axis", -1)),
            action,
            graph.integers("scores_each", k, k));
    Value power = affine(POWER, halves.get(0), powerHalf, powerMiddle);
    Value bias = graph.node("Exp", BIAS, affine("log_bias", halves.get(1), biasHalf, biasMiddle));
    return List.of(power, bias);
  }

  private Value affine(String name, Value x, float[] factor, float[] offset) {
    Value scaled =
        graph.node(
            "Mul", name + ".scaled", x, graph.constant(name + ".half", factor, factor.length));
    return graph.node("Add", name, scaled, graph.constant(name + ".middle", offset, offset.length));
  }

  /** SUM_i power_i ln(max(score_i + bias_i, 1e-6)) along the axis of the scores. */
  private Value fused(Value scores, Value power, Value bias, int axis) {
    Value sum = graph.node("Add", "biased_scores", scores, bias);
    Value positive = graph.node("Max", "positive_scores", sum, number("epsilon", Fusion.EPSILON));
    Value terms = graph.node("Mul", "terms", graph.node("Log", "log_scores", positive), power);
    return graph.node(
        "ReduceSum",
        SCORE,
        List.of(new Attribute("keepdims", 0)),
        terms,
        graph.integers("score_axis", axis));
  }

  /** The best candidates, those whose score is no number last; ties go to the lower index. */
  private Value top(Value scores, Value score, Value count) {
    Value missing = graph.node("IsNaN", "score.missing", score);
    Value least = number("least_score", Float.NEGATIVE_INFINITY);
    Value ordered = graph.node("Where", "score.ordered", missing, least, score);
    Value candidates =
        graph.node(
            "Shape",
            "candidates",
            List.of(new Attribute("start", 2), new Attribute("end", 3)),
            scores);
    Value limit = graph.node("Min", "shown_count", count, candidates);
    return graph.nodes("TopK", List.of("top_score", TOP), List.of(), ordered, limit).get(1);
  }

  private Value number(String name, float value) {
    return graph.constant(name, new float[] {value});
  }

  private static String text(int extent) {
    return Integer.toString(extent);
  }

  /** What readers of a graph need to know of it. */
  static Map<String, String> metadata(PolicyModel model) {
    return Map.of(
        "unifiedrl.version",
        model.version(),
        "unifiedrl.kind",
        model.kind().toString(),
        "unifiedrl.sha256",
        model.sha256(),
        "unifiedrl.state_names",
        json(model.stateNames()),
        "unifiedrl.score_names",
        json(model.scoreNames()));
  }

  private static String json(List<String> names) {
    return JSON.valueToTree(names).toString();
  }
}
