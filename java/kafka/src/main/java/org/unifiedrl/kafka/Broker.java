package org.unifiedrl.kafka;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What the collector asks of the broker, about one topic; failures come in its own words. */
final class Broker implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Broker.class);

  /** What a topic is. The id differs from that of an earlier topic of the same name. */
  record Topic(String id, int partitions) {}

  /** Settings that the collector's promises rest on. */
  private static final Map<String, Object> FIXED =
      Map.of(
          ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG,
          "false",
          ConsumerConfig.AUTO_OFFSET_RESET_CONFIG,
          "none",
          ConsumerConfig.ISOLATION_LEVEL_CONFIG,
          "read_committed",
          ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG,
          "false",
          ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG,
          ByteArrayDeserializer.class.getName(),
          ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG,
          ByteArrayDeserializer.class.getName());

  private final TopicLog.Source source;
  private final Admin admin;
  private final KafkaConsumer<byte[], byte[]> consumer;

  /**
   * Connects.
   *
   * @throws CollectException if the settings cannot be
   */
  Broker(TopicLog.Source source) {
    this.source = source;
    Map<String, Object> settings = settings(source);
    admin = translated(() -> Admin.create(settings));
    boolean done = false;
    try {
      settings.putIfAbsent(ConsumerConfig.GROUP_ID_CONFIG, "unifiedrl-collect-" + source.topic());
      settings.putIfAbsent(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "2000");
      settings.putAll(FIXED);
      consumer = translated(() -> new KafkaConsumer<>(settings));
      done = true;
    } finally {
      if (!done) {
        admin.close();
      }
    }
  }

  private static Map<String, Object> settings(TopicLog.Source source) {
    for (Map.Entry<String, String> each : source.properties().entrySet()) {
      Object fixed = FIXED.get(each.getKey());
      if (fixed != null && !fixed.equals(each.getValue())) {
        throw new CollectException(
            "property %s is '%s': it has to be %s here; leave it out"
                .formatted(each.getKey(), each.getValue(), fixed));
      }
    }
    Map<String, Object> settings = new HashMap<>(source.properties());
    settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, source.bootstrap());
    settings.putIfAbsent(ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, "30000");
    settings.putIfAbsent(ConsumerConfig.REQUEST_TIMEOUT_MS_CONFIG, "20000");
    return settings;
  }

  /** The topic as it is now. */
  Topic topic() {
    return translated(
        () -> {
          try {
            TopicDescription topic =
                admin
                    .describeTopics(Set.of(source.topic()))
                    .allTopicNames()
                    .get()
                    .get(source.topic());
            return new Topic(topic.topicId().toString(), topic.partitions().size());
          } catch (ExecutionException e) {
            throw e.getCause() instanceof KafkaException cause ? cause : new KafkaException(e);
          } catch (InterruptedException e) {
            throw new InterruptException(e);
          }
        });
  }

  /** Offsets of the oldest messages, by partition. */
  Map<Integer, Long> begins(int partitions) {
    return offsets(partitions, consumer::beginningOffsets);
  }

  /** Offsets after the newest messages, by partition: those of open transactions do not count. */
  Map<Integer, Long> ends(int partitions) {
    return offsets(partitions, consumer::endOffsets);
  }

  private Map<Integer, Long> offsets(
      int partitions, Function<List<TopicPartition>, Map<TopicPartition, Long>> ask) {
    List<TopicPartition> all = IntStream.range(0, partitions).mapToObj(this::partition).toList();
    Map<Integer, Long> offsets = new HashMap<>();
    translated(() -> ask.apply(all))
        .forEach((partition, offset) -> offsets.put(partition.partition(), offset));
    return offsets;
  }

  private TopicPartition partition(int number) {
    return new TopicPartition(source.topic(), number);
  }

  /** Takes partitions, each from its next message. */
  void assign(Map<Integer, Position> positions) {
    translated(
        () -> {
          consumer.assign(positions.keySet().stream().map(this::partition).toList());
          positions.forEach(
              (number, position) -> consumer.seek(partition(number), position.next()));
          return null;
        });
  }

  /**
   * Messages that follow, none if none come in time.
   *
   * @throws OffsetOutOfRangeException if the broker does not have them
   */
  ConsumerRecords<byte[], byte[]> poll(Duration time) {
    return translated(() -> consumer.poll(time));
  }

  /** Offset of the next message that {@link #poll} gives. */
  long position(int partition) {
    return translated(() -> consumer.position(partition(partition)));
  }

  /** Messages that {@link #poll} has still to give, as far as the last answer told. */
  long lag(int partition) {
    return translated(() -> consumer.currentLag(partition(partition)).orElse(0));
  }

  /** Commits how far messages are durable, for those who watch the group. */
  void commit(Map<Integer, Position> positions) {
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    positions.forEach(
        (number, position) ->
            offsets.put(partition(number), new OffsetAndMetadata(position.next())));
    translated(
        () -> {
          try {
            consumer.commitSync(offsets);
          } catch (RetriableException e) {
            // No collector reads it, and the next commit says more.
            LOG.warn("the broker did not take the offsets of {}: {}", source.topic(), e.toString());
          }
          return null;
        });
  }

  private <T> T translated(Supplier<T> call) {
    try {
      return call.get();
    } catch (OffsetOutOfRangeException e) {
      throw e;
    } catch (UnknownTopicOrPartitionException | InvalidTopicException e) {
      throw new CollectException(
          "there is no topic '%s' at %s: create it, or give another name"
              .formatted(source.topic(), source.bootstrap()),
          e);
    } catch (AuthenticationException | AuthorizationException e) {
      throw new CollectException(
          "%s refuses topic '%s': %s; give the security settings, or have the rights given"
              .formatted(source.bootstrap(), source.topic(), e.getMessage()),
          e);
    } catch (KafkaException e) {
      Throwable cause = e.getCause() == null ? e : e.getCause();
      if (e instanceof ConfigException || cause instanceof ConfigException) {
        throw new CollectException("wrong settings of the consumer: " + cause.getMessage(), e);
      }
      String problem =
          "%s does not answer as it should (%s): see that it runs and can be reached, then collect"
              .formatted(source.bootstrap(), cause.getMessage());
      throw new UncheckedIOException(
          problem + " again, which goes on where this ended", new IOException(e));
    }
  }

  @Override
  public void close() {
    consumer.close();
    admin.close();
  }
}
