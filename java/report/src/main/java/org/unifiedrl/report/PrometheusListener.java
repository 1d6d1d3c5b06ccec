package org.unifiedrl.report;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import org.unifiedrl.mtf.experiment.MetricsListener;

/**
 * The latest metrics of a training for Prometheus to scrape, over Micrometer, beside gauges of the
 * JVM and the process: {@code http://127.0.0.1:PORT/metrics}, on this machine only. Scrapes are
 * served by a thread of their own and never hold training up.
 *
 * <p>{@code q_mean} becomes {@code unifiedrl_training_q_mean{part="all"}}, and {@code
 * q_mean/watch_time} the same with {@code part="watch_time"}.
 */
public final class PrometheusListener implements MetricsListener {

  private static final String PREFIX = "unifiedrl.training.";
  private static final String TEXT = "text/plain; version=0.0.4; charset=utf-8";

  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final JvmGcMetrics collections = new JvmGcMetrics();
  private final Map<String, AtomicLong> values = new ConcurrentHashMap<>();
  private final HttpServer server;
  private final ExecutorService scrapes;

  private PrometheusListener(int port) throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    scrapes =
        Executors.newSingleThreadExecutor(
            work -> {
              Thread thread = new Thread(work, "unifiedrl-metrics");
              thread.setDaemon(true);
              return thread;
            });
    server.setExecutor(scrapes);
    server.createContext("/", this::answer);
    new JvmMemoryMetrics().bindTo(registry);
    new JvmThreadMetrics().bindTo(registry);
    new ProcessorMetrics().bindTo(registry);
    new UptimeMetrics().bindTo(registry);
    collections.bindTo(registry);
  }

  /**
   * Begins to answer scrapes.
   *
   * @param port on the loopback interface; 0 for any free one
   * @throws IOException if it is in use, or may not be used
   */
  public static PrometheusListener serve(int port) throws IOException {
    PrometheusListener listener = new PrometheusListener(port);
    listener.server.start();
    return listener;
  }

  /** Where it answers. */
  public String address() {
    return "http://127.0.0.1:" + server.getAddress().getPort() + "/metrics";
  }

  @Override
  public void begin(long step, long steps) {
    set("step", (double) step);
    set("steps", (double) steps);
    set("active", 1);
  }

  @Override
  public void metrics(long step, Map<String, Double> told) {
    set("step", (double) step);
    told.forEach(this::set);
  }

  @Override
  public void resources(long step, Map<String, Double> told) {
    told.forEach(this::set);
  }

  @Override
  public void end() {
    set("active", 0);
  }

  @Override
  public void close() {
    server.stop(0);
    scrapes.shutdownNow();
    collections.close();
    registry.close();
  }

  private void set(String name, double value) {
    values.computeIfAbsent(name, this::gauge).set(Double.doubleToRawLongBits(value));
  }

  /** Bits of a double that a gauge shows. */
  private AtomicLong gauge(String name) {
    AtomicLong bits = new AtomicLong();
    int slash = name.indexOf('/');
    Gauge.builder(
            PREFIX + (slash < 0 ? name : name.substring(0, slash)),
            bits,
            b -> Double.longBitsToDouble(b.get()))
        .tag("part", slash < 0 ? "all" : name.substring(slash + 1))
        .register(registry);
    return bits;
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      boolean found = exchange.getRequestURI().getPath().equals("/metrics");
      boolean get = exchange.getRequestMethod().equals("GET");
      String text =
          !found
              ? "the metrics are at /metrics\n"
              : get ? registry.scrape() : "only GET is known\n";
      byte[] body = text.getBytes(StandardCharsets.UTF_8);
      exchange.getResponseHeaders().set("Content-Type", TEXT);
      exchange.sendResponseHeaders(!found ? 404 : get ? 200 : 405, body.length);
      exchange.getResponseBody().write(body);
    }
  }

  @Override
  public String toString() {
    return "--metrics-port";
  }
}
