package org.unifiedrl.kafka;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A Kafka broker (its own controller) in a process of its own, which {@link #close} ends. */
public final class TestBroker implements AutoCloseable {

  private static final long START_SECONDS = 120;

  private final Path log;
  private final Process process;
  private final String bootstrap;
  private final Admin admin;

  private TestBroker(Path log, Process process, String bootstrap) {
    this.log = log;
    this.process = process;
    this.bootstrap = bootstrap;
    this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
  }

  /** Starts a broker that keeps its files in a folder, and waits until it answers. */
  public static TestBroker start(Path folder) throws IOException, InterruptedException {
    Files.createDirectories(folder);
    int port;
    int controllerPort;
    InetAddress local = InetAddress.getByAddress(new byte[] {127, 0, 0, 1});
    try (ServerSocket one = new ServerSocket(0, 1, local);
        ServerSocket two = new ServerSocket(0, 1, local)) {
      port = one.getLocalPort();
      controllerPort = two.getLocalPort();
    }
    Path properties =
        Files.writeString(
            folder.resolve("server.properties"),
            """
            process.roles=broker,controller
            node.id=1
            listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d
            controller.listener.names=CONTROLLER
            controller.quorum.voters=1@127.0.0.1:%d
            log.dirs=%s
            auto.create.topics.enable=false
            offsets.topic.replication.factor=1
            offsets.topic.num.partitions=1
            transaction.state.log.replication.factor=1
            transaction.state.log.min.isr=1
            transaction.state.log.num.partitions=1
            """
                .formatted(port, controllerPort, controllerPort, folder.resolve("data")));
    Path log = folder.resolve("server.log");
    String id = Uuid.randomUuid().toString();
    Process format =
        java(log, "kafka.tools.StorageTool", "format", "-t", id, "-c", properties.toString());
    if (format.waitFor() != 0) {
      throw new IllegalStateException("the broker's folder: " + Files.readString(log));
    }
    Process process = java(log, "kafka.Kafka", properties.toString());
    TestBroker broker = new TestBroker(log, process, "127.0.0.1:" + port);
    boolean answers = false;
    try {
      broker.await();
      answers = true;
      return broker;
    } finally {
      if (!answers) {
        broker.close();
      }
    }
  }

  /** Starts a class of this class path in a JVM of its own. */
  static Process java(Path output, String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(output.toFile()))
        .start();
  }

  private void await() throws IOException, InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
    while (true) {
      try {
        if (!admin.describeCluster().nodes().get().isEmpty()) {
          return;
        }
      } catch (ExecutionException e) {
        // It is still starting.
      }
      if (!process.isAlive() || System.nanoTime() > deadline) {
        throw new IllegalStateException("the broker does not start: " + Files.readString(log));
      }
      Thread.sleep(50);
    }
  }

  public String bootstrap() {
    return bootstrap;
  }

  public Admin admin() {
    return admin;
  }

  /** Creates a topic, and waits until each partition is led by the broker. */
  public void create(String topic, int partitions) throws Exception {
    admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
    while (!led(topic, partitions)) {
      if (System.nanoTime() > deadline) {
        throw new IllegalStateException("no leader for " + topic + ": " + Files.readString(log));
      }
      Thread.sleep(5);
    }
  }

  private boolean led(String topic, int partitions) throws Exception {
    try {
      List<TopicPartitionInfo> found =
          admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
      return found.size() == partitions && found.stream().allMatch(each -> each.leader() != null);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof UnknownTopicOrPartitionException) {
        return false; // the broker has not heard of it yet
      }
      throw e;
    }
  }

  /** All messages of a topic, partition by partition, each in order. */
  public List<ConsumerRecord<byte[], byte[]>> messages(String topic, int partitions) {
    List<ConsumerRecord<byte[], byte[]>> messages = new ArrayList<>();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(
            Map.of("bootstrap.servers", bootstrap),
            new ByteArrayDeserializer(),
            new ByteArrayDeserializer())) {
      for (int i = 0; i < partitions; i++) {
        TopicPartition partition = new TopicPartition(topic, i);
        consumer.assign(List.of(partition));
        consumer.seekToBeginning(List.of(partition));
        long end = consumer.endOffsets(List.of(partition)).get(partition);
        while (consumer.position(partition) < end) {
          messages.addAll(consumer.poll(Duration.ofMillis(100)).records(partition));
        }
      }
    }
    return messages;
  }

  /** A producer; {@code settings} are names and values. */
  public KafkaProducer<byte[], byte[]> producer(String... settings) {
    Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", bootstrap));
    for (int i = 0; i < settings.length; i += 2) {
      all.put(settings[i], settings[i + 1]);
    }
    return new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
  }

  /** Sends messages to one partition, in order. */
  public void send(String topic, int partition, Collection<String> messages) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (String message : messages) {
        byte[] bytes = message.getBytes(StandardCharsets.UTF_8);
        sent.add(producer.send(new ProducerRecord<>(topic, partition, null, bytes)));
      }
      for (Future<RecordMetadata> each : sent) {
        each.get();
      }
    }
  }

  @Override
  public void close() {
    admin.close();
    process.destroyForcibly().onExit().join();
  }
}
