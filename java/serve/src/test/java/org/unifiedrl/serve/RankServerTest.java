package org.unifiedrl.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.mtf.serving.FusionPolicy;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.serving.ServingLog;

class RankServerTest {

  /** Of a request whose body of 100 bytes is still to come. */
  private static final String HEAD =
      String.join(
          "\r\n",
          "POST /v1/rank HTTP/1.1",
          "Host: a",
          "Content-Type: application/json",
          "Content-Length: 100",
          "",
          "");

  @TempDir Path folder;
  private Path file;
  private FusionPolicy policy;
  private RankServer server;

  @BeforeEach
  void start() {
    file = folder.resolve(PolicyModel.FILE);
    Service.model(1).write(file);
    policy = FusionPolicy.open(file);
    server = RankServer.start(policy, null, policy::reload, Service.options());
  }

  @AfterEach
  void stop() {
    server.close();
  }

  @Test
  void aPageIsWhatThePolicyPicks() throws Exception {
    Random random = new Random(3);
    FusionPolicy.Request alone = policy.request();
    for (int n = 0; n < 20; n++) {
      float[] features = floats(random, Service.STATES);
      int candidates = 1 + random.nextInt(100); // beyond what one answer's memory began with
      float[] flat = floats(random, 3 * candidates);
      float[][] scores = new float[3][candidates];
      for (int i = 0; i < 3; i++) {
        System.arraycopy(flat, i * candidates, scores[i], 0, candidates);
      }
      boolean explore = n % 2 == 1;
      String more = explore ? ",\"explore\":true" : "";
      Service.Answer answer =
          Service.rank(server, Service.body(1000 + n, features, scores, 7, more));
      assertThat(answer.status()).as(answer.text()).isEqualTo(200);

      alone.begin(1000 + n).features(features);
      if (explore) {
        alone.explore(11);
      }
      int shown = alone.rank(flat, candidates, 7);
      JsonNode json = answer.json();
      assertThat(json.path("request_id").asLong()).isEqualTo(1000 + n);
      assertThat(json.path("model").asText()).isEqualTo("seed-1");
      assertThat(json.path("page")).hasSize(shown);
      for (int i = 0; i < shown; i++) {
        assertThat(json.path("page").get(i).asInt()).isEqualTo(alone.page()[i]);
        assertThat((float) json.path("scores").get(i).asDouble())
            .isEqualTo(alone.fused()[alone.page()[i]]);
      }
      for (int i = 0; i < 3; i++) {
        String name = Service.SCORES.get(i);
        assertThat((float) json.path("powers").path(name).asDouble()).isEqualTo(alone.powers()[i]);
        assertThat((float) json.path("biases").path(name).asDouble()).isEqualTo(alone.biases()[i]);
      }
      assertThat(json.path("explored").asBoolean()).isEqualTo(explore);
      if (explore) {
        assertThat(json.path("log_density").asDouble()).isCloseTo(alone.logDensity(), within(1e-4));
      }
    }
  }

