package org.unifiedrl.serve;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.client.HttpClientTransport;
import org.eclipse.jetty.client.Origin;
import org.eclipse.jetty.client.Request;
import org.eclipse.jetty.client.StringRequestContent;
import org.eclipse.jetty.client.transport.HttpClientTransportOverHTTP;
import org.eclipse.jetty.io.ClientConnector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mortbay.jetty.load.generator.HTTP1ClientTransportBuilder;
import org.mortbay.jetty.load.generator.LoadGenerator;
import org.mortbay.jetty.load.generator.Resource;
import org.unifiedrl.mtf.serving.FusionPolicy;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.serving.ServingLog;

/**
 * Jetty's load generator sends requests at a steady rate, whatever the answers take, while models
 * are swapped and everything is explored and logged.
 */
class LoadTest {

  private static final int RATE = 200;
  private static final int SECONDS = 5;
  private static final int CANDIDATES = 100;

  @TempDir Path folder;

  @Test
  void everyRequestUnderLoadIsAnswered() throws Exception {
    Path file = folder.resolve(PolicyModel.FILE);
    Service.model(1).write(file);
    FusionPolicy policy = FusionPolicy.open(file);
    ServeOptions o = Service.options();
    ServeOptions options =
        new ServeOptions(
            o.host(),
            0,
            16,
            o.maxBody(),
            o.maxCandidates(),
            o.maxHeader(),
            Duration.ofSeconds(20), // this machine may be busy with other tests
            Duration.ofSeconds(20),
            o.drainTimeout(),
            Duration.ofMillis(100),
            true,
            3);
    Random random = new Random(1);
    float[][] scores = new float[3][CANDIDATES];
    for (float[] each : scores) {
      for (int c = 0; c < CANDIDATES; c++) {
        each[c] = random.nextFloat();
      }
    }
    String body = Service.body(7, new float[Service.STATES], scores, 10, ",\"user\":1");
    ConcurrentLinkedQueue<Long> latencies = new ConcurrentLinkedQueue<>();
    ConcurrentLinkedQueue<String> failed = new ConcurrentLinkedQueue<>();
    try (ServingLog log = ServingLog.open(folder.resolve("log"), policy);
        RankServer server = RankServer.start(policy, log, policy::reload, options)) {
      LoadGenerator generator =
          LoadGenerator.builder()
              .host("127.0.0.1")
              .port(server.address().getPort())
              .threads(1)
              .usersPerThread(8)
              .channelsPerUser(1) // fewer connections than the service's threads: no 503 is right
              .maxRequestsQueued(10_000)
              .resourceRate(RATE)
              .iterationsPerThread(RATE * SECONDS)
              .warmupIterationsPerThread(RATE / 2)
              .resource(
                  new Resource("/v1/rank")
                      .method("POST")
                      .requestHeader("Content-Type", "application/json"))
              // A listener sets bodies when another thread may have sent the request already.
              .httpClientTransportBuilder(new Bodies(body))
              .resourceListener(
                  (Resource.NodeListener)
                      info -> {
                        if (info.getFailure() != null || info.getStatus() != 200) {
                          failed.add(info.getStatus() + " " + info.getFailure());
                        } else {
                          latencies.add(info.getResponseTime() - info.getRequestTime());
                        }
                      })
              .build();
      var run = generator.begin();
      for (int seed = 2; !run.isDone(); seed++) {
        Service.model(seed).write(file);
        Thread.sleep(250);
      }
      run.get(60, TimeUnit.SECONDS);
      assertThat(failed)
          .as(
              server
                  .metrics()
                  .lines()
                  .filter(line -> line.startsWith("unifiedrl_serve_refused"))
                  .toList()
                  .toString())
          .isEmpty();
      assertThat(latencies).hasSizeGreaterThanOrEqualTo(RATE * SECONDS);
      assertThat(server.metrics())
          .contains("unifiedrl_serve_model_reloads_total")
          .doesNotContain("unifiedrl_serve_model_reloads_total 0.0")
          .contains("unifiedrl_serve_log_dropped_total 0.0");
      assertThat(log.droppedRows()).isZero();
      assertThat(policy.model().version()).isNotEqualTo("seed-1");
    }
    long[] sorted = latencies.stream().mapToLong(Long::longValue).sorted().toArray();
    System.out.printf(
        "HTTP under load: %d requests at %d/s, %d candidates: p50 %.2f ms, p99 %.2f ms, largest"
            + " %.2f ms%n",
        sorted.length,
        RATE,
        CANDIDATES,
        at(sorted, 0.5),
        at(sorted, 0.99),
        Arrays.stream(sorted).max().orElseThrow() / 1e6);
  }

  /** HTTP/1.1 whose requests have a body before they are queued. */
  private static final class Bodies extends HTTP1ClientTransportBuilder {
    private final String body;

    private Bodies(String body) {
      this.body = body;
    }

    @Override
    protected HttpClientTransport newHttpClientTransport(ClientConnector connector) {
      return new HttpClientTransportOverHTTP(connector) {
        @Override
        public Origin newOrigin(Request request) {
          request.body(new StringRequestContent("application/json", body));
          return super.newOrigin(request);
        }
      };
    }
  }

  private static double at(long[] sorted, double share) {
    return sorted[(int) (share * (sorted.length - 1))] / 1e6;
  }
}
