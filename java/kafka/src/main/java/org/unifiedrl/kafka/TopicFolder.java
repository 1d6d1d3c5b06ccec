package org.unifiedrl.kafka;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.unifiedrl.engine.DurableFiles;

/**
 * A folder with the segments of a topic, and a small hidden file that says how far each partition
 * was collected. Where segments stand they decide: the file is written after them, and a kill may
 * come between.
 */
final class TopicFolder {

  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** What the hidden file holds; the topic's id tells it from a later one of the same name. */
  record State(String topicId, SortedMap<Integer, Position> partitions) {}

  private final Path folder;
  private final String topic;

  TopicFolder(Path folder, String topic) {
    this.folder = folder;
    this.topic = topic;
  }

  /**
   * Removes what a kill left unfinished, and tells how far each partition was collected; none where
   * the topic was never collected here, and no id where only segments are left.
   *
   * @throws CollectException if segments overlap or one is missing
   */
  State recover() throws IOException {
    SortedMap<Integer, List<Segment>> segments = new TreeMap<>();
    Pattern temporary = Pattern.compile(Pattern.quote("." + topic) + "-\\d+\\.jsonl\\.tmp");
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
      for (Path file : files) {
        if (temporary.matcher(file.getFileName().toString()).matches()) {
          Files.delete(file);
        }
        Segment.of(file, topic)
            .ifPresent(
                each ->
                    segments.computeIfAbsent(each.partition(), p -> new ArrayList<>()).add(each));
      }
    }
    State stored = read();
    SortedMap<Integer, Position> positions = new TreeMap<>(stored.partitions());
    for (Map.Entry<Integer, List<Segment>> partition : segments.entrySet()) {
      long to = end(partition.getValue());
      Position position = positions.get(partition.getKey());
      if (position != null && to < position.segments()) {
        throw new CollectException(
            ("%s: the segments of %s-%d end at offset %d, but it was collected up to %d: put the"
                    + " newest ones back, or move the older ones away too")
                .formatted(folder, topic, partition.getKey(), to, position.segments()));
      }
      long next = position == null ? to : Math.max(to, position.next());
      positions.put(partition.getKey(), new Position(to, next));
    }
    return new State(stored.topicId(), positions);
  }

  /** Where a partition's segments end. */
  private long end(List<Segment> segments) {
    segments.sort(Comparator.comparingLong(Segment::from).thenComparingLong(Segment::to));
    Segment before = null;
    for (Segment segment : segments) {
      if (segment.from() >= segment.to()) {
        throw new CollectException(
            "%s: the name says that it ends before it begins; it is no segment: move it away"
                .formatted(folder.resolve(segment.fileName())));
      }
      if (before != null && segment.from() != before.to()) {
        boolean hole = segment.from() > before.to();
        throw new CollectException(
            "%s: %s %s and %s: %s"
                .formatted(
                    folder,
                    hole ? "messages are missing between" : "the same messages are in",
                    before.fileName(),
                    segment.fileName(),
                    hole
                        ? "put the file that lay between them back, or move all older ones away"
                        : "they are of two collectors: move those of one away"));
      }
      before = segment;
    }
    return before.to();
  }

  private Path stateFile() {
    return folder.resolve("." + topic + ".positions.json");
  }

  private State read() throws IOException {
    Path file = stateFile();
    if (!Files.exists(file)) {
      return new State(null, new TreeMap<>());
    }
    try {
      State state = JSON.readValue(Files.readAllBytes(file), State.class);
      if (state == null || state.topicId() == null || state.partitions() == null) {
        throw new CollectException(file + " is damaged: " + damaged());
      }
      return state;
    } catch (JacksonException e) {
      throw new CollectException(
          file + " is damaged (" + e.getOriginalMessage() + "): " + damaged(), e);
    }
  }

  private static String damaged() {
    return "remove it if the newest segment of every partition is there, and collect into a new"
        + " folder if not";
  }

  /** Says durably how far each partition was collected. */
  void write(State state) throws IOException {
    DurableFiles.writeText(stateFile(), JSON.writeValueAsString(state) + "\n");
  }
}
