package org.unifiedrl.kafka;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The collector, on a broker that runs. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class TopicLogTest {

  private static final AtomicInteger TOPICS = new AtomicInteger();
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final TopicLog.Until IDLE = new TopicLog.Until(Duration.ofMillis(300), 0);

  @TempDir static Path brokerFolder;
  private static TestBroker broker;

  @TempDir Path temporary;
  private Path folder;
  private String topic;

  @BeforeAll
  static void startBroker() throws Exception {
    broker = TestBroker.start(brokerFolder.resolve("broker"));
  }

  @AfterAll
  static void stopBroker() throws Exception {
    broker.close();
  }

  @BeforeEach
  void names() {
    topic = "requests-" + TOPICS.incrementAndGet();
    folder = temporary.resolve("collected");
  }

  private static String message(int id) {
    return "{\"id\":%d}".formatted(id);
  }

  private static List<String> messages(int from, int to) {
    return IntStream.range(from, to).mapToObj(TopicLogTest::message).toList();
  }

  private static List<Integer> ids(int from, int to) {
    return IntStream.range(from, to).boxed().toList();
  }

  private TopicLog.Source source(TopicLog.Start start) {
    return new TopicLog.Source(broker.bootstrap(), topic, start, Map.of());
  }

  private TopicLog.Target target(long rows, Path quarantine) {
    return new TopicLog.Target(folder, rows, 1 << 20, Duration.ofMinutes(5), 1000, quarantine);
  }

  private TopicLog open() {
    return new TopicLog(source(TopicLog.Start.EARLIEST), target(1000, null));
  }

  private TopicLog.Status collect() {
    try (TopicLog log = open()) {
      return log.run(IDLE, status -> {});
    }
  }

  private TopicLog.Status collect(TopicLog.Until until, long rows, Path quarantine) {
    try (TopicLog log = new TopicLog(source(TopicLog.Start.EARLIEST), target(rows, quarantine))) {
      return log.run(until, status -> {});
    }
  }

  private Map<TopicPartition, OffsetAndMetadata> committed() throws Exception {
    String group = "unifiedrl-collect-" + topic;
    return broker
        .admin()
        .listConsumerGroupOffsets(group)
        .partitionsToOffsetAndMetadata(group)
        .get();
  }

  private long committed(int partition) throws Exception {
    OffsetAndMetadata offset = committed().get(new TopicPartition(topic, partition));
    return offset == null ? -1 : offset.offset();
  }

  @Test
  void everyMessageOfEveryPartitionArrivesOnce() throws Exception {
    broker.create(topic, 3);
    broker.send(topic, 0, messages(0, 250));
    broker.send(topic, 1, messages(250, 260));
    TopicLog.Status status = collect(IDLE, 100, null);
    assertThat(status).isEqualTo(new TopicLog.Status(260, 0, 4, 0));
    assertThat(Collected.names(folder))
        .containsExactly(
            ".lock",
            "." + topic + ".positions.json",
            topic + "-0-0000000000000000000-0000000000000000100.jsonl",
            topic + "-0-0000000000000000100-0000000000000000200.jsonl",
            topic + "-0-0000000000000000200-0000000000000000250.jsonl",
            topic + "-1-0000000000000000000-0000000000000000010.jsonl");
    assertThat(committed(0)).isEqualTo(250);
    assertThat(committed(1)).isEqualTo(10);

    broker.send(topic, 2, messages(260, 300));
    assertThat(collect().rows()).isEqualTo(40);
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(0, 250));
    assertThat(Collected.field(folder, topic, 1, "id")).isEqualTo(ids(250, 260));
    assertThat(Collected.field(folder, topic, 2, "id")).isEqualTo(ids(260, 300));
    JsonNode row = Collected.rows(folder, topic, 2).get(7);
    assertThat(row.get("kafka_offset").longValue()).isEqualTo(7);
    assertThat(row.get("kafka_timestamp").longValue())
        .isBetween(System.currentTimeMillis() - 600_000, System.currentTimeMillis());
  }

  @Test
  void aSegmentEndsByBytesAndByTimeToo() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, messages(0, 30));
    int line = 80; // a little more than a row has
    TopicLog.Target small =
        new TopicLog.Target(folder, 1000, 10L * line, Duration.ofMinutes(5), 1000, null);
    try (TopicLog log = new TopicLog(source(TopicLog.Start.EARLIEST), small)) {
      assertThat(log.run(IDLE, status -> {}).segments()).isBetween(2L, 3L);
    }
    TopicLog.Target quick =
        new TopicLog.Target(folder, 1000, 1 << 20, Duration.ofMillis(1), 1000, null);
    try (TopicLog log = new TopicLog(source(TopicLog.Start.EARLIEST), quick)) {
      broker.send(topic, 0, messages(30, 31));
      // It runs until its row is a segment, which only time can end.
      log.run(
          TopicLog.Until.STOPPED,
          status -> {
            if (status.segments() == 1) {
              log.stop();
            }
          });
    }
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(0, 31));
  }

  @Test
  void theLimitOfRowsIsExactAndTheRestComesLater() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, messages(0, 50));
    assertThat(collect(new TopicLog.Until(null, 17), 1000, null))
        .isEqualTo(new TopicLog.Status(17, 0, 1, 33));
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(0, 17));
    assertThat(collect().rows()).isEqualTo(33);
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(0, 50));
  }

  @Test
  void killedAtAnyMomentItLosesNothingAndRepeatsNothing() throws Exception {
    broker.create(topic, 3);
    int kills = 6;
    Path output = temporary.resolve("output.txt");
    Path quarantine = temporary.resolve("bad.jsonl");
    String[] command = {
      CollectorProcess.class.getName(),
      broker.bootstrap(),
      topic,
      folder.toString(),
      "40",
      quarantine.toString(),
      "0"
    };
    AtomicBoolean ended = new AtomicBoolean();
    Thread sender =
        new Thread(
            () -> {
              SplittableRandom random = new SplittableRandom(3);
              // A message that this producer gives up may be in the topic or not.
              try (KafkaProducer<byte[], byte[]> producer =
                  broker.producer(
                      "linger.ms",
                      "0",
                      "request.timeout.ms",
                      "5000", //
                      "delivery.timeout.ms",
                      "15000")) {
                for (int id = 0; !ended.get(); id++) {
                  int partition = random.nextInt(3);
                  String text = id % 100 == 99 ? "bad " + id : message(id);
                  byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
                  Future<RecordMetadata> unused =
                      producer.send(new ProducerRecord<>(topic, partition, null, bytes));
                  if (id % 10 == 0) {
                    Thread.sleep(2);
                  }
                }
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
            });
    sender.start();
    SplittableRandom random = new SplittableRandom(11);
    int midSegment = 0;
    try {
      for (int kill = 0; kill < kills; kill++) {
        int before = segments();
        Process process = TestBroker.java(output, command);
        // Most kills come while segments are made, a part before the first.
        long start = System.nanoTime();
        while (kill % 3 != 2
            && segments() == before
            && process.isAlive()
            && System.nanoTime() - start < TimeUnit.SECONDS.toNanos(60)) {
          Thread.sleep(1);
        }
        boolean over =
            process.waitFor(random.nextInt(kill % 3 == 2 ? 1200 : 400), TimeUnit.MILLISECONDS);
        assertThat(over).as(Files.readString(output)).isFalse();
        process.destroyForcibly();
        assertThat(process.waitFor()).as("ended by the kill").isEqualTo(128 + 9);
        midSegment += Collected.names(folder).stream().anyMatch(n -> n.endsWith(".tmp")) ? 1 : 0;
      }
    } finally {
      ended.set(true);
      sender.join();
    }
    assertThat(segments()).isGreaterThan(3); // each of the later kills waited for one
    assertThat(midSegment).as("kills while a segment was open").isPositive();
    collect(IDLE, 1000, quarantine);

    List<List<Integer>> expected = List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    List<String> expectedBad = new ArrayList<>();
    for (ConsumerRecord<byte[], byte[]> each : broker.messages(topic, 3)) {
      String text = new String(each.value(), StandardCharsets.UTF_8);
      if (text.startsWith("bad")) {
        expectedBad.add(text);
      } else {
        expected.get(each.partition()).add(JSON.readTree(text).get("id").intValue());
      }
    }
    assertThat(expectedBad).hasSizeGreaterThan(3);
    assertThat(expected).allSatisfy(ids -> assertThat(ids).hasSizeGreaterThan(100));
    for (int partition = 0; partition < 3; partition++) {
      assertThat(Collected.field(folder, topic, partition, "id"))
          .isEqualTo(expected.get(partition));
    }
    assertThat(quarantined(quarantine)).containsExactlyInAnyOrderElementsOf(expectedBad);
  }

  private int segments() throws IOException {
    if (!Files.exists(folder)) {
      return 0;
    }
    return (int) Collected.names(folder).stream().filter(n -> n.endsWith(".jsonl")).count();
  }

  private static List<String> quarantined(Path file) throws IOException {
    List<String> values = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      byte[] value = Base64.getDecoder().decode(JSON.readTree(line).get("value").textValue());
      values.add(new String(value, StandardCharsets.UTF_8));
    }
    return values;
  }

  @Test
  void whatTheBrokerRemembersDoesNotMatter() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, messages(0, 20));
    collect();
    assertThat(committed(0)).isEqualTo(20);
    String group = "unifiedrl-collect-" + topic;
    broker.admin().deleteConsumerGroups(List.of(group)).all().get();
    broker.send(topic, 0, messages(20, 25));
    assertThat(collect().rows()).isEqualTo(5);

    // As after a kill between the segment and all that follows it.
    TopicPartition partition = new TopicPartition(topic, 0);
    broker
        .admin()
        .alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(20)))
        .all()
        .get();
    new TopicFolder(folder, topic)
        .write(new TopicFolder.State(topicId(), new TreeMap<>(Map.of(0, new Position(20, 20)))));
    broker.send(topic, 0, messages(25, 30));
    assertThat(collect().rows()).isEqualTo(5);
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(0, 30));
    assertThat(committed(0)).isEqualTo(30);

    // An offset that runs ahead does not skip anything either.
    broker
        .admin()
        .alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(33)))
        .all()
        .get();
    broker.send(topic, 0, messages(30, 35));
    collect();
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(0, 35));
  }

  private String topicId() throws Exception {
    return broker
        .admin()
        .describeTopics(List.of(topic))
        .allTopicNames()
        .get()
        .get(topic)
        .topicId()
        .toString();
  }

  @Test
  void nothingIsCommittedThatIsNotDurable() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, messages(0, 20));
    try (TopicLog log = open()) {
      // The segment's place is taken by a folder that holds something, so that it cannot be made.
      Path place = folder.resolve(new Segment(topic, 0, 0, 20).fileName());
      Files.createDirectories(place.resolve("something"));
      assertThatThrownBy(() -> log.run(IDLE, status -> {}))
          .isInstanceOf(UncheckedIOException.class)
          .hasMessageContaining("cannot write into " + folder);
      Files.delete(place.resolve("something"));
      Files.delete(place);
    }
    assertThat(committed(0)).isEqualTo(-1);
    collect();
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(0, 20));
    assertThat(committed(0)).isEqualTo(20);
  }

  @Test
  void messagesDeletedBeforeTheyWereReadAreNotSkipped() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, messages(0, 20));
    collect(new TopicLog.Until(null, 5), 1000, null);
    delete(12);
    List<String> before = Collected.names(folder);
    assertThatThrownBy(this::collect)
        .isInstanceOf(CollectException.class)
        .hasMessageContaining(topic + "-0: the next message is at offset 5")
        .hasMessageContaining("from 12 to 20: 7 were deleted before they were read")
        .hasMessageContaining("collect into another folder");
    assertThat(Collected.names(folder)).isEqualTo(before);

    folder = temporary.resolve("rest");
    collect();
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(12, 20));
  }

  private void delete(long before) throws Exception {
    broker
        .admin()
        .deleteRecords(Map.of(new TopicPartition(topic, 0), RecordsToDelete.beforeOffset(before)))
        .all()
        .get();
  }

  @Test
  void messagesDeletedWhileItRunsAreNotSkippedEither() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, messages(0, 5));
    try (TopicLog log = open()) {
      // Connected at offset 0, before anything was fetched.
      broker.send(topic, 0, messages(5, 20));
      delete(12);
      assertThatThrownBy(() -> log.run(IDLE, status -> {}))
          .isInstanceOf(CollectException.class)
          .hasMessageContaining("the next message is at offset 0")
          .hasMessageContaining("from 12 to 20");
    }
  }

  @Test
  void aBadMessageStopsItAndWhatCameBeforeIsDurable() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, List.of(message(0), message(1), "no JSON", message(2)));
    for (int attempt = 0; attempt < 2; attempt++) {
      assertThatThrownBy(this::collect)
          .isInstanceOf(CollectException.class)
          .hasMessageContaining(topic + "-0, offset 2: expected a JSON object, but it is not JSON");
      assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(0, 2));
      assertThat(committed(0)).isEqualTo(2);
    }
    Path quarantine = temporary.resolve("bad.jsonl");
    assertThat(collect(IDLE, 1000, quarantine)).isEqualTo(new TopicLog.Status(1, 1, 1, 0));
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(0, 3));
    JsonNode bad = JSON.readTree(Files.readString(quarantine));
    assertThat(bad.get("topic").textValue()).isEqualTo(topic);
    assertThat(bad.get("partition").intValue()).isZero();
    assertThat(bad.get("offset").intValue()).isEqualTo(2);
    assertThat(bad.get("reason").textValue()).startsWith("it is not JSON");
    assertThat(bad.get("value").binaryValue())
        .isEqualTo("no JSON".getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void theQuarantineHasEachBadMessageOnce() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, List.of("bad 0", message(0), "bad 1", "[" + "1,".repeat(600) + "1]"));
    Path quarantine = temporary.resolve("bad.jsonl");
    collect(new TopicLog.Until(null, 1), 1000, quarantine);
    String first = Files.readString(quarantine);
    // A killed collector had set the next one aside, began another, and had not got past them.
    String next = first.replace("\"offset\":0", "\"offset\":2");
    String others = first.replace(topic, "another-topic");
    Files.writeString(quarantine, first + next + others + next.substring(0, 40));
    collect(IDLE, 1000, quarantine);
    assertThat(Files.readAllLines(quarantine).subList(0, 2))
        .containsExactly(first.strip(), others.strip());
    List<JsonNode> entries = new ArrayList<>();
    for (String line : Files.readAllLines(quarantine)) {
      entries.add(JSON.readTree(line));
    }
    assertThat(entries).hasSize(4);
    assertThat(entries.get(2).get("offset").intValue()).isEqualTo(2);
    assertThat(entries.get(3).get("offset").intValue()).isEqualTo(3);
    assertThat(entries.get(3).get("reason").textValue()).contains("the limit is 1,000");

    // Nothing but bad messages since: they are behind it all the same.
    delete(4);
    assertThat(collect(IDLE, 1000, quarantine).quarantined()).isZero();

    Files.writeString(quarantine, "{\"id\":1}\n");
    assertThatThrownBy(() -> collect(IDLE, 1000, quarantine))
        .isInstanceOf(CollectException.class)
        .hasMessageContaining("line 1 is no message that was set aside");
    assertThat(quarantine).hasContent("{\"id\":1}");
    assertThatThrownBy(() -> target(1, folder.resolve("bad.jsonl")))
        .isInstanceOf(CollectException.class)
        .hasMessageContaining("lies in");
  }

  @Test
  void abortedTransactionsAreNotSeenAndTheirMarksAreNoHoles() throws Exception {
    broker.create(topic, 1);
    try (KafkaProducer<byte[], byte[]> producer = broker.producer("transactional.id", topic)) {
      producer.initTransactions();
      for (int id = 0; id < 30; id++) {
        producer.beginTransaction();
        byte[] value = message(id).getBytes(StandardCharsets.UTF_8);
        producer.send(new ProducerRecord<>(topic, 0, null, value)).get();
        if (id % 3 == 1) {
          producer.abortTransaction();
        } else {
          producer.commitTransaction();
        }
        if (id % 10 == 4) { // after an aborted one
          collect();
        }
      }
    }
    collect();
    assertThat(Collected.field(folder, topic, 0, "id"))
        .isEqualTo(ids(0, 30).stream().filter(id -> id % 3 != 1).toList());
    assertThat(collect().rows()).isZero();
  }

  @Test
  void aSecondCollectorIsKeptOutOfTheFolder() throws Exception {
    broker.create(topic, 1);
    try (TopicLog first = open()) {
      assertThatThrownBy(this::open)
          .isInstanceOf(CollectException.class)
          .hasMessageContaining("another process works on " + folder);
      broker.send(topic, 0, messages(0, 3));
      assertThat(first.run(IDLE, status -> {}).rows()).isEqualTo(3);
    }
    open().close();
  }

  /** A process of its own: within one, Java itself would notice. */
  @Test
  void aSecondCollectorIsKeptOutOfTheQuarantine() throws Exception {
    broker.create(topic, 1);
    Path quarantine = temporary.resolve("bad.jsonl");
    Files.writeString(quarantine, "");
    Path output = temporary.resolve("output.txt");
    try (TopicLog first = new TopicLog(source(TopicLog.Start.EARLIEST), target(1000, quarantine))) {
      Process second =
          TestBroker.java(
              output,
              CollectorProcess.class.getName(),
              broker.bootstrap(),
              topic,
              temporary.resolve("other").toString(),
              "40",
              quarantine.toString(),
              "300");
      assertThat(second.waitFor()).isEqualTo(1);
      assertThat(Files.readString(output)).contains("another collector writes to it");
      broker.send(topic, 0, List.of("bad"));
      assertThat(first.run(IDLE, status -> {}).quarantined()).isEqualTo(1);
    }
    assertThat(quarantined(quarantine)).hasSize(1);
  }

  @Test
  void latestBeginsAtTheFirstStartAlsoAfterAKill() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, messages(0, 3));
    TopicLog.Source latest = source(TopicLog.Start.LATEST);
    new TopicLog(latest, target(1000, null)).close();
    broker.send(topic, 0, messages(3, 6));
    try (TopicLog log = new TopicLog(latest, target(1000, null))) {
      log.run(IDLE, status -> {});
    }
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(3, 6));

    broker.admin().createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get();
    broker.send(topic, 1, messages(6, 9));
    try (TopicLog log = new TopicLog(latest, target(1000, null))) {
      log.run(IDLE, status -> {});
    }
    assertThat(Collected.field(folder, topic, 1, "id")).isEqualTo(ids(6, 9));
  }

  @Test
  void segmentsMayBeMovedAwayOnceTheyAreImported() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, messages(0, 9));
    collect(IDLE, 3, null);
    List<Path> all = Collected.segments(folder, topic, 0);
    Files.delete(all.get(0));
    broker.send(topic, 0, messages(9, 12));
    collect(IDLE, 3, null);
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(3, 12));

    for (Path each : Collected.segments(folder, topic, 0)) {
      Files.delete(each);
    }
    broker.send(topic, 0, messages(12, 18));
    collect(IDLE, 3, null);
    assertThat(Collected.field(folder, topic, 0, "id")).isEqualTo(ids(12, 18));

    Files.delete(Collected.newest(folder, topic, 0));
    assertThatThrownBy(this::collect)
        .isInstanceOf(CollectException.class)
        .hasMessageContaining("end at offset 15, but it was collected up to 18");
  }

  @Test
  void anotherTopicOfTheSameNameIsRefused() throws Exception {
    broker.create(topic, 1);
    broker.send(topic, 0, messages(0, 3));
    collect();
    broker.admin().deleteTopics(List.of(topic)).all().get();
    while (broker.admin().listTopics().names().get().contains(topic)) {
      Thread.sleep(20);
    }
    broker.create(topic, 1);
    broker.send(topic, 0, messages(0, 9));
    assertThatThrownBy(this::collect)
        .isInstanceOf(CollectException.class)
        .hasMessageContaining("was deleted and created again");
  }

  @Test
  void wrongNamesAndSettingsAreRefused() {
    assertThatThrownBy(this::open)
        .isInstanceOf(CollectException.class)
        .hasMessageContaining("there is no topic '" + topic + "' at " + broker.bootstrap());
    assertThatThrownBy(() -> open("nothing.invalid:1", Map.of()))
        .isInstanceOf(CollectException.class)
        .hasMessageContaining("wrong settings of the consumer");
    assertThatThrownBy(() -> open(broker.bootstrap(), Map.of("enable.auto.commit", "true")))
        .isInstanceOf(CollectException.class)
        .hasMessageContaining("property enable.auto.commit is 'true': it has to be false here");
    Map<String, String> impatient =
        Map.of("default.api.timeout.ms", "500", "request.timeout.ms", "500");
    assertThatThrownBy(() -> open("127.0.0.1:1", impatient))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining("127.0.0.1:1 does not answer as it should");
  }

  private void open(String bootstrap, Map<String, String> properties) {
    new TopicLog(
            new TopicLog.Source(bootstrap, topic, TopicLog.Start.EARLIEST, properties),
            target(1, null))
        .close();
  }
}
