package org.unifiedrl.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/** Run folders whose numbers are known. */
final class SampleRuns {

  static final int LINES = 12;

  private SampleRuns() {}

  /** A run of UnifiedRL with an A/B test; q_mean of watch_time at step t is seed + t / 100. */
  static Path write(Path folder, int seed, double eta) throws IOException {
    config(folder, "simulator", seed, eta);
    StringBuilder metrics = new StringBuilder();
    StringBuilder resources = new StringBuilder();
    for (int i = 1; i <= LINES; i++) {
      metrics.append(line(100 * i, metrics(seed, i)));
      resources.append(
          line(
              100 * i,
              Map.of(
                  "steps_per_second",
                  50.0 + seed,
                  "training_seconds",
                  2.0 * i,
                  "threads",
                  2.0,
                  "peak_memory_mebibytes",
                  321.0)));
    }
    Files.writeString(folder.resolve("metrics.jsonl"), metrics);
    Files.writeString(folder.resolve("resources.jsonl"), resources);
    Files.writeString(
        folder.resolve("result.json"),
        String.format(
            Locale.ROOT,
            """
            {"environment": "simulator", "seed": %d, "backend": "cpu", "engine": "two threads",
             "uvc_lift": {"mean": %d.5, "low": 1.25, "high": 9.75},
             "udt_lift": {"mean": -2.%d, "low": -4, "high": 0.5}}
            """,
            seed,
            seed,
            seed));
    return folder;
  }

  static void config(Path folder, String environment, int seed, double eta) throws IOException {
    Files.createDirectories(folder);
    Files.writeString(
        folder.resolve("config.yaml"),
        """
        environment: %s
        seed: %d
        training:
          algorithm: unifiedrl
          eta: %s
          lambda: 0.5
          group_weights: [1.0, 2.0]
        """
            .formatted(environment, seed, eta));
  }

  private static Map<String, Double> metrics(int seed, int i) {
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("critic_loss", 10.0 / (i * i));
    values.put("q_mean", 1.5 * i);
    values.put("q_deviation", 0.25);
    values.put("box_distance", 0.125);
    values.put("inside_share", 0.75);
    values.put("attenuation", 0.9);
    values.put("q_mean/watch_time", seed + (double) i);
    values.put("q_mean/behaviours", 2.0 * i);
    values.put("q_deviation/watch_time", 0.5);
    values.put("q_deviation/behaviours", 1.0);
    values.put("box_inside_share", 0.95);
    values.put("box_position/power.valid", -0.5);
    values.put("box_position_low/power.valid", -0.75);
    values.put("box_position_high/power.valid", 0.25);
    return values;
  }

  private static String line(int step, Map<String, Double> values) {
    StringBuilder text = new StringBuilder("{\"step\":" + step);
    values.forEach((name, value) -> text.append(",\"").append(name).append("\":").append(value));
    return text + "}\n";
  }
}