  private static float[] floats(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = random.nextFloat();
    }
    return values;
  }

  @Test
  void featuresMayComeByNameAndIdsAsText() throws Exception {
    JsonNode expected = Service.rank(server, Service.body()).json();
    Service.Answer answer =
        Service.rank(
            server,
            Service.body()
                .replace(
                    "[0.0,0.0,0.0,0.0,0.0,0.0]",
                    "{\"f5\":0,\"f1\":0,\"f0\":0,\"f2\":0,\"f3\":0,\"f4\":0}")
                .replace("\"request_id\":1,", "\"request_id\":\"9007199254740993\","));
    assertThat(answer.json().path("page")).isEqualTo(expected.path("page"));
    assertThat(answer.json().path("request_id").isTextual()).isTrue();
    assertThat(answer.json().path("request_id").asText()).isEqualTo("9007199254740993");
  }

  @Test
  void aMissingScoreKeepsACandidateOffThePage() throws Exception {
    Service.Answer answer =
        Service.rank(
            server,
            Service.body()
                .replace("[0.2,0.1,0.3]", "[0.2,null,0.3]")
                .replace("\"k\":2", "\"k\":3"));
    assertThat(answer.json().path("page")).hasSize(2);
    assertThat(answer.text()).doesNotContain("[1,", ",1,", ",1]");
  }

  @Test
  void badBodiesAreRefusedWithPlaceAndRemedy() throws Exception {
    String whole = Service.body();
    String features = "[0.0,0.0,0.0,0.0,0.0,0.0]";
    refused(
        whole.replace("[0.2,0.1,0.3]", "[0.2,\"x\",0.3]"), "candidates.like[1]", "the text 'x'");
    refused(whole.replace("[0.2,0.1,0.3]", "[0.2,1e39,0.3]"), "candidates.like[1]", "1e39");
    refused(whole.replace("[0.2,0.1,0.3]", "[0.2,0.1]"), "candidates.like", "has 2 scores");
    refused(whole.replace("[0.2,0.1,0.3]", "[0.2,[0.1],0.3]"), "candidates.like[1]", "an array");
    refused(whole.replace("[0.2,0.1,0.3]", "7"), "candidates.like", "is 7");
    refused(whole.replace("\"like\"", "\"dislike\""), "candidates.dislike", "has no score");
    refused(whole.replace("\"like\":[0.2,0.1,0.3],", ""), "candidates.like", "no scores 'like'");
    refused(
        whole
            .replace("[0.2,0.1,0.3]", "[]")
            .replace("[0.1,0.5,0.3]", "[]")
            .replace("[0.9,0.5,0.2]", "[]"),
        "candidates",
        "no candidates");
    refused(whole.replace(features, "[0,0,0,0,0]"), "features[5]", "has 5 numbers");
    refused(whole.replace(features, "[0,0,0,0,0,0,0]"), "features", "more than 6");
    refused(whole.replace(features, "[0,0,0,true,0,0]"), "features[3]", "is true");
    refused(whole.replace(features, "[0,0,0,null,0,0]"), "features[3]", "is null");
    refused(whole.replace(features, "{\"f0\":1}"), "features.f1", "no feature 'f1'");
    refused(whole.replace(features, "{\"f9\":1}"), "features.f9", "has no feature");
    refused(whole.replace(features, "\"f\""), "features", "the text 'f'");
    refused(whole.replace("\"request_id\":1", "\"request_id\":1.5"), "request_id", "1.5");
    refused(whole.replace("\"request_id\":1", "\"request_id\":\"a\""), "request_id", "text 'a'");
    refused(
        whole.replace("\"request_id\":1", "\"request_id\":9223372036854775808"),
        "request_id",
        "9223372036854775808");
    refused(whole.replace("\"request_id\":1,", ""), "request_id", "no 'request_id'");
    refused(whole.replace("\"k\":2", "\"k\":0"), "k", "k is 0");
    refused(whole.replace(",\"k\":2", ""), "k", "no 'k'");
    refused(whole.replace("\"k\":2", "\"k\":2,\"explore\":1"), "explore", "is 1");
    refused(whole.replace("\"k\":2", "\"k\":2,\"page\":3"), "page", "unknown key");
    refused(whole + "{}", "", "behind the JSON object");
    refused("[]", "", "the body is an array");
    refused("", "", "the body is nothing");
  }

  private void refused(String body, String place, String message) throws Exception {
    Service.Answer answer = Service.rank(server, body);
    assertThat(answer.status()).as(body + answer.text()).isEqualTo(400);
    assertThat(answer.error("code")).isEqualTo("invalid_request");
    assertThat(answer.error("place")).isEqualTo(place);
    assertThat(answer.error("message")).contains(message);
    assertThat(answer.error("remedy")).isNotEmpty();
  }

  @Test
  void whatIsNotJsonIsRefusedByLineAndColumn() throws Exception {
    for (String body :
        List.of(
            "{\"request_id\":1,\n\"k\" 2}",
            "{\"request_id\":1,\n\"k\":NaN}",
            "{\"request_id\":1,\n\"k\":2",
            "{\"request_id\":1,\n\"request_id\":2}",
            "\n<rank/>")) {
      Service.Answer answer = Service.rank(server, body);
      assertThat(answer.status()).as(body).isEqualTo(400);
      assertThat(answer.error("code")).isEqualTo("malformed_json");
      assertThat(answer.error("place")).matches("line 2, column \\d+");
      assertThat(answer.error("remedy")).isNotEmpty();
    }
    Service.Answer begun = Service.rank(server, "{\0\0\0x"); // like UTF-32, and is none
    assertThat(begun.status()).isEqualTo(400);
    assertThat(begun.error("code")).isEqualTo("malformed_json");
  }

  @Test
  void jsonThatIsTooDeepOrLongIsRefused() throws Exception {
    // Refused where it is deeper than it may be: what is inside is not read.
    refused(
        "{\"features\":" + "[".repeat(5000) + "]".repeat(5000) + "}", "features[0]", "an array");
    refused(
        "{\"other\":" + "{\"a\":".repeat(1000) + "1" + "}".repeat(1001), "other", "unknown key");
    for (String body :
        List.of(
            "{\"request_id\":" + "1".repeat(1000) + "}",
            "{\"" + "k".repeat(1000) + "\":1}",
            "{\"request_id\":\"" + "1".repeat(1000) + "\"}")) {
      Service.Answer answer = Service.rank(server, body);
      assertThat(answer.status()).as(answer.text()).isEqualTo(400);
      assertThat(answer.error("code")).isEqualTo("json_limit");
      assertThat(answer.error("place")).startsWith("line 1, column ");
      assertThat(answer.error("remedy")).contains("characters");
      assertThat(answer.text()).hasSizeLessThan(1000);
    }
  }

  @Test
  void bodiesAndCandidatesBeyondTheLimitsAreRefused() throws Exception {
    String large = Service.body().replace("\"k\":2", "\"k\":2" + " ".repeat(20_000));
    Service.Answer answer = Service.rank(server, large);
    assertThat(answer.status()).isEqualTo(413);
    assertThat(answer.error("code")).isEqualTo("body_too_large");
    assertThat(answer.error("remedy")).contains("--max-body");
    // Not announced: in chunks that do not end.
    String chunk = Integer.toHexString(3000) + "\r\n" + " ".repeat(3000) + "\r\n";
    String chunked =
        Service.raw(
            server,
            "POST /v1/rank HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n"
                + chunk.repeat(7));
    assertThat(chunked).startsWith("HTTP/1.1 413").contains("body_too_large");
    // As large as it may be.
    String largest = Service.body();
    largest = largest + " ".repeat(20_000 - largest.length());
    assertThat(Service.rank(server, largest).status()).isEqualTo(200);

    float[][] many = new float[3][101];
    answer = Service.rank(server, Service.body(1, new float[Service.STATES], many, 5, ""));
    assertThat(answer.status()).isEqualTo(413);
    assertThat(answer.error("place")).isEqualTo("candidates.watch[100]");
    assertThat(answer.error("remedy")).contains("--max-candidates");
    many = new float[3][100];
    answer = Service.rank(server, Service.body(1, new float[Service.STATES], many, 100, ""));
    assertThat(answer.status()).isEqualTo(200);
  }

  @Test
  void otherPathsMethodsAndTypesAreRefused() throws Exception {
    Service.Answer answer = Service.get(server, "/v1/rankings");
    assertThat(answer.status()).isEqualTo(404);
    assertThat(answer.error("remedy")).contains("POST /v1/rank");
    answer = Service.get(server, "/v1/rank");
    assertThat(answer.status()).isEqualTo(405);
    assertThat(answer.headers().get("allow")).containsExactly("POST");
    answer =
        Service.send(
            HttpRequest.newBuilder(Service.uri(server, "/v1/rank"))
                .header("Content-Type", "text/plain")
                .POST(HttpRequest.BodyPublishers.ofString(Service.body())));
    assertThat(answer.status()).isEqualTo(415);
    assertThat(answer.error("remedy")).contains("Content-Type: application/json");
  }

  @Test
  void headsBeyondTheLimitAndNonsenseAreRefused() throws Exception {
    String answer =
        Service.raw(
            server, "GET /health HTTP/1.1\r\nHost: a\r\nX: " + "x".repeat(4000) + "\r\n\r\n");
    assertThat(answer).startsWith("HTTP/1.1 431").contains("\"error\"");
    assertThat(Service.raw(server, "nonsense\r\n\r\n")).startsWith("HTTP/1.1 400");
    assertThat(Service.get(server, "/health").status()).isEqualTo(200);
  }

  @Test
  void aBodyThatDoesNotComeIsCutOff() throws Exception {
    long start = System.nanoTime();
    assertThat(Service.raw(server, HEAD + "{\"k\":"))
        .startsWith("HTTP/1.1 408")
        .contains("body_too_slow");
    assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(4));

    // A byte now and then does not keep it open: each would end an idle time-out's wait.
    try (Socket socket = Service.connect(server)) {
      socket.getOutputStream().write(HEAD.getBytes(StandardCharsets.ISO_8859_1));
      CompletableFuture<Integer> sent = CompletableFuture.supplyAsync(() -> trickle(socket, 90));
      assertThat(Service.all(socket)).startsWith("HTTP/1.1 408").contains("body_too_slow");
      assertThat(sent.get(20, TimeUnit.SECONDS)).isLessThan(90);
    }
  }

  /** Sends a byte every 100 ms until the service closes the connection; returns their number. */
  private static int trickle(Socket socket, int most) {
    for (int sent = 0; sent < most; sent++) {
      try {
        Thread.sleep(100);
        socket.getOutputStream().write(' ');
        socket.getOutputStream().flush();
      } catch (java.io.IOException | InterruptedException e) {
        return sent;
      }
    }
    return most;
  }

  @Test
  void moreRequestsThanThreadsAreSentAway() throws Exception {
    try (Socket first = Service.connect(server);
        Socket second = Service.connect(server)) {
      for (Socket socket : List.of(first, second)) {
        socket.getOutputStream().write(HEAD.getBytes(StandardCharsets.ISO_8859_1));
        socket.getOutputStream().flush();
      }
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
      while (!server.metrics().contains("unifiedrl_serve_in_flight 2.0")
          && System.nanoTime() < end) {
        Thread.sleep(5);
      }
      Service.Answer answer = Service.rank(server, Service.body());
      assertThat(answer.status()).isEqualTo(503);
      assertThat(answer.headers().get("retry-after")).containsExactly("1");
      assertThat(answer.error("code")).isEqualTo("too_many_requests");
      assertThat(answer.error("remedy")).contains("--threads");
      assertThat(Service.get(server, "/health").status()).isEqualTo(200);
    }
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    while (!server.metrics().contains("unifiedrl_serve_in_flight 0.0") && System.nanoTime() < end) {
      Thread.sleep(5);
    }
    assertThat(Service.rank(server, Service.body()).status()).isEqualTo(200);
  }

  @Test
  void modelsAreSwappedAndBadOnesRefused() throws Exception {
    assertThat(Service.get(server, "/v1/model").json().path("version").asText())
        .isEqualTo("seed-1");
    Service.model(2).write(file);
    Service.Answer answer = Service.post(server, "/v1/model/reload", "");
    assertThat(answer.json().path("reloaded").asBoolean()).isTrue();
    assertThat(Service.rank(server, Service.body()).json().path("model").asText())
        .isEqualTo("seed-2");
    assertThat(Service.post(server, "/v1/model/reload", "").json().path("reloaded").asBoolean())
        .isFalse();
    Files.write(file, new byte[] {1, 2, 3});
    answer = Service.post(server, "/v1/model/reload", "");
    assertThat(answer.status()).isEqualTo(409);
    assertThat(answer.error("message")).contains(file.toString());
    assertThat(answer.error("remedy")).contains("seed-2 keeps serving");
    assertThat(Service.rank(server, Service.body()).json().path("model").asText())
        .isEqualTo("seed-2");
    answer = Service.post(server, "/v1/model/reload", "");
    assertThat(answer.status()).as("while it stands there").isEqualTo(409);
    assertThat(server.metrics())
        .contains("unifiedrl_serve_model_reloads_total 1.0")
        .contains("unifiedrl_serve_model_refused_total 1.0");
  }

  @Test
  void theFileIsPolled() throws Exception {
    server.close();
    ServeOptions o = Service.options();
    ServeOptions polling =
        new ServeOptions(
            o.host(),
            0,
            o.threads(),
            o.maxBody(),
            o.maxCandidates(),
            o.maxHeader(),
            o.requestTimeout(),
            o.idleTimeout(),
            o.drainTimeout(),
            java.time.Duration.ofMillis(20),
            o.explore(),
            o.seed());
    server = RankServer.start(policy, null, policy::reload, polling);
    Files.write(file, new byte[] {1, 2, 3}); // a bad one does not end the polling
    Thread.sleep(100);
    Service.model(5).write(file);
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    while (!policy.model().version().equals("seed-5") && System.nanoTime() < end) {
      Thread.sleep(5);
    }
    assertThat(policy.model().version()).isEqualTo("seed-5");
  }

  @Test
  void metricsCountWhatHappened() throws Exception {
    Service.rank(server, Service.body());
    Service.rank(server, Service.body());
    Service.rank(server, "{");
    String metrics = Service.get(server, "/metrics").text();
    assertThat(metrics)
        .contains("unifiedrl_serve_request_seconds_count 2")
        .contains("unifiedrl_serve_rank_seconds_bucket{le=\"5.0E-5\"}")
        .contains("unifiedrl_serve_candidates_sum 6.0")
        .contains("unifiedrl_serve_refused_total{code=\"malformed_json\"} 1.0")
        .contains("unifiedrl_serve_in_flight 0.0");
  }

  @Test
  void exploredRequestsAreLogged() throws Exception {
    server.close();
    Path logs = folder.resolve("log");
    try (ServingLog log = ServingLog.open(logs, policy)) {
      server = RankServer.start(policy, log, policy::reload, Service.options());
      Service.Answer answer =
          Service.rank(server, Service.body().replace("\"k\":2", "\"k\":2,\"explore\":true"));
      assertThat(answer.status()).isEqualTo(400);
      assertThat(answer.error("place")).isEqualTo("user");
      answer =
          Service.rank(
              server, Service.body().replace("\"k\":2", "\"k\":2,\"user\":5,\"explore\":true"));
      assertThat(answer.json().path("logged").asBoolean()).isTrue();
      assertThat(Service.rank(server, Service.body()).json().has("logged")).isFalse();
      server.close();
    }
    try (Stream<Path> parts = Files.list(logs);
        Replay replay = Replay.open(parts.findFirst().orElseThrow())) {
      assertThat(replay.rows()).isEqualTo(1);
      assertThat(replay.sessionId(0)).isEqualTo(1);
      assertThat(replay.userId(0)).isEqualTo(5);
      float[] action = new float[6];
      replay.get(0, replay.schema().columnIndex(ReplaySchema.ACTION), action, 0);
      FusionPolicy.Request same = policy.request();
      same.begin(1).features(new float[Service.STATES]).explore(11);
      assertThat(action).containsExactly(same.action());
    }
  }

  @Test
  void actorsOfPairsRankAndAreNotExplored() throws Exception {
    server.close();
    FusionPolicy pairs =
        FusionPolicy.of(
            Service.model(PolicyModel.Kind.PAIR_ACTOR, 1, Service.STATES, Service.SCORES, 8));
    server = RankServer.start(pairs, null, () -> false, Service.options());
    Service.Answer answer = Service.rank(server, Service.body());
    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.json().path("page")).hasSize(2);
    assertThat(answer.json().has("powers")).isFalse();
    answer = Service.rank(server, Service.body().replace("\"k\":2", "\"k\":2,\"explore\":true"));
    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.error("code")).isEqualTo("not_explorable");
  }

  /** A request that has begun is answered; one that comes later is not. */
  @Test
  void theEndIsGraceful() throws Exception {
    assertThat(Service.get(server, "/ready").status()).isEqualTo(200);
    String body = Service.body();
    try (Socket slow = Service.connect(server)) {
      String head =
          "POST /v1/rank HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
              + body.length()
              + "\r\n\r\n";
      slow.getOutputStream()
          .write((head + body.substring(0, 10)).getBytes(StandardCharsets.ISO_8859_1));
      slow.getOutputStream().flush();
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
      while (!server.metrics().contains("unifiedrl_serve_in_flight 1.0")
          && System.nanoTime() < end) {
        Thread.sleep(5);
      }
      CompletableFuture<Void> closing = CompletableFuture.runAsync(server::close);
      Thread.sleep(150);
      assertThat(closing).isNotDone();
      slow.getOutputStream().write(body.substring(10).getBytes(StandardCharsets.ISO_8859_1));
      slow.getOutputStream().flush();
      assertThat(Service.all(slow)).startsWith("HTTP/1.1 200").contains("\"page\":[");
      closing.get(10, TimeUnit.SECONDS);
    }
    assertThatThrownBy(() -> Service.get(server, "/health"))
        .isInstanceOf(java.io.IOException.class);
  }

  @Test
  void itListensOnLoopbackAndSaysWhenItCannot() {
    assertThat(server.address().getAddress().isLoopbackAddress()).isTrue();
    assertThat(ServeOptions.DEFAULT.host()).isEqualTo("127.0.0.1");
    ServeOptions o = Service.options();
    ServeOptions taken =
        new ServeOptions(
            o.host(),
            server.address().getPort(),
            o.threads(),
            o.maxBody(),
            o.maxCandidates(),
            o.maxHeader(),
            o.requestTimeout(),
            o.idleTimeout(),
            o.drainTimeout(),
            o.poll(),
            false,
            0);
    assertThatThrownBy(() -> RankServer.start(policy, null, () -> false, taken))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining("cannot listen on 127.0.0.1 port " + server.address().getPort())
        .hasMessageContaining("--port");
  }
}
