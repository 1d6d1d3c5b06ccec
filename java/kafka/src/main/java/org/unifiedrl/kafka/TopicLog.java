package org.unifiedrl.kafka;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.TopicPartition;
import org.unifiedrl.engine.FolderLock;

/**
 * Collects a topic's messages, one JSON object a request, into segments: files of JSON lines {@code
 * TOPIC-PARTITION-FROM-TO.jsonl}, whose names say which offsets they hold (TO exclusive).
 *
 * <p>Every message that the broker keeps until it is read is in one segment, and in no more than
 * one, whenever the collector is killed: a segment is written under a hidden name, forced, renamed,
 * and only then is its end committed to the broker. The next collector goes on where the segments
 * end. What it committed is for those who watch the group's lag, and is never read.
 *
 * <p>One thread runs it; {@link #stop} is for any thread. One collector at a time works on a
 * folder, which a lock in it enforces. It takes all partitions, those that are added later too.
 */
public final class TopicLog implements AutoCloseable {

  private static final Duration POLL = Duration.ofMillis(200);
  private static final long PARTITIONS_EVERY = Duration.ofSeconds(30).toNanos();

  /** Where a topic begins that was never collected into the folder. */
  public enum Start {
    /** At the oldest message that the broker has. */
    EARLIEST,
    /** At the next message. */
    LATEST
  }

  /**
   * What is collected.
   *
   * @param bootstrap brokers, {@code HOST:PORT}, with commas between
   * @param start where a topic begins that was never collected into the folder
   * @param properties further settings of the consumer, as for security
   */
  public record Source(
      String bootstrap, String topic, Start start, Map<String, String> properties) {
    public Source {
      properties = Map.copyOf(properties);
    }
  }

  /**
   * Where it goes. A partition's segment ends at {@code rows}, {@code bytes} or {@code time},
   * whichever comes first.
   *
   * @param folder for the segments, created if missing
   * @param rows at least 1
   * @param bytes at least 1
   * @param time since the segment's first message; what a message waits at most until it is durable
   * @param messageBytes bytes that a message may have, 1 to 8 MiB, which the import takes
   * @param quarantine file that takes the messages that are no rows, not in the folder; null to
   *     stop at one
   */
  public record Target(
      Path folder, long rows, long bytes, Duration time, int messageBytes, Path quarantine) {
    public Target {
      if (rows < 1 || bytes < 1 || time.isNegative() || time.isZero()) {
        throw new CollectException(
            "segments of %d rows, %d bytes, %s s: expected more than 0 of each"
                .formatted(rows, bytes, time.toMillis() / 1e3));
      }
      if (messageBytes < 1 || messageBytes > 8 << 20) {
        throw new CollectException(
            "messages of up to %,d bytes: expected 1 to %,d".formatted(messageBytes, 8 << 20));
      }
      if (quarantine != null && inside(quarantine, folder)) {
        throw new CollectException(
            quarantine + " lies in " + folder + ", whose files are rows: give another folder");
      }
    }

    private static boolean inside(Path file, Path folder) {
      return file.toAbsolutePath()
          .normalize()
          .getParent()
          .equals(folder.toAbsolutePath().normalize());
    }
  }

  /**
   * When it ends by itself.
   *
   * @param idle time without a message, at the topic's end; null for never
   * @param rows rows of this run; 0 for no limit
   */
  public record Until(Duration idle, long rows) {
    /** Until it is stopped. */
    public static final Until STOPPED = new Until(null, 0);

    public Until {
      if ((idle != null && (idle.isNegative() || idle.isZero())) || rows < 0) {
        throw new CollectException("the end is after %s, %d rows".formatted(idle, rows));
      }
    }
  }

  /**
   * What this run has done.
   *
   * @param rows messages taken as rows
   * @param quarantined messages set aside
   * @param segments segments made
   * @param lag messages that the broker has and this run has not yet, as far as it was told
   */
  public record Status(long rows, long quarantined, long segments, long lag) {}

  /** Receives what the run has done, from its thread, a few times a second. */
  public interface Progress {
    void at(Status status);
  }

  private final Source source;
  private final Target target;
  private final TopicFolder folder;
  private final FolderLock lock;
  private final Broker broker;
  private final SortedMap<Integer, SegmentWriter> writers = new TreeMap<>();
  private String topicId;
  private Quarantine quarantine;
  private boolean replaced;
  private long rows;
  private long quarantined;
  private long segments;
  private volatile boolean stopped;

