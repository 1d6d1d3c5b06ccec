package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.exploration.Box;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.policy.Policy;
import org.unifiedrl.mtf.serving.PolicyModel;

class ServeTest {

  @TempDir Path temporary;

  private static final HttpClient CLIENT = HttpClient.newHttpClient();

  /** A service in a JVM of its own. */
  private record Running(Process process, Path output, String address) implements AutoCloseable {

    static Running start(Path folder, String... options) throws Exception {
      Path output = folder.resolve("serve.out");
      Path json = folder.resolve("serve.json");
      List<String> arguments =
          new ArrayList<>(List.of("serve", "--port", "0", "--json", json.toString()));
      arguments.addAll(List.of(options));
      Process process = CommandLineRun.process(output, arguments.toArray(String[]::new));
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
      while (!Files.exists(json) && process.isAlive() && System.nanoTime() < end) {
        Thread.sleep(20);
      }
      assertThat(json).as(Files.readString(output)).exists();
      return new Running(
          process, output, Json.MAPPER.readTree(json.toFile()).path("address").asText());
    }

    JsonNode get(String path) throws Exception {
      return send(HttpRequest.newBuilder(URI.create(address + path)).GET());
    }

    JsonNode rank(JsonNode body) throws Exception {
      return send(
          HttpRequest.newBuilder(URI.create(address + "/v1/rank"))
              .header("Content-Type", "application/json")
              .POST(HttpRequest.BodyPublishers.ofString(body.toString())));
    }

    private static JsonNode send(HttpRequest.Builder request) throws Exception {
      HttpResponse<String> response =
          CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofString());
      assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
      return Json.MAPPER.readTree(response.body());
    }

    /** Sends SIGTERM and waits. */
    void end() throws InterruptedException {
      process.destroy();
      assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isZero();
    }

    @Override
    public void close() {
      process.destroyForcibly(); // of no effect after the end
    }
  }

  private static ObjectNode body(JsonNode model, long id, double feature) {
    ObjectNode body = Json.object();
    body.put("request_id", id);
    body.put("user", 3);
    body.put("k", 2);
    ArrayNode features = body.putArray("features");
    model.path("state_names").forEach(name -> features.add(feature));
    ObjectNode candidates = body.putObject("candidates");
    model.path("score_names").forEach(n -> candidates.putArray(n.asText()).add(0.2).add(0.5));
    return body;
  }

  /** What a run's checkpoint would do natively is what its service answers. */
  static void servesTheRun(Path run) throws IOException {
    Path folder = Files.createTempDirectory("unifiedrl-serve");
    try (Running service = Running.start(folder, "--model", run.toString())) {
      JsonNode model = service.get("/v1/model");
      JsonNode answer = service.rank(body(model, 1, 0.3));
      Policy policy = EngineAccess.learners().policy(run.resolve("checkpoints")).get();
      float[] state = new float[policy.stateSize()];
      java.util.Arrays.fill(state, 0.3f);
      float[] action = new float[policy.actionSize()];
      policy.act(state, 1, action);
      ActionMap map =
          ConfigOptions.open(Configuration.read(new RunFolder(run).config())).actionMap();
      for (int i = 0; i < map.scores(); i++) {
        String name = model.path("score_names").get(i).asText();
        assertThat(answer.path("powers").path(name).asDouble())
            .isCloseTo(map.power(i, action[i]), within(1e-4));
      }
      assertThat(model.path("version").asText()).matches("step-\\d+-[0-9a-f]{8}");
      assertThat(model.path("metadata").path("algorithm").asText()).isEqualTo("unifiedrl");
    } catch (IOException e) {
      throw e;
    } catch (Exception e) {
      throw new AssertionError(e);
    } finally {
      org.unifiedrl.engine.DurableFiles.deleteTree(folder);
    }
  }

  private static PolicyModel model() {
    float[] parameters = {0.5f, -0.5f, 0.1f, 0.2f, -0.3f, 0.4f, 0.05f, 0.1f, 0, 0, 0, 0};
    MlpPolicy.Weights actor =
        new MlpPolicy.Weights(new int[] {2, 4}, parameters, new float[2], new float[] {1, 1});
    return PolicyModel.of(
        ServedPolicy.ACTOR,
        name -> actor,
        List.of("age", "hour"),
        List.of("watch", "like"),
        new ActionMap(
            new double[2], new double[] {2, 2}, new double[] {0.1, 0.1}, new double[] {1, 1}),
        Optional.of(Box.symmetric(4, 0.2f)),
        "first",
        Map.of());
  }

  @Test
  void aServiceEndsAtSigtermWithItsLogWhole() throws Exception {
    Path file = temporary.resolve("model/policy.safetensors");
    model().write(file);
    Path log = temporary.resolve("log");
    try (Running service =
        Running.start(
            temporary,
            "--model",
            file.getParent().toString(),
            "--explore",
            "--log",
            log.toString(),
            "--seed",
            "9",
            "--poll",
            "0.05")) {
      assertThat(service.get("/ready").path("status").asText()).isEqualTo("ready");
      JsonNode model = service.get("/v1/model");
      for (int id = 0; id < 20; id++) {
        assertThat(service.rank(body(model, id, 0.1)).path("logged").asBoolean()).isTrue();
      }
      model().withVersion("second").write(file);
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
      while (!service.get("/v1/model").path("version").asText().equals("second")
          && System.nanoTime() < end) {
        Thread.sleep(20);
      }
      assertThat(service.rank(body(model, 20, 0.1)).path("model").asText()).isEqualTo("second");
      service.end();
      assertThat(Files.readString(service.output())).contains("Model first (actor)");
    }
    try (Stream<Path> parts = Files.list(log);
        Replay replay = Replay.open(parts.findFirst().orElseThrow())) {
      assertThat(replay.rows()).isEqualTo(21);
    }
  }

  @Test
  void whatCannotBeServedIsWrongUse() throws IOException {
    Path file = temporary.resolve("policy.safetensors");
    wrong("there is no such file or folder", "--model", file);
    wrong("holds no policy: give a policy.safetensors", "--model", temporary);
    Files.write(file, new byte[100]);
    wrong(file + " is damaged", "--model", file);
    model().write(file);
    wrong("--port is 70000: expected 0 to 65535", "--model", file, "--port", 70000);
    wrong("--threads is 0", "--model", file, "--threads", 0);
    wrong("--idle-timeout is PT0S", "--model", file, "--idle-timeout", 0);
    wrong("--log " + file, "--model", file, "--log", file);
    try (ServerSocket taken = new ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())) {
      wrong(
          "cannot listen on 127.0.0.1 port " + taken.getLocalPort(),
          "--model",
          file,
          "--port",
          taken.getLocalPort());
    }
  }

  private static void wrong(String message, Object... options) {
    Object[] arguments = new Object[options.length + 1];
    arguments[0] = "serve";
    System.arraycopy(options, 0, arguments, 1, options.length);
    CommandLineRun run = CommandLineRun.of(arguments);
    assertThat(run.code()).as(run.err()).isEqualTo(2);
    assertThat(run.err()).contains(message);
  }
}
