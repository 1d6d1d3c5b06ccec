package org.unifiedrl.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.unifiedrl.mtf.exploration.Box;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.serving.PolicyModel.Layer;
import org.unifiedrl.mtf.serving.PolicyModel.Network;

/** What tests send to a service, and the models that they serve. */
final class Service {

  static final int STATES = 6;
  static final List<String> SCORES = List.of("watch", "like", "share");

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final HttpClient CLIENT =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  private Service() {}

  /** An answer. */
  record Answer(int status, Map<String, List<String>> headers, String text) {
    JsonNode json() {
      try {
        return JSON.readTree(text);
      } catch (IOException e) {
        throw new AssertionError("not JSON: " + text, e);
      }
    }

    String error(String key) {
      return json().path("error").path(key).asText();
    }
  }

  static PolicyModel model(long seed) {
    return model(PolicyModel.Kind.ACTOR, seed, STATES, SCORES, 16, 8);
  }

  static PolicyModel model(
      PolicyModel.Kind kind, long seed, int states, List<String> scores, int... hidden) {
    Random random = new Random(seed);
    int inputs = states + (kind == PolicyModel.Kind.PAIR_ACTOR ? scores.size() : 0);
    int actions = 2 * scores.size();
    int[] sizes = new int[hidden.length + 2];
    sizes[0] = inputs;
    System.arraycopy(hidden, 0, sizes, 1, hidden.length);
    sizes[hidden.length + 1] = actions;
    List<Layer> layers =
        IntStream.range(1, sizes.length)
            .mapToObj(
                l ->
                    new Layer(
                        sizes[l - 1],
                        sizes[l],
                        gaussian(random, sizes[l - 1] * sizes[l], 1 / Math.sqrt(sizes[l - 1])),
                        gaussian(random, sizes[l], 0.1)))
            .toList();
    float[] scale = new float[inputs];
    Arrays.fill(scale, 1);
    return new PolicyModel(
        kind,
        Map.of("actor", new Network(layers)),
        Optional.empty(),
        new float[inputs],
        scale,
        IntStream.range(0, states).mapToObj(i -> "f" + i).toList(),
        scores,
        new ActionMap(
            filled(scores.size(), 0),
            filled(scores.size(), 2),
            filled(scores.size(), 1e-3),
            filled(scores.size(), 1)),
        Optional.of(Box.symmetric(actions, 0.2f)),
        "seed-" + seed,
        Map.of());
  }

  private static double[] filled(int count, double value) {
    double[] values = new double[count];
    Arrays.fill(values, value);
    return values;
  }

  private static float[] gaussian(Random random, int count, double deviation) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (deviation * random.nextGaussian());
    }
    return values;
  }

  static ServeOptions options() {
    ServeOptions usual = ServeOptions.DEFAULT;
    return new ServeOptions(
        usual.host(),
        0,
        2,
        20_000,
        100,
        2048,
        Duration.ofMillis(600),
        Duration.ofSeconds(5),
        Duration.ofSeconds(5),
        Duration.ZERO,
        false,
        11);
  }

  static String numbers(float[] values) {
    return IntStream.range(0, values.length)
        .mapToObj(i -> Float.isNaN(values[i]) ? "null" : Float.toString(values[i]))
        .collect(Collectors.joining(",", "[", "]"));
  }

  /** The body of a request; {@code scores[i]} are those of score i. */
  static String body(long id, float[] features, float[][] scores, int k, String more) {
    String candidates =
        IntStream.range(0, scores.length)
            .mapToObj(i -> "\"" + SCORES.get(i) + "\":" + numbers(scores[i]))
            .collect(Collectors.joining(",", "{", "}"));
    return "{\"request_id\":%d,\"features\":%s,\"candidates\":%s,\"k\":%d%s}"
        .formatted(id, numbers(features), candidates, k, more);
  }

  static String body() {
    return body(
        1,
        new float[STATES],
        new float[][] {{0.1f, 0.5f, 0.3f}, {0.2f, 0.1f, 0.3f}, {0.9f, 0.5f, 0.2f}},
        2,
        "");
  }

  static Answer post(RankServer server, String path, String body) throws Exception {
    return send(
        HttpRequest.newBuilder(uri(server, path))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body)));
  }

  static Answer rank(RankServer server, String body) throws Exception {
    return post(server, "/v1/rank", body);
  }

  static Answer get(RankServer server, String path) throws Exception {
    return send(HttpRequest.newBuilder(uri(server, path)).GET());
  }

  static URI uri(RankServer server, String path) {
    InetSocketAddress address = server.address();
    return URI.create("http://" + address.getHostString() + ":" + address.getPort() + path);
  }

  static Answer send(HttpRequest.Builder request) throws Exception {
    HttpResponse<String> response =
        CLIENT.send(
            request.timeout(Duration.ofSeconds(20)).build(), HttpResponse.BodyHandlers.ofString());
    return new Answer(response.statusCode(), response.headers().map(), response.body());
  }

  static Socket connect(RankServer server) throws IOException {
    Socket socket = new Socket();
    socket.connect(server.address());
    socket.setSoTimeout(20_000);
    return socket;
  }

  /** Sends bytes as they are; returns all that comes until the service closes the connection. */
  static String raw(RankServer server, String text) throws IOException {
    try (Socket socket = connect(server)) {
      OutputStream out = socket.getOutputStream();
      out.write(text.getBytes(StandardCharsets.ISO_8859_1));
      out.flush();
      return all(socket);
    }
  }

  static String all(Socket socket) throws IOException {
    InputStream in = socket.getInputStream();
    return new String(in.readAllBytes(), StandardCharsets.UTF_8);
  }
}
