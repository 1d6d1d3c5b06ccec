package org.unifiedrl.kafka;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * A message as one line of JSON: its own text, byte for byte but for line breaks, so that no number
 * changes, and three more fields that say where it came from.
 */
final class MessageLine {

  private static final String PARTITION = "kafka_partition";
  private static final String OFFSET = "kafka_offset";
  private static final String TIMESTAMP = "kafka_timestamp";
  private static final Set<String> ADDED = Set.of(PARTITION, OFFSET, TIMESTAMP);

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          .build();

  private MessageLine() {}

  /**
   * Bytes of the line, with its line break.
   *
   * @param limit bytes that the message may have
   * @throws BadMessageException if it is not one JSON object in UTF-8, is larger, or has one of the
   *     added fields already
   */
  static byte[] of(ConsumerRecord<byte[], byte[]> message, int limit) throws BadMessageException {
    byte[] value = message.value();
    if (value == null) {
      throw new BadMessageException("it has no value (a tombstone)");
    }
    if (value.length > limit) {
      throw new BadMessageException(
          "it has %,d bytes, and the limit is %,d".formatted(value.length, limit));
    }
    boolean fields = check(text(value));
    int end = value.length;
    while (value[end - 1] != '}') { // only white space can follow
      end--;
    }
    byte[] more =
        String.format(
                Locale.ROOT,
                "%s\"%s\":%d,\"%s\":%d,\"%s\":%d}\n",
                fields ? "," : "",
                PARTITION,
                message.partition(),
                OFFSET,
                message.offset(),
                TIMESTAMP,
                message.timestamp())
            .getBytes(StandardCharsets.UTF_8);
    byte[] line = new byte[end - 1 + more.length];
    for (int i = 0; i < end - 1; i++) {
      // Strings hold no bare line break: such a byte stands between tokens.
      line[i] = value[i] == '\n' || value[i] == '\r' ? (byte) ' ' : value[i];
    }
    System.arraycopy(more, 0, line, end - 1, more.length);
    return line;
  }

  private static String text(byte[] value) throws BadMessageException {
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPORT)
          .onUnmappableCharacter(CodingErrorAction.REPORT)
          .decode(ByteBuffer.wrap(value))
          .toString();
    } catch (CharacterCodingException e) {
      throw new BadMessageException("it is not in UTF-8");
    }
  }

  /** Whether the object has fields. */
  private static boolean check(String text) throws BadMessageException {
    boolean escapes = text.contains("\\u");
    boolean fields = false;
    try (JsonParser parser = JSON.createParser(text)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new BadMessageException("it is not a JSON object");
      }
      for (int depth = 1; depth > 0; ) {
        JsonToken token = parser.nextToken();
        if (token == JsonToken.FIELD_NAME) {
          fields = true;
          String name = parser.currentName();
          if (depth == 1 && ADDED.contains(name.toLowerCase(Locale.ROOT))) {
            throw new BadMessageException("it has a field '" + name + "', which is added here");
          }
        }
        if (token.isStructStart()) {
          depth++;
        } else if (token.isStructEnd()) {
          depth--;
        } else if (token == JsonToken.VALUE_STRING || token == JsonToken.FIELD_NAME) {
          String string = parser.getText();
          // Only an escape can give half a character, which no reader takes.
          if (escapes && !StandardCharsets.UTF_8.newEncoder().canEncode(string)) {
            throw new BadMessageException("a string in it holds half a surrogate pair");
          }
        } else if (token.isNumeric()) {
          parser.getNumberType(); // has its limits checked
        }
      }
      if (parser.nextToken() != null) {
        throw new BadMessageException("something follows the JSON object");
      }
      return fields;
    } catch (JacksonException e) {
      throw new BadMessageException(
          "it is not JSON: %s (line %d, column %d)"
              .formatted(
                  e.getOriginalMessage(),
                  e.getLocation().getLineNr(),
                  e.getLocation().getColumnNr()));
    } catch (IOException e) {
      throw new UncheckedIOException("text in memory cannot fail to be read", e);
    }
  }
}
