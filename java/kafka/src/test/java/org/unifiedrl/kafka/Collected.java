package org.unifiedrl.kafka;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Reads what was collected, apart from the collector's own code. */
final class Collected {

  private static final JsonMapper JSON = JsonMapper.builder().build();

  private Collected() {}

  /** Names of all files in a folder, in order. */
  static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  /** Segments of a partition, in order. */
  static List<Path> segments(Path folder, String topic, int partition) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(file -> file.getFileName().toString().startsWith(topic + "-" + partition + "-"))
          .sorted()
          .toList();
    }
  }

  /** Rows of a partition; each lies in its file's range, after the one before. */
  static List<JsonNode> rows(Path folder, String topic, int partition) throws IOException {
    List<JsonNode> rows = new ArrayList<>();
    long next = 0;
    for (Path segment : segments(folder, topic, partition)) {
      String name = segment.getFileName().toString();
      String[] range = name.substring(0, name.length() - ".jsonl".length()).split("-", -1);
      long from = Long.parseLong(range[range.length - 2]);
      long to = Long.parseLong(range[range.length - 1]);
      assertThat(from).as(name).isGreaterThanOrEqualTo(next);
      next = from;
      List<String> lines = Files.readAllLines(segment);
      assertThat(lines).as(name).isNotEmpty();
      for (String line : lines) {
        JsonNode row = JSON.readTree(line);
        assertThat(row.get("kafka_partition").intValue()).as(name).isEqualTo(partition);
        assertThat(row.get("kafka_offset").longValue()).as(name).isBetween(next, to - 1);
        next = row.get("kafka_offset").longValue() + 1;
        rows.add(row);
      }
      next = to;
    }
    return rows;
  }

  /** A field of a partition's rows. */
  static List<Integer> field(Path folder, String topic, int partition, String field)
      throws IOException {
    return rows(folder, topic, partition).stream().map(row -> row.get(field).intValue()).toList();
  }

  /** The newest segment of a partition. */
  static Path newest(Path folder, String topic, int partition) throws IOException {
    return segments(folder, topic, partition).stream().max(Comparator.naturalOrder()).orElseThrow();
  }
}
