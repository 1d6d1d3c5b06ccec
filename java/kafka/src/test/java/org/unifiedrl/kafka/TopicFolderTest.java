package org.unifiedrl.kafka;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TopicFolderTest {

  private static final String TOPIC = "log.requests-1";

  @TempDir Path folder;
  private TopicFolder topic;

  @BeforeEach
  void open() {
    topic = new TopicFolder(folder, TOPIC);
  }

  private void segment(int partition, long from, long to) throws IOException {
    Files.writeString(
        folder.resolve(new Segment(TOPIC, partition, from, to).fileName()), "{\"a\":1}\n");
  }

  private void write(int partition, long segments, long next) throws IOException {
    topic.write(
        new TopicFolder.State(
            "id", new TreeMap<>(Map.of(partition, new Position(segments, next)))));
  }

  @Test
  void segmentsSayHowFarItIs() throws IOException {
    assertThat(topic.recover()).isEqualTo(new TopicFolder.State(null, new TreeMap<>()));
    segment(0, 5, 9);
    segment(0, 9, 12);
    segment(12, 0, 1);
    Files.writeString(folder.resolve("log.requests-10-0-1.jsonl"), "of something else");
    Files.writeString(
        folder.resolve(new Segment("log.requests", 1, 0, 77).fileName()), "of another topic");
    assertThat(topic.recover().partitions())
        .isEqualTo(Map.of(0, new Position(12, 12), 12, new Position(1, 1)));
  }

  @Test
  void segmentsAndPositionsAgreeAfterAKillBetweenThem() throws IOException {
    write(0, 9, 10);
    assertThat(topic.recover())
        .isEqualTo(new TopicFolder.State("id", new TreeMap<>(Map.of(0, new Position(9, 10)))));
    segment(0, 5, 9);
    assertThat(topic.recover().partitions()).isEqualTo(Map.of(0, new Position(9, 10)));
    segment(0, 9, 13);
    assertThat(topic.recover().partitions()).isEqualTo(Map.of(0, new Position(13, 13)));
  }

  @Test
  void leftoversOfTheTopicAreRemoved() throws IOException {
    Path own = Files.writeString(folder.resolve("." + TOPIC + "-3.jsonl.tmp"), "{");
    Path others = Files.writeString(folder.resolve(".log.requests-1.jsonl.tmp"), "{");
    topic.recover();
    assertThat(own).doesNotExist();
    assertThat(others).exists();
  }

  @Test
  void holesAndOverlapsAreRefused() throws IOException {
    segment(0, 5, 9);
    segment(0, 10, 12);
    assertThatThrownBy(topic::recover)
        .isInstanceOf(CollectException.class)
        .hasMessageContaining("messages are missing between")
        .hasMessageContaining(new Segment(TOPIC, 0, 5, 9).fileName())
        .hasMessageContaining(new Segment(TOPIC, 0, 10, 12).fileName());
    segment(0, 8, 10);
    assertThatThrownBy(topic::recover).hasMessageContaining("the same messages are in");
  }

  @Test
  void aMissingNewestSegmentIsRefused() throws IOException {
    write(0, 12, 12);
    segment(0, 5, 9);
    assertThatThrownBy(topic::recover)
        .isInstanceOf(CollectException.class)
        .hasMessageContaining("end at offset 9, but it was collected up to 12");
  }

  @Test
  void whatIsDamagedIsRefused() throws IOException {
    segment(0, 9, 9);
    assertThatThrownBy(topic::recover).hasMessageContaining("ends before it begins");
    Files.delete(folder.resolve(new Segment(TOPIC, 0, 9, 9).fileName()));
    Files.writeString(folder.resolve("." + TOPIC + ".positions.json"), "{\"topicId\":");
    assertThatThrownBy(topic::recover)
        .isInstanceOf(CollectException.class)
        .hasMessageContaining("positions.json is damaged");
  }
}
