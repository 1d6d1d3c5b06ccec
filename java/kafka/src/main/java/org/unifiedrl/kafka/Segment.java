package org.unifiedrl.kafka;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A file's name, which says what is in it: the messages of a partition from one offset to another.
 *
 * @param from offset of the first message that may be in it
 * @param to offset after the last
 */
record Segment(String topic, int partition, long from, long to) {

  private static final Pattern RANGE =
      Pattern.compile("-(0|[1-9]\\d{0,8})-(\\d{19})-(\\d{19})\\.jsonl");

  /** The segment of a topic that a file is; empty if it is none. */
  static Optional<Segment> of(Path file, String topic) {
    String name = file.getFileName().toString();
    if (!name.startsWith(topic)) {
      return Optional.empty();
    }
    Matcher range = RANGE.matcher(name.substring(topic.length()));
    if (!range.matches()) {
      return Optional.empty();
    }
    try {
      return Optional.of(
          new Segment(
              topic,
              Integer.parseInt(range.group(1)),
              Long.parseLong(range.group(2)),
              Long.parseLong(range.group(3))));
    } catch (NumberFormatException e) {
      return Optional.empty();
    }
  }

  String fileName() {
    return String.format(Locale.ROOT, "%s-%d-%019d-%019d.jsonl", topic, partition, from, to);
  }

  /** Hidden name of a partition's segment while it is written. */
  static String temporary(String topic, int partition) {
    return String.format(Locale.ROOT, ".%s-%d.jsonl.tmp", topic, partition);
  }
}
