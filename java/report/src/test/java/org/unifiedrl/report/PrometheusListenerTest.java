package org.unifiedrl.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.BindException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PrometheusListenerTest {

  private static final HttpClient CLIENT = HttpClient.newHttpClient();

  private static HttpResponse<String> get(String address) throws IOException, InterruptedException {
    return CLIENT.send(
        HttpRequest.newBuilder(URI.create(address)).build(), HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void scrapesSeeTheLatestValuesAndTheProcess() throws IOException, InterruptedException {
    String address;
    try (PrometheusListener listener = PrometheusListener.serve(0)) {
      address = listener.address();
      listener.begin(0, 300);
      listener.metrics(100, Map.of("q_mean", 0.5, "q_mean/watch_time", 0.25));
      listener.metrics(200, Map.of("q_mean", 0.75, "q_mean/watch_time", -1.5));
      listener.resources(200, Map.of("steps_per_second", 14.5));
      HttpResponse<String> scrape = get(address);
      assertThat(scrape.statusCode()).isEqualTo(200);
      assertThat(scrape.headers().firstValue("Content-Type").orElse(""))
          .startsWith("text/plain; version=0.0.4");
      assertThat(scrape.body().lines())
          .contains(
              "# TYPE unifiedrl_training_q_mean gauge",
              "unifiedrl_training_q_mean{part=\"all\"} 0.75",
              "unifiedrl_training_q_mean{part=\"watch_time\"} -1.5",
              "unifiedrl_training_step{part=\"all\"} 200.0",
              "unifiedrl_training_steps{part=\"all\"} 300.0",
              "unifiedrl_training_active{part=\"all\"} 1.0",
              "unifiedrl_training_steps_per_second{part=\"all\"} 14.5");
      assertThat(scrape.body())
          .contains("jvm_memory_used_bytes{", "process_uptime_seconds ", "system_cpu_count ");
      listener.end();
      assertThat(get(address).body()).contains("unifiedrl_training_active{part=\"all\"} 0.0");
      assertThat(get(address.replace("/metrics", "/")).statusCode()).isEqualTo(404);
      int port = URI.create(address).getPort();
      assertThatThrownBy(() -> PrometheusListener.serve(port)).isInstanceOf(BindException.class);
    }
    String closed = address;
    assertThatThrownBy(() -> get(closed)).isInstanceOf(ConnectException.class);
  }
}