  /**
   * Opens a folder and connects to the broker.
   *
   * @throws CollectException if the folder has another collector, its segments have a hole or
   *     overlap, the broker cannot be reached, or it does not have the messages that come next
   * @throws UncheckedIOException if the folder or the quarantine cannot be written
   */
  public TopicLog(Source source, Target target) {
    this.source = source;
    this.target = target;
    this.folder = new TopicFolder(target.folder(), source.topic());
    try {
      this.lock = FolderLock.of(target.folder());
    } catch (IllegalStateException e) {
      throw new CollectException(e.getMessage(), e);
    }
    Broker connected = null;
    boolean done = false;
    try {
      TopicFolder.State collected = folder.recover();
      connected = new Broker(source);
      this.broker = connected;
      begin(collected);
      done = true;
    } catch (IOException e) {
      throw unwritable(e);
    } finally {
      if (!done) {
        release(connected);
      }
    }
  }

  /** Seeks where the folder ends, or where the source says if it is new. */
  private void begin(TopicFolder.State collected) throws IOException {
    Broker.Topic topic = broker.topic();
    if (collected.topicId() != null && !collected.topicId().equals(topic.id())) {
      throw new CollectException(
          ("topic %s was deleted and created again since it was collected into %s: collect the"
                  + " new one into another folder")
              .formatted(source.topic(), target.folder()));
    }
    SortedMap<Integer, Position> positions = new TreeMap<>(collected.partitions());
    if (!positions.isEmpty() && positions.lastKey() >= topic.partitions()) {
      throw new CollectException(
          ("%s has messages of %s-%d, and the topic has %d partitions: it is another topic of that"
                  + " name; collect it into another folder")
              .formatted(target.folder(), source.topic(), positions.lastKey(), topic.partitions()));
    }
    boolean fresh = positions.isEmpty();
    Map<Integer, Long> begins = broker.begins(topic.partitions());
    Map<Integer, Long> ends = broker.ends(topic.partitions());
    for (int partition = 0; partition < topic.partitions(); partition++) {
      // A partition that came later is read from its first message: the folder has all of a topic.
      long start = 0;
      if (fresh) {
        start = (source.start() == Start.EARLIEST ? begins : ends).get(partition);
      }
      Position position = positions.getOrDefault(partition, new Position(start, start));
      positions.put(partition, position);
      checkKept(partition, position.next(), begins.get(partition), ends.get(partition));
    }
    topicId = topic.id();
    if (target.quarantine() != null) {
      quarantine = Quarantine.open(target.quarantine(), topicId, entry -> again(entry, positions));
    }
    // Known from now on: a killed collector's successor begins at the same messages.
    folder.write(new TopicFolder.State(topicId, positions));
    positions.forEach(this::add);
    broker.assign(positions);
  }

  private boolean again(Quarantine.Entry entry, Map<Integer, Position> positions) {
    Position position = positions.get(entry.partition());
    return entry.topic().equals(source.topic())
        && topicId.equals(entry.topicId()) // an earlier topic's messages do not come again
        && position != null
        && entry.offset() >= position.next();
  }

  private void add(int partition, Position position) {
    writers.put(partition, new SegmentWriter(target.folder(), source.topic(), partition, position));
  }

  private void checkKept(int partition, long next, long begin, long end) {
    if (next >= begin && next <= end) {
      return;
    }
    throw new CollectException(
        ("%s-%d: the next message is at offset %d, and the broker has those from %d to %d: %s;"
                + " collect into another folder to go on with what is there, and keep %s for what"
                + " came before")
            .formatted(
                source.topic(),
                partition,
                next,
                begin,
                end,
                next < begin
                    ? "%d were deleted before they were read (retention)".formatted(begin - next)
                    : "the broker has lost some that are here already",
                target.folder()));
  }

  /**
   * Collects until the end, or until it is stopped or comes to what it cannot take; then makes
   * durable what came before. What had no segment yet when files or the broker failed, the next
   * collector reads again.
   *
   * @throws CollectException if a message is no row and there is no quarantine, the broker does not
   *     have the messages that come next, or refuses to give them
   * @throws UncheckedIOException if the folder cannot be written or the broker does not answer;
   *     another collector may go on later
   */
  public Status run(Until until, Progress progress) {
    boolean failed = true;
    try {
      collect(until, progress);
      failed = false;
    } catch (CollectException e) {
      failed = false; // the messages before it are whole
      throw e;
    } catch (IOException e) {
      throw unwritable(e);
    } finally {
      if (!failed && !replaced) {
        publishAll();
      } else {
        writers.values().forEach(SegmentWriter::abort);
      }
    }
    return status();
  }

