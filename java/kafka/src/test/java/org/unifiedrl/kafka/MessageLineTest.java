package org.unifiedrl.kafka;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MessageLineTest {

  private static String line(byte[] value, int limit) throws BadMessageException {
    ConsumerRecord<byte[], byte[]> message =
        new ConsumerRecord<>(
            "topic",
            3,
            45L,
            1_700_000_000_123L,
            TimestampType.CREATE_TIME,
            0,
            0,
            null,
            value,
            new RecordHeaders(),
            Optional.empty());
    return new String(MessageLine.of(message, limit), StandardCharsets.UTF_8);
  }

  private static String line(String text) throws BadMessageException {
    return line(text.getBytes(StandardCharsets.UTF_8), 1000);
  }

  private static final String ADDED =
      "\"kafka_partition\":3,\"kafka_offset\":45,\"kafka_timestamp\":1700000000123}\n";

  @Test
  void theTextIsKeptAndThePlaceIsAdded() throws Exception {
    assertThat(line("{}")).isEqualTo("{" + ADDED);
    assertThat(line("{\"a\":1.10,\"b\":[1e-3,123456789012345678901234567890.5]}"))
        .isEqualTo("{\"a\":1.10,\"b\":[1e-3,123456789012345678901234567890.5]," + ADDED);
    assertThat(line("{\"name\":\"é} \uD83D\uDE00 \\ud83d\\ude00 \\n\"}"))
        .isEqualTo("{\"name\":\"é} \uD83D\uDE00 \\ud83d\\ude00 \\n\"," + ADDED);
    assertThat(line("{\"in\":{\"kafka_offset\":1}}"))
        .isEqualTo("{\"in\":{\"kafka_offset\":1}," + ADDED);
  }

  @Test
  void severalLinesBecomeOne() throws Exception {
    assertThat(line("\n{\r\n  \"a\": [1,\n 2]\n}\n ")).isEqualTo(" {    \"a\": [1,  2] ," + ADDED);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "``                      | it is not a JSON object",
        "[1]                     | it is not a JSON object",
        "7                       | it is not a JSON object",
        "{\"a\":1                | it is not JSON",
        "{\"a\":NaN}             | it is not JSON",
        "{\"a\":1} x             | it is not JSON",
        "{\"a\":1}{\"a\":2}      | something follows the JSON object",
        "{\"a\":1,\"a\":2}       | Duplicate field 'a'",
        "{\"Kafka_Offset\":1}    | it has a field 'Kafka_Offset', which is added here",
        "{\"a\":\"\\ud83d\"}     | half a surrogate pair",
        "{\"\\ude00\":1}         | half a surrogate pair",
      })
  void whatIsNoObjectIsRefused(String text, String reason) {
    assertThatThrownBy(() -> line(text))
        .isInstanceOf(BadMessageException.class)
        .hasMessageContaining(reason);
  }

  @Test
  void bytesAreChecked() {
    assertThatThrownBy(() -> line(null, 1000)).hasMessage("it has no value (a tombstone)");
    assertThatThrownBy(() -> line(new byte[] {'{', '"', (byte) 0xC3, '"', ':', '1', '}'}, 1000))
        .hasMessage("it is not in UTF-8");
    assertThatThrownBy(() -> line("{}".getBytes(StandardCharsets.UTF_16), 1000))
        .hasMessage("it is not in UTF-8");
    assertThatThrownBy(() -> line("{\"a\":1}".getBytes(StandardCharsets.UTF_8), 6))
        .hasMessage("it has 7 bytes, and the limit is 6");
  }
}
