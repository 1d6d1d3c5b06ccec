package org.unifiedrl.kafka;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

/** A collector in a process of its own, which may be killed. */
final class CollectorProcess {

  private CollectorProcess() {}

  /** Arguments: broker, topic, folder, rows a segment, quarantine, milliseconds idle (0: never). */
  public static void main(String[] arguments) {
    long idle = Long.parseLong(arguments[5]);
    try (TopicLog log =
        new TopicLog(
            new TopicLog.Source(arguments[0], arguments[1], TopicLog.Start.EARLIEST, Map.of()),
            new TopicLog.Target(
                Path.of(arguments[2]),
                Long.parseLong(arguments[3]),
                1 << 30,
                Duration.ofMillis(100),
                1 << 20,
                Path.of(arguments[4])))) {
      log.run(new TopicLog.Until(idle == 0 ? null : Duration.ofMillis(idle), 0), status -> {});
    }
  }
}
