package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.unifiedrl.kafka.CollectException;
import org.unifiedrl.kafka.TopicLog;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "collect",
    description = {
      "Collects a Kafka topic's messages, one JSON object a request, into files that import reads:"
          + " every message once, also after a kill (docs/kafka.md). Runs until Ctrl-C or SIGTERM,"
          + " and goes on where it ended when it is run again.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl collect --bootstrap kafka:9092 --topic requests --out logs/requests",
      "  unifiedrl collect --bootstrap kafka:9092 --topic requests --out logs/requests \\",
      "      --until-idle 10 --quarantine bad-messages.jsonl",
      "  unifiedrl import 'logs/requests/*.jsonl' --mapping mapping.yaml --out runs/log"
    })
final class CollectCommand implements Callable<Integer> {

  private static final long LINE_EVERY = TimeUnit.SECONDS.toNanos(10);

  /** Options of this command alone: it has no seed. */
  static final class Options extends CommonOptions {
    @Option(names = "--quiet", description = "No progress.")
    boolean quiet;
  }

  @Option(
      names = "--bootstrap",
      paramLabel = "HOST:PORT",
      required = true,
      description = "Brokers to connect to first, with commas between.")
  String bootstrap;

  @Option(
      names = "--topic",
      paramLabel = "TOPIC",
      required = true,
      description = "The topic; all its partitions are taken.")
  String topic;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      required = true,
      description = "Folder of the files, TOPIC-PARTITION-FROM-TO.jsonl; may have earlier ones.")
  Path out;

  @Option(
      names = "--from",
      paramLabel = "WHERE",
      defaultValue = "earliest",
      description =
          "Where to begin a topic that DIR has nothing of: earliest or latest (default:"
              + " ${DEFAULT-VALUE}).")
  TopicLog.Start from;

  @Option(
      names = "--segment-rows",
      paramLabel = "N",
      defaultValue = "1000000",
      description = "Rows after which a file ends (default: ${DEFAULT-VALUE}).")
  long segmentRows;

  @Option(
      names = "--segment-mib",
      paramLabel = "MIB",
      defaultValue = "256",
      description = "Mebibytes after which a file ends (default: ${DEFAULT-VALUE}).")
  long segmentMebibytes;

  @Option(
      names = "--segment-seconds",
      paramLabel = "SECONDS",
      defaultValue = "60",
      description =
          "Time after which a file ends, and what a message waits at most until it is durable"
              + " (default: ${DEFAULT-VALUE}).")
  double segmentSeconds;

  @Option(
      names = "--message-bytes",
      paramLabel = "N",
      defaultValue = "1048576",
      description = "Bytes that a message may have (default: ${DEFAULT-VALUE}).")
  int messageBytes;

  @Option(
      names = "--quarantine",
      paramLabel = "FILE",
      description =
          "Set messages that are no JSON object aside there, each with its place and what is wrong"
              + " with it, instead of stopping at one.")
  Path quarantine;

  @Option(
      names = "--until-idle",
      paramLabel = "SECONDS",
      description = "End when the topic's end is reached and nothing has come for that long.")
  Double untilIdle;

  @Option(names = "--max-rows", paramLabel = "N", description = "End after that many rows.")
  Long maxRows;

  @Option(
      names = "--properties",
      paramLabel = "FILE",
      description = "Java properties for the consumer: security, group.id, timeouts.")
  Path properties;

  @Mixin Options common;

  @Override
  public Integer call() {
    common.checkJson();
    TopicLog.Until until = until();
    try (TopicLog log = open()) {
      collect(log, until);
    } catch (CollectException e) {
      throw new UsageException(e.getMessage(), e);
    }
    return 0;
  }

  @SuppressWarnings("try") // the stop is there for its closing
  private void collect(TopicLog log, TopicLog.Until until) {
    try (GracefulStop stop = new GracefulStop(log::stop)) {
      long start = System.nanoTime();
      TopicLog.Status status = log.run(until, new Lines(common.quiet));
      report(status, (System.nanoTime() - start) / 1e9);
    }
  }

  private TopicLog open() {
    return new TopicLog(
        new TopicLog.Source(bootstrap, topic, from, settings()),
        new TopicLog.Target(
            out,
            segmentRows,
            Math.multiplyExact(Math.min(segmentMebibytes, 1 << 20), 1L << 20),
            seconds("--segment-seconds", segmentSeconds),
            messageBytes,
            quarantine));
  }

  private TopicLog.Until until() {
    if (maxRows != null && maxRows < 1) {
      throw new UsageException("--max-rows is " + maxRows + ": expected at least 1");
    }
    return new TopicLog.Until(
        untilIdle == null ? null : seconds("--until-idle", untilIdle),
        maxRows == null ? 0 : maxRows);
  }

  private static Duration seconds(String option, double seconds) {
    if (!(seconds >= 0.001 && seconds <= 1e9)) {
      throw new UsageException(option + " is " + seconds + ": expected 0.001 to 1e9");
    }
    return Duration.ofMillis((long) (seconds * 1000));
  }

  private Map<String, String> settings() {
    Properties read = new Properties();
    if (properties != null) {
      try (Reader reader = Files.newBufferedReader(properties)) {
        read.load(reader);
      } catch (IOException | IllegalArgumentException e) {
        String reason = e instanceof IOException io ? FileErrors.reason(io) : e.getMessage();
        throw new UsageException("cannot read --properties " + properties + ": " + reason, e);
      }
    }
    Map<String, String> settings = new HashMap<>();
    read.stringPropertyNames().forEach(name -> settings.put(name, read.getProperty(name)));
    return settings;
  }

  private void report(TopicLog.Status status, double seconds) {
    PrintWriter text = common.text();
    text.printf(
        "Collected %,d rows into %,d files in %.1f s (%,.0f a second), lag %,d: %s%n",
        status.rows(), status.segments(), seconds, status.rows() / seconds, status.lag(), out);
    if (status.quarantined() > 0) {
      text.printf("Set aside %,d messages: %s%n", status.quarantined(), quarantine);
    }
    text.flush();
    ObjectNode result = Json.object();
    result.put("topic", topic);
    result.put("rows", status.rows());
    result.put("quarantined", status.quarantined());
    result.put("segments", status.segments());
    result.put("lag", status.lag());
    Json.put(result, "seconds", seconds);
    common.writeJson(result);
  }

  /** A line on the error stream now and then: the end is not known, so there is no bar. */
  private static final class Lines implements TopicLog.Progress {

    private final boolean quiet;
    private long shown = System.nanoTime();
    private long rows;

    Lines(boolean quiet) {
      this.quiet = quiet;
    }

    @Override
    public void at(TopicLog.Status status) {
      long now = System.nanoTime();
      if (quiet || now - shown < LINE_EVERY) {
        return;
      }
      System.err.printf(
          Locale.ROOT,
          "collect  %,d rows (%,.0f a second), %,d files, lag %,d%n",
          status.rows(),
          (status.rows() - rows) * 1e9 / (now - shown),
          status.segments(),
          status.lag());
      shown = now;
      rows = status.rows();
    }
  }
}
