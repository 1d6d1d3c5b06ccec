package org.unifiedrl.serve;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Timer;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;
import org.unifiedrl.mtf.serving.ServingLog;

/** What Prometheus is told. Safe for all threads. */
final class Metrics {

  private static final Duration[] BUCKETS = {
    Duration.ofNanos(50_000),
    Duration.ofNanos(100_000),
    Duration.ofNanos(250_000),
    Duration.ofNanos(500_000),
    Duration.ofMillis(1),
    Duration.ofMillis(2),
    Duration.ofMillis(5),
    Duration.ofMillis(10),
    Duration.ofMillis(50),
    Duration.ofMillis(250),
    Duration.ofSeconds(1)
  };

  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final Timer requests =
      timer("unifiedrl.serve.request", "Ranking requests that were answered, body to answer.");
  private final Timer ranking =
      timer("unifiedrl.serve.rank", "The policy's part of them: features to page.");
  private final DistributionSummary candidates =
      DistributionSummary.builder("unifiedrl.serve.candidates")
          .description("Candidates of a request.")
          .register(registry);
  private final Counter explored =
      Counter.builder("unifiedrl.serve.explored")
          .description("Requests that were explored.")
          .register(registry);
  private final Map<String, Counter> refused = new ConcurrentHashMap<>();
  private final Counter reloads =
      Counter.builder("unifiedrl.serve.model.reloads")
          .description("Models that took over from another.")
          .register(registry);
  private final Counter refusedModels =
      Counter.builder("unifiedrl.serve.model.refused")
          .description("Models that could not be served; the one before kept serving.")
          .register(registry);

  Metrics(IntSupplier inFlight, ServingLog log) {
    Gauge.builder("unifiedrl.serve.in.flight", inFlight, IntSupplier::getAsInt)
        .description("Ranking requests that are worked on now.")
        .strongReference(true)
        .register(registry);
    if (log != null) {
      FunctionCounter.builder("unifiedrl.serve.log.written", log, ServingLog::writtenRows)
          .description("Explored requests that went to the log's shards.")
          .register(registry);
      FunctionCounter.builder("unifiedrl.serve.log.dropped", log, ServingLog::droppedRows)
          .description("Explored requests that were dropped because the log's ring was full.")
          .register(registry);
      FunctionCounter.builder("unifiedrl.serve.log.lost", log, ServingLog::lostRows)
          .description("Explored requests that could not be written.")
          .register(registry);
    }
  }

  private Timer timer(String name, String description) {
    return Timer.builder(name)
        .description(description)
        .serviceLevelObjectives(BUCKETS)
        .register(registry);
  }

  void answered(long requestNanos, long rankNanos, int candidateCount, boolean wasExplored) {
    requests.record(requestNanos, TimeUnit.NANOSECONDS);
    ranking.record(rankNanos, TimeUnit.NANOSECONDS);
    candidates.record(candidateCount);
    if (wasExplored) {
      explored.increment();
    }
  }

  /** Counts a refusal; its codes are the service's own, and few. */
  void refused(String code) {
    refused
        .computeIfAbsent(
            code,
            c ->
                Counter.builder("unifiedrl.serve.refused")
                    .description("Requests that were not answered, by reason.")
                    .tag("code", c)
                    .register(registry))
        .increment();
  }

  void modelReloaded() {
    reloads.increment();
  }

  void modelRefused() {
    refusedModels.increment();
  }

  String scrape() {
    return registry.scrape();
  }
}