  private void publishAll() {
    try {
      publish(List.copyOf(writers.values()));
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  private void collect(Until until, Progress progress) throws IOException {
    long lastMessage = System.nanoTime();
    long lastPartitions = lastMessage;
    while (!stopped) {
      ConsumerRecords<byte[], byte[]> messages = poll();
      for (TopicPartition partition : messages.partitions()) {
        for (ConsumerRecord<byte[], byte[]> message : messages.records(partition)) {
          take(message);
          if (until.rows() > 0 && rows == until.rows()) {
            return;
          }
        }
      }
      // Past what gives no message: marks of transactions, what compaction removed.
      writers.forEach((partition, writer) -> writer.advance(broker.position(partition)));
      publish(writers.values().stream().filter(w -> w.age() >= target.time().toNanos()).toList());
      progress.at(status());
      long now = System.nanoTime();
      if (!messages.isEmpty()) {
        lastMessage = now;
      } else if (until.idle() != null && now - lastMessage >= until.idle().toNanos()) {
        if (atEnd()) {
          return;
        }
        lastMessage = now; // nothing came because the broker is slow or away
      }
      if (now - lastPartitions >= PARTITIONS_EVERY) {
        lastPartitions = now;
        addPartitions();
      }
    }
  }

  private ConsumerRecords<byte[], byte[]> poll() {
    try {
      return broker.poll(POLL);
    } catch (OffsetOutOfRangeException e) {
      Map<Integer, Long> begins = broker.begins(writers.size());
      Map<Integer, Long> ends = broker.ends(writers.size());
      e.offsetOutOfRangePartitions()
          .forEach(
              (partition, offset) ->
                  checkKept(
                      partition.partition(),
                      offset,
                      begins.get(partition.partition()),
                      ends.get(partition.partition())));
      throw new CollectException("the broker refuses an offset: " + e.getMessage(), e);
    }
  }

  private void take(ConsumerRecord<byte[], byte[]> message) throws IOException {
    SegmentWriter writer = writers.get(message.partition());
    byte[] line;
    try {
      line = MessageLine.of(message, target.messageBytes());
    } catch (BadMessageException e) {
      if (quarantine == null) {
        throw new CollectException(
            ("%s-%d, offset %d: expected a JSON object, but %s; have such messages set aside (a"
                    + " quarantine), or mend what sends them")
                .formatted(message.topic(), message.partition(), message.offset(), e.getMessage()),
            e);
      }
      quarantine.append(message, e.getMessage());
      quarantined++;
      writer.advance(message.offset() + 1);
      return;
    }
    writer.append(line, message.offset());
    rows++;
    if (writer.rows() >= target.rows() || writer.bytes() >= target.bytes()) {
      publish(List.of(writer));
    }
  }

  /** In this order, so that a kill between two steps loses nothing and repeats nothing. */
  private void publish(List<SegmentWriter> ended) throws IOException {
    if (ended.stream().noneMatch(SegmentWriter::pending)) {
      return;
    }
    requireSameTopic(); // what came may be another topic's, at the same offsets
    if (quarantine != null) {
      quarantine.force();
    }
    for (SegmentWriter writer : ended) {
      segments += writer.publish() ? 1 : 0;
    }
    SortedMap<Integer, Position> durable = new TreeMap<>();
    writers.forEach((partition, writer) -> durable.put(partition, writer.durable()));
    folder.write(new TopicFolder.State(topicId, durable));
    broker.commit(durable);
  }

  private boolean atEnd() {
    Map<Integer, Long> ends = broker.ends(writers.size());
    return writers.keySet().stream()
        .allMatch(partition -> broker.position(partition) >= ends.get(partition));
  }

  /** Takes partitions that were added to the topic, from their first message. */
  private void addPartitions() throws IOException {
    Broker.Topic topic = requireSameTopic();
    if (topic.partitions() == writers.size()) {
      return;
    }
    for (int partition = writers.size(); partition < topic.partitions(); partition++) {
      add(partition, new Position(0, 0));
    }
    SortedMap<Integer, Position> positions = new TreeMap<>();
    writers.forEach((partition, writer) -> positions.put(partition, writer.position()));
    broker.assign(positions);
  }

  private Broker.Topic requireSameTopic() {
    Broker.Topic topic = broker.topic();
    if (!topic.id().equals(topicId)) {
      replaced = true;
      throw new CollectException(
          "topic %s was deleted and created again: collect the new one into another folder"
              .formatted(source.topic()));
    }
    return topic;
  }

  private Status status() {
    long lag = 0;
    for (Map.Entry<Integer, SegmentWriter> writer : writers.entrySet()) {
      // What was given may not all have been taken.
      long given = broker.position(writer.getKey());
      lag += broker.lag(writer.getKey()) + given - writer.getValue().position().next();
    }
    return new Status(rows, quarantined, segments, lag);
  }

  private UncheckedIOException unwritable(IOException e) {
    return new UncheckedIOException("cannot write into %s: %s".formatted(target.folder(), e), e);
  }

  /** Has the run end soon, as if it had reached its end. */
  public void stop() {
    stopped = true;
  }

  @Override
  public void close() {
    release(broker);
  }

  private void release(Broker connected) {
    try (lock) {
      if (quarantine != null) {
        quarantine.close();
      }
      if (connected != null) {
        connected.close();
      }
    } catch (IOException e) {
      throw unwritable(e);
    }
  }
}
